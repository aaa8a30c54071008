"""From an estimated difference to a word, by rules that were fixed before anything was measured.

Figures are ratios, 0..1; what is said to a person is in points, 0..100.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from icr.metrics.paired import (
    Estimate,
    Numbers,
    half_width,
    holm,
    p_difference,
    p_equivalence,
    satterthwaite,
)

HELPS = "helps"
HURTS = "hurts"
EQUIVALENT = "equivalent"
NO_DIFFERENCE = "no difference shown"
CANNOT_TELL = "cannot tell"

MANY_SEEDS = 100
"""Nobody runs more, so a greater number needed is not told."""

MOST_SEEDS = 1000
"""Beyond so many seeds the number needed is not looked for."""

_SURE = 0.8
"""How surely the scatter of seeds, itself a guess from a few of them, lies in the range used for the seeds needed."""


@dataclass(frozen=True)
class Rules:
    """What was fixed beforehand.

    Attributes:
        alpha: error allowed over all claims of one comparison together.
        margin: differences smaller than this are as good as none, 0..1.
        floor, ceiling: outside of these a baseline is too weak, or too near perfection, for a difference to show, 0..1.
        fewest_seeds: with fewer pairs of runs nothing is said.
    """

    alpha: float = 0.05
    margin: float = 0.01
    floor: float = 0.05
    ceiling: float = 0.90
    fewest_seeds: int = 3


FIXED = Rules()


@dataclass(frozen=True)
class Claim:
    """One figure that may have changed.

    Attributes:
        baseline: the baseline's mean figure over the seeds, 0..1.
        estimate: of the difference; None with a single pair of runs.
        unharmed: the claim is that nothing got worse (parents), not that something got better: then a baseline may
            stand as high as it likes, and a difference within the margin is `equivalent` even if it is surely there.
    """

    baseline: float
    estimate: Estimate | None
    unharmed: bool = False


@dataclass(frozen=True)
class Need:
    """What it would take to settle a claim.

    Attributes:
        fewest: more pairs of runs, if the difference is as large as it looks and seeds scatter as little as they may;
            None: no number up to `MOST_SEEDS` suffices.
        most: more pairs of runs, whatever the difference is, if seeds scatter as much as they may; None: no number up
            to `MOST_SEEDS` suffices, or one pair of runs tells nothing about it.
        pictures: how many times as many test pictures the latter would need besides; None: these are enough.
    """

    fewest: int | None
    most: int | None
    pictures: float | None = None

    def told(self) -> str:
        """The need in words.

        Example:
            >>> Need(2, 17).told(), Need(1, None).told()
            ('2 to 17 more seeds', 'at least 1 more seed')
            >>> Need(1, 755).told()
            '1 more seed if the difference is as large as it looks, perhaps more than 100'
            >>> Need(4, None, 2.5).told()
            '4 more seeds if the difference is as large as it looks, else about 2.5 times as many test pictures as well'
        """
        if self.fewest is None:
            many = f"more than {MOST_SEEDS} seeds"
            return many if self.pictures is None else f"about {_times(self.pictures)} times as many test pictures"
        seeds = f"{self.fewest} more seed{'s' if self.fewest > 1 else ''}"
        if self.pictures is not None:
            as_well = f"about {_times(self.pictures)} times as many test pictures as well"
            return f"{seeds} if the difference is as large as it looks, else {as_well}"
        if self.most is None:
            return f"at least {seeds}"
        if self.most > MANY_SEEDS:
            return f"{seeds} if the difference is as large as it looks, perhaps more than {MANY_SEEDS}"
        return seeds if self.most == self.fewest else f"{self.fewest} to {self.most} more seeds"


@dataclass(frozen=True)
class Verdict:
    """A word with its reason.

    Attributes:
        word: `helps`, `hurts`, `no difference shown`, `equivalent` or `cannot tell`.
        reason: why, in one line.
        p: two-sided, of no difference, after Holm's correction; None with a single pair of runs.
        p_equivalent: of a difference of the margin or more, after Holm's correction.
        need: what it would take to settle it; None where it is settled, or seeds are not what is lacking.
    """

    word: str
    reason: str
    p: float | None = None
    p_equivalent: float | None = None
    need: Need | None = None


def judge(claims: Sequence[Claim], rules: Rules = FIXED) -> list[Verdict]:
    """Give each claim its word; all of them together are held against one level.

    A claim with too few runs or a baseline out of range still counts among the claims: dropping it after the fact would
    make the others easier.

    Args:
        claims: all claims of one comparison.
        rules: fixed beforehand.

    Example:
        >>> from icr.metrics.paired import estimate
        >>> none = np.zeros((4, 4))
        >>> clear = estimate(np.array([0.05, 0.06, 0.055, 0.052]), none, pictures=50)
        >>> vague = estimate(np.array([0.05, -0.06, 0.055, -0.02]), none, pictures=50)
        >>> [each.word for each in judge([Claim(0.4, clear), Claim(0.4, vague), Claim(0.01, clear)])]
        ['helps', 'cannot tell', 'cannot tell']
    """
    estimates = [claim.estimate for claim in claims if claim.estimate is not None]
    if not estimates:
        return [_judge(claim, None, None, len(claims), rules) for claim in claims]
    different = iter(holm(np.array([float(p_difference(each)) for each in estimates])))
    equivalent = iter(holm(np.array([float(p_equivalence(each, rules.margin)) for each in estimates])))
    return [
        _judge(claim, None, None, len(claims), rules)
        if claim.estimate is None
        else _judge(claim, float(next(different)), float(next(equivalent)), len(claims), rules)
        for claim in claims
    ]


def need(found: Estimate, claims: int, rules: Rules = FIXED) -> Need:
    """What it would take until the interval, at the level that `claims` claims ask for, is narrow enough.

    Narrow enough is, at best, to leave out 0 if the difference is what it looks like; at worst, to reach no farther
    than the margin to either side. How much seeds scatter is known from a few of them only, so both ends of the range
    take it from the interval in which it lies four times out of five.

    Args:
        found: the estimate so far.
        claims: number of claims that are judged together.
        rules: fixed beforehand.

    Example:
        >>> from icr.metrics.paired import estimate
        >>> need(estimate(np.array([0.03, 0.01, 0.05, -0.01, 0.02]), np.zeros((5, 5)), pictures=100), claims=1).told()
        '1 to 70 more seeds'
    """
    from scipy.special import chdtri

    alpha, df = rules.alpha / max(claims, 1), found.seeds - 1
    spread = float(found.seed_variance) * found.seeds
    least, most = (spread * df / float(chdtri(df, tail)) for tail in ((1 - _SURE) / 2, (1 + _SURE) / 2))
    begin = max(found.seeds + 1, rules.fewest_seeds)
    widest = max(abs(float(found.mean)), rules.margin)
    fewest = _seeds_until(least, found, alpha, widest, begin)
    whole = _seeds_until(most, found, alpha, rules.margin, begin)
    pictures = None
    limit = float(half_width(found.image_variance, np.array(max(found.pictures - 1, 1)), alpha))
    if limit >= rules.margin:
        # With twice the pictures that would just do, half of what is left may come from the seeds.
        pictures = 2 * (limit / rules.margin) ** 2
    return Need(_beyond(fewest, found.seeds), _beyond(whole, found.seeds), pictures)


def _beyond(wanted: int | None, seeds: int) -> int | None:
    return None if wanted is None else wanted - seeds


def _seeds_until(spread: float, found: Estimate, alpha: float, narrow: float, begin: int) -> int | None:
    """The smallest number of seeds that makes half the interval no wider than `narrow`, None where none does."""
    seeds: Numbers = np.arange(begin, max(MOST_SEEDS, begin) + 1, dtype=np.float64)
    of_seeds, of_pictures = spread / seeds, np.broadcast_to(found.image_variance, seeds.shape)
    picture_df = max(found.pictures - 1, 1)
    df = satterthwaite(of_seeds, seeds - 1, of_pictures, picture_df)
    enough = np.flatnonzero(half_width(of_seeds + of_pictures, df, alpha) <= narrow)
    return int(seeds[enough[0]]) if enough.size else None


def _judge(claim: Claim, p: float | None, p_equivalent: float | None, claims: int, rules: Rules) -> Verdict:
    found = claim.estimate
    pairs = 1 if found is None else found.seeds
    if found is None or p is None or p_equivalent is None or pairs < rules.fewest_seeds:
        lacking = Need(rules.fewest_seeds - pairs, None) if found is None else need(found, claims, rules)
        counted = "one pair of runs" if pairs == 1 else f"{pairs} pairs of runs"
        reason = f"{counted}, and {rules.fewest_seeds} are the least from which anything is said"
        return Verdict(CANNOT_TELL, reason, p, p_equivalent, lacking)
    stands = f"the baseline stands at {_points(claim.baseline)}"
    if claim.baseline < rules.floor:
        reason = f"{stands}, under {100 * rules.floor:.3g}: too weak for a difference to show"
        return Verdict(CANNOT_TELL, f"{reason}; train longer, or a larger model", p, p_equivalent)
    if claim.baseline > rules.ceiling and not claim.unharmed:
        reason = f"{stands}, over {100 * rules.ceiling:.3g}: hardly any room above it"
        return Verdict(CANNOT_TELL, f"{reason}; take harder pictures", p, p_equivalent)
    return _weigh(claim.unharmed, found, p, p_equivalent, claims, rules)


def _weigh(unharmed: bool, found: Estimate, p: float, p_equivalent: float, claims: int, rules: Rules) -> Verdict:
    margin = _points(rules.margin)
    low, high = float(found.low), float(found.high)
    different, equivalent = p <= rules.alpha, p_equivalent <= rules.alpha
    if equivalent and (unharmed or not different):
        return Verdict(EQUIVALENT, f"a difference of {margin} or more is ruled out", p, p_equivalent)
    if different:
        word = HELPS if float(found.mean) > 0 else HURTS
        within = f", though by less than {margin}" if equivalent else ""
        corrected = f"corrected for {claims} claims" if claims > 1 else "for this one claim"
        return Verdict(word, f"p = {p:.2g} without any difference, {corrected}{within}", p, p_equivalent)
    lacking = need(found, claims, rules)
    if low <= -rules.margin and high >= rules.margin:
        reason = f"too few runs: a gain of more than {margin} is as possible as a loss"
        if lacking.pictures is not None:
            reason = f"too few runs and test pictures: a gain of more than {margin} is as possible as a loss"
        return Verdict(CANNOT_TELL, reason, p, p_equivalent, lacking)
    if low > 0 or high < 0:
        reason = f"its interval leaves out 0, but {claims} claims are judged together, and then it is not enough"
    elif low > -rules.margin and high < rules.margin:
        reason = f"nor is a difference of {margin} ruled out with {claims} claims judged together"
    elif low > -rules.margin:
        reason = f"a loss of {margin} or more is unlikely, a gain is neither shown nor ruled out"
    else:
        reason = f"a gain of {margin} or more is unlikely, a loss is neither shown nor ruled out"
    return Verdict(NO_DIFFERENCE, reason, p, p_equivalent, lacking)


def _times(number: float) -> str:
    """Two digits, never as a power of ten.

    Example:
        >>> _times(2.54), _times(131.4)
        ('2.5', '130')
    """
    return f"{float(f'{number:.2g}'):.7g}" if number < 1e6 else f"{number:.0f}"


def _points(ratio: float) -> str:
    points = f"{100 * ratio:.3g}"
    return f"{points} point{'' if points == '1' else 's'}"
