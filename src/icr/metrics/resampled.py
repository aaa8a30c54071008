"""Figures of one run, as they are and on resamples of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from icr.metrics.coco import IOU_50, CocoMetrics
from icr.metrics.intervals import Weights, average_precision, ratio, recall
from icr.metrics.pairs import PairCounts

_SHARES = {"recall": ("found", "pairs"), "orphan_rate": ("orphans", "predicted"), "right_parent": ("right", "found")}


@dataclass(frozen=True)
class Measured:
    """One figure of one run.

    Attributes:
        value: 0..1, or -1 where the data holds nothing to measure it on.
        resampled: (R,), its value in each resample of the pictures; NaN where it has none.
        pictures: pictures that hold an object, or a pair, that counts.
    """

    value: float
    resampled: npt.NDArray[np.float64]
    pictures: int


def of_class(coco: CocoMetrics, label: int, metrics: Sequence[str], weights: Weights) -> dict[str, Measured]:
    """Figures of one class.

    Args:
        coco: of the whole run.
        label: the class.
        metrics: `AP50`, or `AP` or `AR`, alone or with a size, such as `AP_small`.
        weights: (images, R), how often each picture counts.
    """
    figures, matches = coco.classes[label], coco.matches[label]
    precision = cache(lambda size: average_precision(matches[size], weights))
    measured = {}
    for metric in metrics:
        kind, _, size = metric.partition("_")
        size = size or "all"
        by_threshold = recall(matches[size], weights) if kind == "AR" else precision(size)
        resampled = by_threshold[IOU_50] if kind == "AP50" else by_threshold.mean(axis=0)
        measured[metric] = Measured(figures[metric], resampled, int((matches[size].objects > 0).sum()))
    return measured


def of_pairs(counts: PairCounts, metrics: Sequence[str], weights: Weights) -> dict[str, Measured]:
    """Figures of the pairs.

    Args:
        counts: of the whole run.
        metrics: of `recall`, `orphan_rate` and `right_parent`.
        weights: (images, R), how often each picture counts.

    Example:
        >>> one, area = np.array([2, 0]), np.array([36.0, np.inf])
        >>> counts = PairCounts(one, one * 0, one // 2, one // 2, one, one // 2, area, area)
        >>> recall = of_pairs(counts, ["recall"], np.array([[2.0, 0.0], [0.0, 2.0]]))["recall"]
        >>> recall.value, recall.resampled.tolist(), recall.pictures
        (0.5, [0.5, nan], 1)
    """
    figures, measured = counts.figures(), {}
    for metric in metrics:
        part, whole = (getattr(counts, each) for each in _SHARES[metric])
        resampled = ratio(part @ weights, whole @ weights)
        measured[metric] = Measured(float(figures[metric]), resampled, int((whole > 0).sum()))
    return measured
