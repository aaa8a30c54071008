"""Evidence as a reader sees it: what was compared, the figures before and after, the difference, the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from icr.bench.analysis import Finding
from icr.bench.contrasts import Row
from icr.bench.lab_claim import BoxFigure
from icr.bench.store import Stored
from icr.metrics.verdict import CANNOT_TELL, EQUIVALENT, HELPS, HURTS, NO_DIFFERENCE

COST_MARGIN = 0.03
"""A training that takes this share longer or shorter takes as good as the same time."""


@dataclass(frozen=True)
class Line:
    """One piece of evidence for a claim.

    Attributes:
        data: the data set it was found on.
        where: data set, model and base; or the simulation.
        what: the figure, and the two that are compared.
        ours: its value before and after, in points unless said otherwise.
        difference: with its interval.
        word: the verdict.
        reason: why, and what it would take to settle it.
        runs: keys of the cells behind it.
    """

    data: str
    where: str
    what: str
    ours: str
    difference: str
    word: str
    reason: str
    runs: tuple[str, ...] = ()


def line_of(found: Finding) -> Line:
    """A finding as a line of evidence, in points."""
    row = found.row
    alone = "; its interval covers the choice of pictures alone" if row.estimate is None and row.interval else ""
    need = f"; to settle it: {row.verdict.need.told()}" if row.verdict.need else ""
    before, after = (100 * float(np.mean(side)) for side in (row.before, row.after))
    ends = [100 * end for end in row.interval] if row.interval else [None, None]
    return Line(
        data=found.contrast.after.data,
        where=found.contrast.after.row.told(),
        what=f"{row.endpoint.name}, {found.contrast.told()}",
        ours=f"{before:.1f} → {after:.1f}",
        difference=signed(100 * row.mean, ends[0], ends[1], 1),
        word=row.verdict.word,
        reason=f"{row.verdict.reason}{alone}{need}",
        runs=found.runs,
    )


def signed(value: float, low: float | None, high: float | None, digits: int) -> str:
    """A difference with its interval, to one place (`digits` 1) or three significant digits.

    Example:
        >>> signed(1.25, -0.5, 3.0, 1)
        '+1.2 [−0.5, +3.0]'
    """
    form = "+.1f" if digits == 1 else "+.3g"
    told = format(value, form) if low is None or high is None else f"{value:{form}} [{low:{form}}, {high:{form}}]"
    return told.replace("-", "−")


def line_of_boxes(base: str, found: BoxFigure) -> Line:
    """A figure of simulated boxes as a line of evidence."""
    better = found.high < 0 if found.lower_is_better else found.low > 0
    worse = found.low > 0 if found.lower_is_better else found.high < 0
    word = HELPS if better else HURTS if worse else NO_DIFFERENCE
    return Line(
        data="simulated boxes",
        where=f"simulated boxes · {base}",
        what=found.name,
        ours=f"{found.before:.3g} → {found.after:.3g}",
        difference=signed(found.difference, found.low, found.high, 3),
        word=word,
        reason="the interval leaves out 0" if better or worse else "the interval holds 0",
    )


def line_of_cost(row: Row, before: Sequence[Stored], after: Sequence[Stored]) -> Line:
    """The time of trainings, paired by seed, as a line of evidence.

    Args:
        row: data set, model and base.
        before, after: the cells of either arm, those of one seed at the same place.
    """
    from scipy.special import stdtrit

    ratios = np.log([other.seconds / one.seconds for one, other in zip(before, after, strict=True)])
    middle, word, reason, told = float(ratios.mean()), CANNOT_TELL, "one pair of runs", ""
    if len(ratios) > 1:
        half = float(stdtrit(len(ratios) - 1, 0.975)) * float(ratios.std(ddof=1)) / len(ratios) ** 0.5
        low, high = np.exp(middle - half), np.exp(middle + half)
        told = f" [{low:.2f}, {high:.2f}]"
        within = low > 1 - COST_MARGIN and high < 1 + COST_MARGIN
        word = EQUIVALENT if within else HURTS if low > 1 else CANNOT_TELL
        reason = f"equivalent means within ±{COST_MARGIN:.0%}"
    sides = (np.mean([each.seconds for each in side]) for side in (before, after))
    return Line(
        data=row.data,
        where=row.told(),
        what="seconds of a training",
        ours=" → ".join(f"{side:.0f} s" for side in sides),
        difference=f"× {np.exp(middle):.2f}{told}",
        word=word,
        reason=reason,
        runs=tuple(each.cell.key for pair in zip(before, after, strict=True) for each in pair),
    )


def together(words: Sequence[str]) -> str:
    """Several verdicts as one: the word itself, or how often each.

    Example:
        >>> together(["helps"]), together(["helps", "cannot tell", "helps"])
        ('helps', 'helps in 2 of 3, cannot tell in 1')
    """
    counted = Counter(words).most_common()
    if len(counted) == 1:
        return counted[0][0]
    first, *others = counted
    rest = "".join(f", {word} in {number}" for word, number in others)
    return f"{first[0]} in {first[1]} of {len(words)}{rest}"
