"""The arms of the proof: how each trains, and what it tells apart.

Most arms are one training for each cell. Two are choices: `gain` and `best-base` train nothing of their own, but are
the best of their candidates by validation. A runner trains `trained(cells)`, each cell after those it `needs`, with
`arm.settings(cell, icr_run)`; a report chooses (`icr.bench.choices`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from icr.bench.grid import Cell
from icr.bench.store import Stored, relational_log
from icr.errors import InputError, nearest

GAINS = (0.5, 1.5, 2.5)
"""Candidates of `gain`, times the engine's own box gain; the fourth is 1, which is `baseline`."""

BASES = ("ciou", "giou", "diou", "eiou", "siou", "iou", "nwd")
"""Candidates of `best-base`."""


@dataclass(frozen=True)
class Arm:
    """One way of training.

    Attributes:
        name: what a grid's `arms` call it.
        tells: what it is there for, in a sentence.
        form: of the loss; see `icr.losses.forms`.
        weighs: whether λ means anything to it; one that does not has λ = 0, and so the plain base loss.
        needs: arms whose cell of the same seed must be finished before it can run.
        pseudo_parent: whether children are held to a box of their parent's size at a random place.
        box_gain: times the engine's own box gain.
        candidates_of: the arms it chooses from; empty for one that is trained itself.
        over_bases: whether it chooses among `BASES` too.
    """

    name: str
    tells: str
    form: str = "product"
    weighs: bool = True
    needs: tuple[str, ...] = ()
    pseudo_parent: bool = False
    box_gain: float = 1.0
    candidates_of: tuple[str, ...] = ()
    over_bases: bool = False

    def candidates(self, cell: Cell) -> tuple[Cell, ...]:
        """The cells that a choice is made from, at the seed of `cell`; empty for an arm that is trained itself.

        Example:
            >>> [each.key for each in ARMS["gain"].candidates(Cell("a", "m", "ciou", "gain", 0.0, 3))][:2]
            ['a/m/ciou/baseline-w0/seed3', 'a/m/ciou/gain-0.5-w0/seed3']
        """
        bases = BASES if self.over_bases else (cell.base,)
        return tuple(replace(cell, arm=arm, base=base, weight=0.0) for base in bases for arm in self.candidates_of)

    def needed(self, cell: Cell) -> tuple[Cell, ...]:
        """The cells that must be finished before `cell` can run.

        Example:
            >>> [each.key for each in ARMS["matched"].needed(Cell("a", "m", "ciou", "matched", 2.5, 0))]
            ['a/m/ciou/icr-w2.5/seed0']
        """
        return tuple(replace(cell, arm=arm) for arm in self.needs)

    def settings(self, cell: Cell, icr_run: Path | None = None) -> dict[str, Any]:
        """What sets the cell's training apart, as arguments of `icr.training.train`.

        Args:
            cell: of this arm.
            icr_run: run folder of the finished `icr` cell of the same seed, for an arm that `needs` it.

        Raises:
            InputError: the arm is a choice and trains nothing, or the run it needs is not there or not finished.

        Example:
            >>> ARMS["sum"].settings(Cell("a", "m", "giou", "sum", 2.5, 0))
            {'arm': 'sum', 'base': 'giou', 'form': 'sum', 'weight': 2.5}
        """
        if self.candidates_of:
            raise InputError(f"the arm {self.name} trains nothing of its own; it is the best of its candidates")
        found: dict[str, Any] = {
            "arm": self.name,
            "base": cell.base,
            "form": self.form,
            "weight": cell.weight if self.weighs else 0.0,
        }
        if self.pseudo_parent:
            found["pseudo_parent"] = True
        if self.box_gain != 1:
            found["box_gain"] = self.box_gain
        if self.needs:
            found["factors"] = factors_of(cell, icr_run)
        return found


def _arms() -> dict[str, Arm]:
    gains = [
        Arm(f"gain-{gain:g}", f"the box gain {gain:g} times the usual, for every box", weighs=False, box_gain=gain)
        for gain in GAINS
    ]
    arms = [
        Arm("baseline", "the base loss alone; λ is 0, so that R is logged here too", weighs=False),
        Arm("icr", "the ICR loss, eq. 3"),
        Arm("sum", "another reading of the text: λ · (1 - R) is added to the base loss", form="sum"),
        Arm("step", "the simple form, eq. 1: λ as soon as a box is not wholly inside", form="step"),
        Arm("power", "another reading of the text: the base loss times λ^(1 - R)", form="power"),
        Arm("detached", "ICR with no gradient through R: is it the pull into the parent?", form="detached"),
        Arm("matched", "all children weigh what they did on average with ICR: is it mere weighting?", "matched"),
        Arm("permuted", "ICR's factors dealt out at random: does it matter which box gets which?", form="permuted"),
        Arm("pseudo-parent", "a parent's size at a random place: does it matter where the parent is?"),
        *gains,
        Arm("gain", "the box gain alone, the best by validation", weighs=False),
        Arm("best-base", "the best base without ICR, by validation", weighs=False),
    ]
    special: dict[str, dict[str, Any]] = {
        "matched": {"needs": ("icr",)},
        "pseudo-parent": {"pseudo_parent": True},
        "gain": {"candidates_of": ("baseline", *(arm.name for arm in gains))},
        "best-base": {"candidates_of": ("baseline",), "over_bases": True},
    }
    return {arm.name: replace(arm, **special.get(arm.name, {})) for arm in arms}


ARMS: dict[str, Arm] = _arms()
"""Every arm by name."""


def find(name: str) -> Arm:
    """The arm of that name.

    Raises:
        InputError: there is none.

    Example:
        >>> find("permutted")
        Traceback (most recent call last):
        ...
        icr.errors.InputError: unknown arm 'permutted'; known: baseline, icr, sum, step, power, detached, matched, \
permuted, pseudo-parent, gain-0.5, gain-1.5, gain-2.5, gain, best-base; did you mean 'permuted'?
    """
    if name not in ARMS:
        raise InputError(f"unknown arm {name!r}; known: {', '.join(ARMS)}{nearest(name, ARMS)}")
    return ARMS[name]


def trained(cells: Iterable[Cell]) -> list[Cell]:
    """The trainings behind some cells: choices by their candidates, what is needed before what needs it, each once.

    Example:
        >>> [cell.arm for cell in trained([Cell("a", "m", "ciou", "matched", 2.5, 0)])]
        ['icr', 'matched']
    """
    found: dict[Cell, None] = {}
    for cell in cells:
        arm = find(cell.arm)
        for each in arm.candidates(cell) or (*arm.needed(cell), cell):
            found.setdefault(each)
    return list(found)


def factors_of(cell: Cell, icr_run: Path | None) -> tuple[float, ...]:
    """The mean factor of each epoch of an ICR run, which stands in its `results.csv`.

    Raises:
        InputError: the run is not there, or logged no factor.
    """
    icr_cell = replace(cell, arm="icr")
    if icr_run is None:
        raise InputError(f"{cell.key} takes its factors from {icr_cell.key}, which must be finished before")
    log = relational_log(Stored(icr_cell, icr_run, {}, 0.0, ""))
    if not log:
        raise InputError(f"{icr_run / 'results.csv'} has no column icr_factor, which {cell.key} takes its factors from")
    return tuple(factor for _, _, _, factor in log)
