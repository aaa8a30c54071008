"""Each claim of the paper with its verdict: the paper's figure, ours, on which data, by which runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from icr.bench.analysis import Analysis, Finding
from icr.bench.contrasts import (
    AGAINST_BASELINE,
    AGAINST_BEST_BASE,
    AMONG_WEIGHTS,
    BASELINE,
    ICR,
    LEARNING,
    UNDER_NOISE,
    Row,
    chosen,
)
from icr.bench.evidence import Line, line_of, line_of_boxes, line_of_cost, together
from icr.bench.lab_claim import BoxFigure, try_boxes
from icr.bench.paper import PaperClaim, claims, stable_weights
from icr.metrics.comparison import UNHARMED
from icr.metrics.verdict import EQUIVALENT, HELPS, HURTS

NOT_MEASURED = "not measured here"

_LEARNING_NOTE = "AP on the validation pictures, averaged over all epochs; its interval is of seeds alone"


@dataclass(frozen=True)
class ClaimResult:
    """A claim with all the evidence for or against it.

    Attributes:
        paper: the claim as the paper has it.
        word: the verdict of all lines together, counted where they differ.
        lines: the evidence.
        note: what a reader should know, or what would measure the claim.
    """

    paper: PaperClaim
    word: str
    lines: tuple[Line, ...]
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        """The claim as plain values."""
        return {
            "number": self.paper.number,
            "claim": self.paper.claim,
            "paper": self.paper.figure,
            "verdict": self.word,
            "evidence": [{**vars(line), "runs": list(line.runs)} for line in self.lines],
            "note": self.note,
        }


def judge_claims(
    analysis: Analysis, boxes: Callable[[str], Sequence[BoxFigure]] = try_boxes
) -> tuple[ClaimResult, ...]:
    """Give each of the paper's claims its verdict.

    Args:
        analysis: of the store.
        boxes: tries one box under a base loss, without and with ICR.
    """
    return tuple(_SPEAKERS[each.number](each, analysis, boxes) for each in claims())


_Boxes = Callable[[str], Sequence[BoxFigure]]
_Speaker = Callable[[PaperClaim, Analysis, _Boxes], ClaimResult]


def _by_endpoint(ending: str, preset: str, note: str = "") -> _Speaker:
    """A claim that rests on ICR against the baseline in one figure of the children."""

    def speak(claim: PaperClaim, analysis: Analysis, _: _Boxes) -> ClaimResult:
        found = [each for each in _icr(analysis) if each.row.endpoint.key.endswith(f".{ending}")]
        found = [each for each in found if each.row.endpoint.kind != UNHARMED]
        return _result(claim, [line_of(each) for each in found], preset, note)

    return speak


def _unharmed(claim: PaperClaim, analysis: Analysis, _: _Boxes) -> ClaimResult:
    found = [each for each in _icr(analysis) if each.row.endpoint.kind == UNHARMED]
    margin = f"{100 * analysis.rules.margin:g}"
    note = f"only `{EQUIVALENT}` (within ±{margin} point) speaks for this claim; absence of a difference does not"
    return _result(claim, [line_of(each) for each in found], "table3", note)


def _bases(claim: PaperClaim, analysis: Analysis, _: _Boxes) -> ClaimResult:
    bases = {row.base for row in analysis.rows}
    found = [each for each in _icr(analysis) if each.row.endpoint.key.endswith(".AP50")]
    best = [
        each
        for each in analysis.findings
        if each.contrast.kind == AGAINST_BEST_BASE and each.row.endpoint.key.endswith(".AP50")
    ]
    note = "ICR is worth having only where it beats the best base without it, chosen on the validation pictures"
    if len(bases) < 2:
        only = f"only {next(iter(bases))} was run; " if bases else ""
        return ClaimResult(claim, NOT_MEASURED, (), f"{only}{_would('table4')}; {note}")
    return _result(claim, [line_of(each) for each in (*found, *best)], "table4", note)


def _weights(claim: PaperClaim, analysis: Analysis, _: _Boxes) -> ClaimResult:
    low, high, best = stable_weights()
    among = [each for each in analysis.findings if each.contrast.kind == AMONG_WEIGHTS]
    stable = [
        each for each in among if all(low <= way.weight <= high for way in (each.contrast.after, each.contrast.before))
    ]
    told = [
        f"{row.told()}: not beaten are λ {', '.join(f'{weight:g}' for weight in unbeaten)}"
        for row in analysis.rows
        if (unbeaten := unbeaten_weights(analysis, row))
    ]
    note = f"stable means `{EQUIVALENT}` for each λ from {low:g} to {high:g} against λ {best:g} or the nearest to it"
    return _result(claim, [line_of(each) for each in stable], "fig4", "; ".join([note, *told]))


def unbeaten_weights(analysis: Analysis, row: Row) -> list[float]:
    """The weights of ICR that no other is shown to beat in the children's AP50; empty with fewer than two.

    Args:
        analysis: of the store.
        row: data set, model and base.
    """
    among = [
        each for each in analysis.findings if each.contrast.kind == AMONG_WEIGHTS and each.contrast.after.row == row
    ]
    weights = {weight for each in among for weight in (each.contrast.after.weight, each.contrast.before.weight)}
    beaten = {
        each.contrast.before.weight if each.row.verdict.word == HELPS else each.contrast.after.weight
        for each in among
        if each.row.verdict.word in (HELPS, HURTS)
    }
    return sorted(weights - beaten)


def _smaller(claim: PaperClaim, analysis: Analysis, _: _Boxes) -> ClaimResult:
    found = [each for each in _icr(analysis) if each.row.endpoint.key.endswith(".recall_tiny")]
    smallest = []
    for row in analysis.rows:
        ways = [chosen(analysis.runs, row, arm) for arm in (BASELINE, ICR)]
        for child in analysis.materials[row.data].children:
            areas = [
                [each.figures.areas[child].smallest_found for each in analysis.runs[way].values()] if way else []
                for way in ways
            ]
            if all(any(area >= 0 for area in side) for side in areas):
                told = " → ".join(f"{min(area for area in side if area >= 0):.0f}" for side in areas)
                smallest.append(f"smallest {child} found by any seed, {row.told()}: {told} px²")
    note = "; ".join(["the smallest area alone hangs on a single box, so recall decides", *smallest])
    return _result(claim, [line_of(each) for each in found], "fig6", note)


def _far_box(claim: PaperClaim, analysis: Analysis, boxes: _Boxes) -> ClaimResult:
    bases = list(dict.fromkeys(row.base for row in analysis.rows)) or ["ciou"]
    lines = [line_of_boxes(base, each) for base in bases for each in boxes(base)]
    note = (
        "a simulation, not a training; its intervals cover the choice of start boxes, and it is not among the claims "
        "that are judged together"
    )
    return _result(claim, lines, "", note)


def _noise(claim: PaperClaim, analysis: Analysis, _: _Boxes) -> ClaimResult:
    found = [
        each
        for each in analysis.findings
        if each.contrast.kind == UNDER_NOISE and each.row.endpoint.key.endswith(".AP50")
    ]
    note = f"`{HURTS}`: ICR gains less under label noise"
    if not found:
        note = (
            "needs a grid that has a generated data set twice, once with `label_noise`; different data sets, as the "
            "paper has them, differ in more than their noise"
        )
    return _result(claim, [line_of(each) for each in found], "", note)


def _cost(claim: PaperClaim, analysis: Analysis, _: _Boxes) -> ClaimResult:
    lines = []
    for row in analysis.rows:
        before, after = (chosen(analysis.runs, row, arm) for arm in (BASELINE, ICR))
        if before and after:
            whole = [
                seed
                for seed in sorted(analysis.runs[before])
                if seed in analysis.runs[after]
                and not any(analysis.runs[way][seed].stored.interrupted for way in (before, after))
                and all(analysis.runs[way][seed].stored.seconds > 0 for way in (before, after))
            ]
            if whole:
                sides = [[analysis.runs[way][seed].stored for seed in whole] for way in (before, after)]
                lines.append(line_of_cost(row, *sides))
    note = (
        "time of whole trainings by the clock, whatever else the machine did; `benchmarks/step.py` measures a step by "
        "itself. In prediction ICR does not occur at all"
    )
    return _result(claim, lines, "", note if lines else f"no pair of undisturbed runs; {note}")


_SPEAKERS: Mapping[int, _Speaker] = {
    1: _by_endpoint("AP50", "table2"),
    2: _by_endpoint("AP_small", "table2"),
    3: _by_endpoint("AP_medium", "table2"),
    4: _by_endpoint("AR", "table2"),
    5: _unharmed,
    6: _bases,
    7: _weights,
    8: _smaller,
    9: _by_endpoint(LEARNING, "table2", _LEARNING_NOTE),
    10: _far_box,
    11: _noise,
    12: _cost,
}


def _icr(analysis: Analysis) -> list[Finding]:
    return [
        each for each in analysis.findings if each.contrast.kind == AGAINST_BASELINE and each.contrast.after.arm == ICR
    ]


def _result(claim: PaperClaim, lines: Sequence[Line], preset: str, note: str) -> ClaimResult:
    if not lines:
        told = "; ".join(part for part in (_would(preset) if preset else "", note) if part)
        return ClaimResult(claim, NOT_MEASURED, (), told)
    return ClaimResult(claim, together([line.word for line in lines]), tuple(lines), note)


def _would(preset: str) -> str:
    return f"`icr bench run {preset}` would measure it"
