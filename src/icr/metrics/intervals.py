"""Bootstrap intervals: how far a figure moves when the pictures are drawn again, with replacement.

A resample gives each picture a weight, the number of times it was drawn. The detections were matched once, so a
resample only has to weigh their hits and misses and integrate precision over recall anew. A picture drawn twice counts
exactly as if it stood in the data twice (equal scores within one picture aside, whose order is arbitrary anyway).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from icr.metrics.coco import Matches

LEVEL = 0.95
"""Coverage of the intervals."""

_RECALLS = np.linspace(0.0, 1.0, 101)
"""COCO's recall levels."""

_AT_ONCE = 250
"""Resamples worked on together; bounds the memory, not the result."""

Weights = npt.NDArray[np.float64]


def draws(images: int, resamples: int, seed: int = 0) -> Weights:
    """How often each picture occurs in each resample.

    The same arguments give the same draws, so that two detectors evaluated on the same pictures are resampled alike.

    Args:
        images: number of pictures.
        resamples: number of resamples.
        seed: of the draws.

    Returns:
        float64 (images, resamples), whole numbers; each column sums to `images`.

    Example:
        >>> draws(4, 3).sum(axis=0).tolist()
        [4.0, 4.0, 4.0]
    """
    chance = np.full(images, 1 / images)
    drawn: Weights = np.random.default_rng(seed).multinomial(images, chance, size=resamples).T.astype(np.float64)
    return drawn


def average_precision(matches: Matches, weights: Weights) -> npt.NDArray[np.float64]:
    """AP at each IoU threshold in each resample, on COCO's rules (101 recall levels, precision made monotone).

    Args:
        matches: the records of one class and size.
        weights: (images, R), how often each picture counts.

    Returns:
        float64 (T, R), 0..1; NaN where the resample holds no object.

    Example:
        >>> one = Matches(np.array([0]), np.ones((1, 1), bool), np.zeros((1, 1), bool), np.array([1, 1]))
        >>> average_precision(one, np.array([[1.0, 2.0], [1.0, 0.0]])).round(3).tolist()
        [[0.505, 1.0]]
    """
    parts = []
    for start in range(0, weights.shape[1], _AT_ONCE):
        some = weights[:, start : start + _AT_ONCE]
        parts.append(np.stack([_precision_of_threshold(matches, place, some) for place in range(len(matches.hit))]))
    return np.concatenate(parts, axis=1)


def recall(matches: Matches, weights: Weights) -> npt.NDArray[np.float64]:
    """Share of the objects found, at each IoU threshold in each resample.

    Args:
        matches: the records of one class and size.
        weights: (images, R), how often each picture counts.

    Returns:
        float64 (T, R), 0..1; NaN where the resample holds no object.
    """
    objects = matches.objects @ weights
    found = np.stack([np.bincount(matches.image[hit], minlength=len(weights)) @ weights for hit in matches.hit])
    return ratio(found, np.broadcast_to(objects, found.shape))


def ratio(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """`part / whole`, NaN where the whole is nothing.

    Example:
        >>> ratio(np.array([1.0, 0.0]), np.array([4.0, 0.0])).tolist()
        [0.25, nan]
    """
    shares: npt.NDArray[np.float64] = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return shares


def percentile_interval(values: npt.NDArray[np.float64], level: float = LEVEL) -> tuple[float, float] | None:
    """The percentile interval of a resampled figure, leaving out resamples in which it has no value.

    Args:
        values: (R,), the figure in each resample.
        level: coverage, 0..1.

    Returns:
        Lower and upper end, or None where no resample has a value.

    Example:
        >>> percentile_interval(np.array([0.0, 1.0, np.nan]), level=0.5)
        (0.25, 0.75)
    """
    valid = values[~np.isnan(values)]
    if not valid.size:
        return None
    tail = (1 - level) / 2
    low, high = np.quantile(valid, [tail, 1 - tail])
    return float(low), float(high)


def _precision_of_threshold(matches: Matches, place: int, weights: Weights) -> npt.NDArray[np.float64]:
    """AP at one IoU threshold, (R,).

    Recall rises at hits alone, so precision is needed at hits alone; between them only the number of misses matters.
    """
    objects = matches.objects @ weights
    hits = np.flatnonzero(matches.hit[place])
    if not hits.size:
        return np.where(objects > 0, 0.0, np.nan)
    found = np.cumsum(weights[matches.image[hits]], axis=0)
    wrong = np.cumsum(_misses_between(matches, place, hits) @ weights, axis=0)
    # The spacing is COCO's guard against 0/0.
    precision = found / (found + wrong + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    reached = ratio(found, np.broadcast_to(objects, found.shape))
    result = np.full(weights.shape[1], np.nan)
    for resample in np.flatnonzero(objects > 0):
        first = np.searchsorted(reached[:, resample], _RECALLS, side="left")
        result[resample] = precision[first[first < len(hits)], resample].sum() / len(_RECALLS)
    return result


def _misses_between(matches: Matches, place: int, hits: npt.NDArray[np.int64]) -> Any:
    """Sparse (hits, images): misses of each picture that rank between a hit and the one before it."""
    from scipy.sparse import csr_array

    misses = np.flatnonzero(matches.miss[place])
    following = np.searchsorted(hits, misses)
    ranked = following < len(hits)
    rows, images = following[ranked], matches.image[misses[ranked]]
    return csr_array((np.ones(len(rows)), (rows, images)), shape=(len(hits), len(matches.objects)))
