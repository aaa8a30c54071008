"""Which ways of training are held against each other, and in which figures: fixed by the grid, before any result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from icr.bench.grid import WITHOUT_WEIGHT, Cell
from icr.bench.measuring import TINY
from icr.bench.paper import stable_weights
from icr.metrics.comparison import PRIMARY, SECONDARY, UNHARMED, Endpoint

BASELINE, ICR, BEST_BASE, GAIN = "baseline", "icr", "best-base", "gain"
FORMS = ("sum", "step", "power")
CONTROLS = ("matched", "pseudo-parent", "detached", "permuted")

AGAINST_BASELINE, AGAINST_CONTROL, AGAINST_BEST_BASE, AMONG_WEIGHTS, UNDER_NOISE = (
    "baseline",
    "control",
    "best base",
    "weights",
    "noise",
)

LEARNING = "AP by epoch"
"""The figure behind "learns faster": AP on the validation pictures, averaged over the epochs."""


@dataclass(frozen=True, order=True)
class Way:
    """A way of training: all of a cell but its seed.

    Attributes:
        data, model, base, arm: as in the grid; each base without ICR is a `baseline`, whatever arm ran it.
        weight: λ, 0 for an arm without one.
    """

    data: str
    model: str
    base: str
    arm: str
    weight: float

    @classmethod
    def of(cls, cell: Cell) -> Way:
        """The way in which a cell was trained."""
        arm = BASELINE if cell.arm == BEST_BASE else cell.arm
        return cls(cell.data, cell.model, cell.base, arm, 0.0 if arm in WITHOUT_WEIGHT else cell.weight)

    @property
    def row(self) -> Row:
        """What ways that may be compared with each other have in common."""
        return Row(self.data, self.model, self.base)

    def told(self) -> str:
        """The arm with its λ.

        Example:
            >>> Way("a", "m", "ciou", "icr", 1.75).told(), Way("a", "m", "ciou", "baseline", 0.0).told()
            ('icr λ 1.75', 'baseline')
        """
        return f"{self.arm} λ {self.weight:g}" if self.weight else self.arm


@dataclass(frozen=True, order=True)
class Row:
    """A data set, a model and a base loss."""

    data: str
    model: str
    base: str

    def told(self) -> str:
        """The three in one line.

        Example:
            >>> Row("scenes", "yolo11n", "ciou").told()
            'scenes · yolo11n · ciou'
        """
        return f"{self.data} · {self.model} · {self.base}"

    def spelt(self) -> str:
        """The three, and what each of them is.

        Example:
            >>> Row("scenes", "yolo11n", "ciou").spelt()
            'data scenes · model yolo11n · base loss ciou'
        """
        return f"data {self.data} · model {self.model} · base loss {self.base}"


@dataclass(frozen=True)
class Contrast:
    """Two ways of training that are compared; differences are `after` − `before`.

    Attributes:
        kind: against the baseline, a control, the best plain base, among weights, or under label noise.
        after, before: the ways. Under noise: the ICR arm on the noisy and on the clean data set.
    """

    kind: str
    after: Way
    before: Way

    def told(self) -> str:
        """Both in words, with what sets them apart.

        Example:
            >>> icr, plain = Way("a", "m", "ciou", "icr", 2.5), Way("a", "m", "giou", "baseline", 0.0)
            >>> Contrast("baseline", icr, replace(plain, base="ciou")).told(), Contrast("best base", icr, plain).told()
            ('icr − baseline', 'icr − baseline of giou')
        """
        if self.kind == UNDER_NOISE:
            return f"(icr − baseline) on {self.after.data} − (icr − baseline) on {self.before.data}"
        if self.kind == AMONG_WEIGHTS:
            return f"λ {self.after.weight:g} − λ {self.before.weight:g}"
        other = f" of {self.before.base}" if self.before.base != self.after.base else ""
        return f"{self.after.arm} − {self.before.arm}{other}"


def reference_weight(weights: Iterable[float]) -> float | None:
    """The λ that stands for an arm: the paper's, or the one of the grid that is nearest to it.

    Example:
        >>> reference_weight([1.0, 2.5, 4.0]), reference_weight([1.0, 2.0]), reference_weight([])
        (2.5, 2.0, None)
    """
    best = stable_weights()[2]
    return min(weights, key=lambda weight: (abs(weight - best), weight), default=None)


def weights_of(ways: Iterable[Way], row: Row, arm: str = ICR) -> list[float]:
    """The weights with which an arm was run in a row, rising."""
    return sorted({way.weight for way in ways if way.row == row and way.arm == arm})


def chosen(ways: Iterable[Way], row: Row, arm: str) -> Way | None:
    """The way that stands for an arm in a row: the one with the reference weight."""
    weight = reference_weight(weights_of(ways, row, arm))
    return None if weight is None else Way(row.data, row.model, row.base, arm, weight)


@dataclass(frozen=True)
class Choices:
    """What was chosen on the validation pictures.

    Attributes:
        bases: the best base without ICR, by data set and model.
        gains: the best box gain, the baseline's own among them; only where others were tried.
        weights: the best λ of the ICR arm.
    """

    bases: Mapping[tuple[str, str], str]
    gains: Mapping[Row, Way]
    weights: Mapping[Row, float]


def contrasts(ways: Sequence[Way], choices: Choices) -> list[Contrast]:
    """Everything that these ways allow to be compared, each pair once.

    Args:
        ways: those with at least one finished run.
        choices: made on the validation pictures.
    """
    found: list[Contrast] = []
    for row in dict.fromkeys(way.row for way in ways):
        icr, plain = chosen(ways, row, ICR), chosen(ways, row, BASELINE)
        for arm in (ICR, *FORMS):
            after = chosen(ways, row, arm)
            if after and plain:
                found.append(Contrast(AGAINST_BASELINE, after, plain))
        if icr is None:
            continue
        controls = [control for arm in CONTROLS if (control := _alike(ways, icr, arm))]
        gain = choices.gains.get(row)
        if gain is not None and gain.arm != BASELINE:
            controls.append(gain)
        found += [Contrast(AGAINST_CONTROL, icr, control) for control in controls]
        best = choices.bases.get((row.data, row.model))
        if best is not None and best != row.base:
            found.append(Contrast(AGAINST_BEST_BASE, icr, Way(row.data, row.model, best, BASELINE, 0.0)))
        found += _among_weights(ways, icr, choices.weights.get(row))
    return found


def _alike(ways: Sequence[Way], icr: Way, arm: str) -> Way | None:
    """The control that belongs to an ICR arm: of its own λ, or of none."""
    own = [replace(icr, arm=arm), replace(icr, arm=arm, weight=0.0)]
    return next((way for way in own if way in ways), None)


def _among_weights(ways: Sequence[Way], icr: Way, best: float | None) -> list[Contrast]:
    """Each λ against the reference, and each against the one that did best on the validation pictures."""
    others = [replace(icr, weight=weight) for weight in weights_of(ways, icr.row) if weight != icr.weight]
    found = [Contrast(AMONG_WEIGHTS, other, icr) for other in others]
    if best is not None and best != icr.weight:
        top = replace(icr, weight=best)
        found += [Contrast(AMONG_WEIGHTS, other, top) for other in others if other != top]
    return found


def endpoints(contrast: Contrast, children: Sequence[str], parents: Sequence[str]) -> list[Endpoint]:
    """The figures in which a contrast is judged.

    Args:
        contrast: what is compared.
        children: class names.
        parents: names of the classes that are parents and no children.

    Example:
        >>> way = Way("a", "m", "ciou", "icr", 2.5)
        >>> [each.key for each in endpoints(Contrast("control", way, way), ["plate"], ["car"])]
        ['plate.AP50', 'plate.AP_small']
    """
    if contrast.kind == AMONG_WEIGHTS:
        return [Endpoint(f"{child}.AP50", f"{child} AP50", UNHARMED) for child in children]
    primary = [
        Endpoint(f"{child}.{metric}", f"{child} {metric.replace('_', ' ')}", PRIMARY)
        for child in children
        for metric in ("AP50", "AP_small")
    ]
    if contrast.kind != AGAINST_BASELINE or contrast.after.arm != ICR:
        return primary
    secondary = [
        Endpoint(f"{child}.{metric}", f"{child} {name}", SECONDARY)
        for child in children
        for metric, name in (
            ("AP_medium", "AP medium"),
            ("AR", "AR"),
            ("recall_tiny", f"recall under {TINY:g} px²"),
            (LEARNING, f"{LEARNING} (val)"),
        )
    ]
    return [*primary, *secondary, *(Endpoint(f"{each}.AP", f"{each} AP", UNHARMED) for each in parents)]
