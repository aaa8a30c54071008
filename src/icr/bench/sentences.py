"""What a store shows, in sentences: the verdict first, then what it rests on and what it does not show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from icr.bench.analysis import Analysis, Finding, primary
from icr.bench.contrasts import (
    AGAINST_BEST_BASE,
    AGAINST_CONTROL,
    BASELINE,
    ICR,
    Row,
    chosen,
)
from icr.bench.evidence import line_of, signed, together
from icr.bench.tables import relation_by_epoch
from icr.metrics.verdict import HELPS, NO_DIFFERENCE

RELATION_CONTROLS = ("matched", "pseudo-parent")
"""The relation matters only where ICR beats both."""


@dataclass(frozen=True)
class Sentences:
    """What is said of one data set, model and base.

    Attributes:
        row: which.
        effect: whether the children are found better, one sentence for each primary figure.
        relation: whether the relation is what makes the difference.
        worth: whether ICR beats the best plain base.
        material: how much there was for ICR to act on; empty where nothing was logged.
    """

    row: Row
    effect: tuple[str, ...]
    relation: str
    worth: str
    material: str

    @property
    def all(self) -> tuple[str, ...]:
        """Every sentence, in the order of reading."""
        return tuple(each for each in (*self.effect, self.relation, self.worth, self.material) if each)


def headline(analysis: Analysis) -> str:
    """The answer in one sentence: ICR against the baseline in the first primary figure, row by row counted."""
    first = [found[0] for row in analysis.rows if (found := primary(analysis.findings, row))]
    if not first:
        runs = f"{analysis.finished} run{'' if analysis.finished == 1 else 's'}"
        return f"Nothing can be said yet: of {runs} that can be measured, no seed has both the baseline and icr."
    figure = first[0].row.endpoint.name
    if len(first) == 1:
        word, one = first[0].row.verdict.word, first[0]
        rests = f"{_difference(one)}, {_pairs(one)}{_corrected(analysis, one)}"
        return f"ICR against the baseline, {figure}: {word} ({rests})."
    word = together([each.row.verdict.word for each in first])
    return f"ICR against the baseline, {figure}, over {len(first)} combinations of data, model and base: {word}."


def speak(analysis: Analysis) -> list[Sentences]:
    """Say of each data set, model and base what was found."""
    return [
        Sentences(
            row=row,
            effect=_effect(analysis, row),
            relation=_relation(analysis, row),
            worth=_worth(analysis, row),
            material=_material(analysis, row),
        )
        for row in analysis.rows
        if chosen(analysis.runs, row, ICR) or chosen(analysis.runs, row, BASELINE)
    ]


def _effect(analysis: Analysis, row: Row) -> tuple[str, ...]:
    found = primary(analysis.findings, row)
    if not found:
        return ("ICR and the baseline have no seed in common yet, so neither can be judged.",)
    return tuple(_told(each) for each in found)


def _told(found: Finding) -> str:
    line = line_of(found)
    name = found.row.endpoint.name
    return f"{name}: {line.word}. {line.ours}, {_difference(found)} over {_pairs(found)}; {line.reason}."


def _relation(analysis: Analysis, row: Row) -> str:
    missing = [arm for arm in RELATION_CONTROLS if not _controls(analysis, row, arm)]
    if missing:
        lacking = " and ".join(missing)
        return (
            f"Whether the relation matters cannot be said: {lacking} {'was' if len(missing) == 1 else 'were'} not run."
        )
    shown, told = [], []
    for name in dict.fromkeys(each.row.endpoint.name for each in _controls(analysis, row, RELATION_CONTROLS[0])):
        words = {
            arm: next(
                (each.row.verdict.word for each in _controls(analysis, row, arm) if each.row.endpoint.name == name), ""
            )
            for arm in RELATION_CONTROLS
        }
        if all(word == HELPS for word in words.values()):
            shown.append(name)
        else:
            told.append(f"{name}: " + ", ".join(f"against {arm} {word or 'no value'}" for arm, word in words.items()))
    parts = []
    if shown:
        beaten = " and ".join(RELATION_CONTROLS)
        parts.append(f"That the relation matters is shown for {' and '.join(shown)}: ICR beats both {beaten}.")
    if told:
        besides = "beyond that " if shown else ""
        parts.append(f"That the relation matters is {besides}not shown: {'; '.join(told)}.")
    return " ".join(parts)


def _controls(analysis: Analysis, row: Row, arm: str) -> list[Finding]:
    return [
        each
        for each in analysis.findings
        if each.contrast.kind == AGAINST_CONTROL and each.contrast.before.arm == arm and each.contrast.after.row == row
    ]


def _worth(analysis: Analysis, row: Row) -> str:
    bases = {way.base for way in analysis.runs if (way.data, way.model, way.arm) == (row.data, row.model, BASELINE)}
    best = analysis.choices.bases.get((row.data, row.model))
    if len(bases) < 2 or best is None:
        why = "no other base was run without ICR" if len(bases) < 2 else "nothing was noted of the validation pictures"
        return f"Whether it is worth having cannot be said: {why}, so the best plain base is not known."
    if best == row.base:
        found = primary(analysis.findings, row)
    else:
        found = [
            each
            for each in analysis.findings
            if each.contrast.kind == AGAINST_BEST_BASE and each.contrast.after.row == row
        ]
    if not found:
        return f"Whether it is worth having cannot be said: ICR and the best plain base, {best}, share no seed yet."
    good = [each.row.endpoint.name for each in found if each.row.verdict.word == HELPS]
    if good:
        return f"It is worth having for {' and '.join(good)}: it beats the best plain base, {best}."
    told = ", ".join(f"{each.row.endpoint.name} {each.row.verdict.word} ({_difference(each)})" for each in found)
    return f"That it is worth having is not shown: against the best plain base, {best}: {told}."


def _material(analysis: Analysis, row: Row) -> str:
    way = chosen(analysis.runs, row, ICR)
    epochs = relation_by_epoch(list(analysis.runs[way].values())) if way else {}
    known = [(inside, factor) for _, inside, factor in epochs.values() if inside is not None and factor is not None]
    if not known:
        return ""
    (first, much), (last, little) = known[0], known[-1]
    return (
        f"What there was for ICR to act on: mean R {first:.2f} in the first epoch and {last:.2f} in the last, "
        f"mean factor {much:.2f} and {little:.2f}."
    )


def _difference(found: Finding) -> str:
    row = found.row
    ends: Sequence[float | None] = [100 * end for end in row.interval] if row.interval else [None, None]
    return f"{signed(100 * row.mean, ends[0], ends[1], 1)} points"


def _corrected(analysis: Analysis, found: Finding) -> str:
    """Why nothing is shown by an interval that leaves out 0; else nothing."""
    low, high = found.row.interval or (-1.0, 1.0)
    plain = found.row.verdict.word == NO_DIFFERENCE and (low > 0 or high < 0)
    return f"; not enough where {len(analysis.findings)} claims are judged together" if plain else ""


def _pairs(found: Finding) -> str:
    return f"{len(found.seeds)} pair{'' if len(found.seeds) == 1 else 's'} of runs"
