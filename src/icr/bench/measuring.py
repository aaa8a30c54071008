"""What one run is worth on the test pictures: every figure of the report, as it is and on resamples of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from icr.data.dataset import Sample
from icr.metrics.coco import coco_metrics, truth
from icr.metrics.intervals import draws, ratio
from icr.metrics.pairs import count_pairs, found_by, total
from icr.metrics.resampled import Measured, of_class, of_pairs
from icr.predictions import Predictions
from icr.relations import ResolvedRelation

TINY = 512.0
"""px²: children below it count as the smallest, for "smaller ones are found"."""

AREA_EDGES = (0.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 9216.0, float("inf"))
"""Bins of area in px² for recall by area; the last but one edge is where COCO's large objects begin."""

PARENT_METRICS = ("AP50", "AP")
CHILD_METRICS = (*PARENT_METRICS, "AP_small", "AP_medium", "AR")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Areas:
    """The labelled children of one class, and which of them were found (crowds left out).

    Attributes:
        area: (N,), px².
        found: bool (N,), a prediction of sufficient score overlaps it by IoU 0.5, one to one.
        image: int64 (N,), the picture it is in.
    """

    area: Floats
    found: npt.NDArray[np.bool_]
    image: npt.NDArray[np.int64]

    @property
    def smallest_found(self) -> float:
        """px², or -1 where none was found."""
        return float(self.area[self.found].min()) if self.found.any() else -1.0

    def recall_by_area(self, edges: Sequence[float] = AREA_EDGES) -> list[tuple[int, int]]:
        """Children found and children labelled, for each bin of area.

        Example:
            >>> areas = Areas(np.array([50.0, 70.0, 90.0]), np.array([False, True, True]), np.zeros(3, np.int64))
            >>> areas.recall_by_area((0, 64, 128))
            [(0, 1), (2, 2)]
        """
        place = np.searchsorted(np.asarray(edges[1:-1]), self.area, side="right")
        bins = len(edges) - 1
        found, labelled = np.bincount(place[self.found], minlength=bins), np.bincount(place, minlength=bins)
        return [(int(one), int(other)) for one, other in zip(found, labelled, strict=True)]


@dataclass(frozen=True)
class Figures:
    """All figures of one run.

    Attributes:
        measured: by key: `plate.AP50`, `plate.AP_small`, …, `vehicle.AP`, `plate.recall_tiny`, `pairs.recall`; 0..1.
        areas: by child class.
        evaluator: name and version of the library behind the COCO figures.
    """

    measured: dict[str, Measured]
    areas: dict[str, Areas]
    evaluator: str


def measure(
    samples: Sequence[Sample],
    names: Sequence[str],
    relations: Sequence[ResolvedRelation],
    predictions: Sequence[Predictions],
    *,
    resamples: int = 1000,
    score: float = 0.25,
) -> Figures:
    """Measure one run on the test pictures and on resamples of them, drawn alike for all runs.

    Args:
        samples: the test pictures with their labels.
        names: class names.
        relations: which class lies in which.
        predictions: one for each sample, in the same order; labels index `names`.
        resamples: how often the pictures are drawn again.
        score: predictions below it are left out of recall by area and pair recall, 0..1.
    """
    weights = draws(len(samples), resamples)
    coco = coco_metrics(samples, names, predictions)
    measured: dict[str, Measured] = {}
    areas: dict[str, Areas] = {}
    children = list(dict.fromkeys(relation.child for relation in relations))
    parents = dict.fromkeys(each for relation in relations for each in relation.parents if each not in children)
    for label in (*children, *parents):
        metrics = CHILD_METRICS if label in children else PARENT_METRICS
        for metric, found in of_class(coco, label, metrics, weights).items():
            measured[f"{names[label]}.{metric}"] = found
    for label in children:
        areas[names[label]] = found_areas(samples, predictions, label, score=score)
        measured[f"{names[label]}.recall_tiny"] = _recall_tiny(areas[names[label]], weights)
    if relations:
        pairs = of_pairs(total(count_pairs(samples, predictions, relations, score=score)), ("recall",), weights)
        measured["pairs.recall"] = pairs["recall"]
    return Figures(measured, areas, coco.evaluator)


def found_areas(
    samples: Sequence[Sample], predictions: Sequence[Predictions], label: int, *, score: float = 0.25
) -> Areas:
    """Sort the labelled objects of a class into found and missed.

    Args:
        samples: pictures with their labels.
        predictions: one for each sample, in the same order and the same classes.
        label: the class.
        score: predictions below it are left out, 0..1.
    """
    area, hit, image = [np.zeros(0)], [np.zeros(0, bool)], [np.zeros(0, np.int64)]
    for index, (sample, predicted) in enumerate(zip(samples, predictions, strict=True)):
        known = truth(sample)
        order = np.argsort(-predicted.scores, kind="stable")
        order = order[predicted.scores[order] >= score]
        finder = found_by(known, predicted.boxes[order].reshape(-1, 4).astype(np.float64), predicted.labels[order])
        mine = (known.labels == label) & ~known.crowd
        area.append(known.areas[mine])
        hit.append(finder[mine] >= 0)
        image.append(np.full(int(mine.sum()), index, np.int64))
    return Areas(np.concatenate(area), np.concatenate(hit), np.concatenate(image))


def _recall_tiny(areas: Areas, weights: Floats) -> Measured:
    tiny = areas.area < TINY
    pictures = len(weights)
    found = np.bincount(areas.image[tiny & areas.found], minlength=pictures)
    labelled = np.bincount(areas.image[tiny], minlength=pictures)
    value = float(found.sum() / labelled.sum()) if labelled.sum() else -1.0
    return Measured(value, ratio(found @ weights, labelled @ weights), int((labelled > 0).sum()))
