"""Both detectors on the same test pictures: each figure, its interval, and the interval of the difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from icr.data.dataset import Sample
from icr.demo.report import Figure, Row
from icr.metrics.coco import coco_metrics
from icr.metrics.intervals import draws, percentile_interval
from icr.metrics.pairs import count_pairs, total
from icr.metrics.resampled import Measured, of_class, of_pairs
from icr.predictions import Predictions
from icr.relations import ResolvedRelation

Resampled = npt.NDArray[np.float64]

_MEANINGS = {
    "AP50": ("AP50", "how well boxes find them, an overlap (IoU) of one half being enough"),
    "AP": ("AP50:95", "the same, averaged over overlaps of 0.50 to 0.95: rewards tight boxes"),
    "AP_small": ("AP small", "AP50:95 of those under 32² pixels of the picture"),
    "AR": ("AR", "the share found at all, averaged over the same overlaps"),
    "recall": ("Pair recall", "the share of labelled pairs of which both plate and vehicle were found"),
    "orphan_rate": ("Orphan rate", "the share of predicted plates that lie in no predicted vehicle; lower is better"),
}
_CLASS_FIGURES = ("AP50", "AP", "AP_small", "AR")
_PAIR_FIGURES = ("recall", "orphan_rate")
_FAULTS = ("orphan_rate",)


def compare(
    samples: Sequence[Sample],
    names: Sequence[str],
    relations: Sequence[ResolvedRelation],
    baseline: Sequence[Predictions],
    icr: Sequence[Predictions],
    *,
    resamples: int = 1000,
    score: float = 0.25,
) -> list[Row]:
    """Measure two detectors on the same pictures, resampled alike.

    Args:
        samples: the test pictures with their labels.
        names: class names; each gets a group of rows.
        relations: for the pair metrics.
        baseline, icr: predictions of each detector, one for each sample.
        resamples: how often the pictures are drawn again.
        score: predictions below it are left out of the pair metrics.

    Returns:
        The rows of the table; a figure that the data gives no value for (no small vehicle, say) has none.
    """
    weights = draws(len(samples), resamples)
    before, after = (_measure(samples, names, relations, found, weights, score) for found in (baseline, icr))
    return [
        Row(
            key=key,
            name=_MEANINGS[key.partition(".")[2]][0],
            meaning=_MEANINGS[key.partition(".")[2]][1],
            baseline=_figure(before[key].value, before[key].resampled),
            icr=_figure(after[key].value, after[key].resampled),
            difference=_figure(after[key].value - before[key].value, after[key].resampled - before[key].resampled),
            higher_is_better=key.partition(".")[2] not in _FAULTS,
        )
        for key in before
        if before[key].value >= 0 and after[key].value >= 0
    ]


def _measure(
    samples: Sequence[Sample],
    names: Sequence[str],
    relations: Sequence[ResolvedRelation],
    predictions: Sequence[Predictions],
    weights: npt.NDArray[np.float64],
    score: float,
) -> dict[str, Measured]:
    coco = coco_metrics(samples, names, predictions)
    measured = {
        f"{name}.{metric}": found
        for label, name in enumerate(names)
        for metric, found in of_class(coco, label, _CLASS_FIGURES, weights).items()
    }
    pairs = of_pairs(total(count_pairs(samples, predictions, relations, score=score)), _PAIR_FIGURES, weights)
    return {**measured, **{f"pairs.{metric}": found for metric, found in pairs.items()}}


def _figure(value: float, resampled: Resampled) -> Figure:
    interval = percentile_interval(resampled)
    return Figure(value) if interval is None else Figure(value, *interval)
