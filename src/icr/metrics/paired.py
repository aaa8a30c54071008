"""How sure a mean difference between two ways of training is, when both are judged on the same pictures.

The model. Seed i trains both arms; its difference in a figure, on one test set that all seeds share, is

    D_i = θ + b + e_i

θ is the difference that trainings in general make on pictures in general. b is the error that comes from these test
pictures; it is common to all seeds, so that no number of seeds averages it away, and none of it shows in how the D_i
scatter. e_i is the seed's own part, independent between seeds: the luck of training, and how that luck meets these
pictures. Hence

    Var(mean D) = Var(e) / n + Var(b).

The sample variance s² of the D_i estimates Var(e), all of it. Drawing the pictures again, alike for every run, gives
the covariance of D_i and D_j over pictures; between different seeds only b is shared, so the mean covariance between
different seeds estimates Var(b). The bootstrap variance of the mean difference itself would not do: it also holds what
is left in the mean of the seeds' own dealings with the pictures, which s²/n holds already, and intervals made with it
cover up to 99 % where 95 % is meant.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
"""Coverage of the intervals."""

Numbers = npt.NDArray[np.float64]

# Nodes of the integral over the picture part, on the scale of a normal deviate.
_NODES = np.linspace(-8.0, 0.0, 161)


@dataclass(frozen=True)
class Estimate:
    """A mean paired difference with what is known of its error; every field has the shape of the claims, () for one.

    Attributes:
        mean: the mean difference.
        low, high: ends of its interval of coverage `LEVEL`.
        seed_variance: s²/n, the part of its variance that more seeds make smaller.
        image_variance: the part that only more pictures make smaller.
        df: Satterthwaite's degrees of freedom of their sum.
        seeds: n, pairs of runs.
        pictures: pictures that the figure rests on.
    """

    mean: Numbers
    low: Numbers
    high: Numbers
    seed_variance: Numbers
    image_variance: Numbers
    df: Numbers
    seeds: int
    pictures: int


def estimate(differences: Numbers, covariance: Numbers, pictures: int) -> Estimate:
    """Estimate the mean difference and its t interval from the differences of the seeds.

    Args:
        differences: (..., n), one for each seed, n of at least 2.
        covariance: (..., n, n), of these differences over resamples of the pictures, each resample drawn alike for all.
        pictures: number of pictures that the figure rests on, at least 1.

    Raises:
        ValueError: fewer than two seeds, or shapes that do not belong together.

    Example:
        >>> three = estimate(np.array([0.02, 0.04, 0.03]), np.full((3, 3), 1e-5), pictures=100)
        >>> [round(float(each), 3) for each in (three.mean, three.low, three.high)]
        [0.03, 0.01, 0.05]
    """
    seeds = differences.shape[-1]
    if seeds < 2:
        raise ValueError(f"{seeds} seeds; how much seeds scatter takes at least two")
    if covariance.shape != (*differences.shape, seeds):
        raise ValueError(f"covariance has shape {covariance.shape}; expected {(*differences.shape, seeds)}")
    mean = differences.mean(axis=-1)
    of_seeds = differences.var(axis=-1, ddof=1) / seeds
    of_pictures = common_variance(covariance) * (pictures / max(pictures - 1, 1))
    df = satterthwaite(of_seeds, seeds - 1, of_pictures, max(pictures - 1, 1))
    half = half_width(of_seeds + of_pictures, df, 1 - LEVEL)
    return Estimate(mean, mean - half, mean + half, of_seeds, of_pictures, df, seeds, pictures)


def common_variance(covariance: Numbers) -> Numbers:
    """The variance that all seeds share: the mean covariance between different seeds, at least 0.

    Args:
        covariance: (..., n, n).

    Returns:
        (...).

    Example:
        >>> float(common_variance(np.array([[5.0, 1.0], [1.0, 7.0]])))
        1.0
    """
    seeds = covariance.shape[-1]
    own = np.trace(covariance, axis1=-2, axis2=-1)
    shared: Numbers = np.clip((covariance.sum(axis=(-2, -1)) - own) / (seeds * (seeds - 1)), 0, None)
    return shared


def satterthwaite(first: Numbers, first_df: float | Numbers, second: Numbers, second_df: float) -> Numbers:
    """Degrees of freedom of the sum of two estimated variances.

    Example:
        >>> float(satterthwaite(np.array(1.0), 4, np.array(1.0), 4))
        8.0
    """
    whole = (first + second) ** 2
    parts = first**2 / first_df + second**2 / second_df
    alone = np.broadcast_to(np.asarray(first_df, np.float64), np.shape(whole)).copy()
    df: Numbers = np.divide(whole, parts, out=alone, where=parts > 0)
    return df


def half_width(variance: Numbers, df: Numbers, alpha: float) -> Numbers:
    """Half the width of the t interval that misses with probability `alpha`."""
    from scipy.special import stdtrit

    half: Numbers = stdtrit(df, 1 - alpha / 2) * np.sqrt(variance)
    return half


def p_beyond(found: Estimate, value: float) -> Numbers:
    """How likely a mean as high as the one found would be, were the true difference only `value`; one-sided.

    The error of the mean is taken as √(seed variance) · t₍ₙ₋₁₎ + √(picture variance) · t₍pictures₋₁₎ (Behrens and
    Fisher). Satterthwaite's single t serves for an interval of 95 %, but not for the far tails in which a correction
    for many claims looks: where the seeds happen to scatter little it takes them for well known, and with three seeds
    forty null claims then bring a false one in up to 28 % of trials.

    Args:
        found: the estimate.
        value: a difference.

    Returns:
        (...), 0..1.

    Example:
        >>> clear = estimate(np.array([0.05, 0.06, 0.055]), np.zeros((3, 3)), pictures=50)
        >>> round(float(p_beyond(clear, 0.0)), 4), round(float(p_beyond(clear, 0.055)), 4)
        (0.0014, 0.5)
    """
    from scipy.special import ndtr, stdtr, stdtrit

    lower = stdtrit(max(found.pictures - 1, 1), ndtr(_NODES))
    deviates = np.concatenate([lower, -lower[-2::-1]])
    shares = np.exp(-0.5 * np.concatenate([_NODES, -_NODES[-2::-1]]) ** 2)
    left = (found.mean - value)[..., None] - np.sqrt(found.image_variance)[..., None] * deviates
    seed_error = np.broadcast_to(np.sqrt(found.seed_variance)[..., None], left.shape)
    certain = np.where(left == 0, 0.0, np.copysign(np.inf, left))
    scaled = np.divide(left, seed_error, out=certain, where=seed_error > 0)
    tail: Numbers = stdtr(found.seeds - 1, -scaled) @ (shares / shares.sum())
    return tail


def p_difference(found: Estimate) -> Numbers:
    """Two-sided: how likely so large a mean difference would be, were there none."""
    up = p_beyond(found, 0.0)
    both: Numbers = np.minimum(2 * np.minimum(up, 1 - up), 1.0)
    return both


def p_equivalence(found: Estimate, margin: float) -> Numbers:
    """Two one-sided tests: how likely so small a mean difference would be, were the true one `margin` or more.

    Example:
        >>> same = estimate(np.array([0.001, -0.001, 0.0]), np.zeros((3, 3)), pictures=50)
        >>> bool(p_equivalence(same, 0.01) < 0.01), bool(p_equivalence(same, 0.0005) < 0.05)
        (True, False)
    """
    worse: Numbers = np.maximum(p_beyond(found, -margin), 1 - p_beyond(found, margin))
    return worse


def holm(p: Numbers) -> Numbers:
    """Holm's correction: p values that may all be held against one level, whatever their number.

    Args:
        p: (..., claims).

    Returns:
        (..., claims), 0..1, in the same order.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, axis=-1, kind="stable")
    factors = np.arange(p.shape[-1], 0, -1)
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, axis=-1) * factors, axis=-1)
    corrected = np.empty_like(stepped)
    np.put_along_axis(corrected, order, np.minimum(stepped, 1.0), axis=-1)
    return corrected
