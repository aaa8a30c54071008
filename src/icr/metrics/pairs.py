"""Pair metrics: are a child and its parent both found, and does each predicted child lie in a predicted parent?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from icr.data.dataset import Sample
from icr.metrics.coco import Truth, truth
from icr.predictions import Predictions
from icr.relations import ResolvedRelation

IOU = 0.5
"""A prediction finds a labelled box when they overlap by at least this IoU."""

NO_VALUE = -1.0
"""Stands where a figure has nothing to rest on, as in COCO's own tables."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PairCounts:
    """What was counted for one relation, or for all together, picture by picture.

    Attributes:
        pairs: (images,), labelled pairs: a child with its parent, neither of them a crowd.
        ambiguous: (images,), those of them that geometry could only guess.
        found: (images,), pairs of which child and parent were both found.
        right: (images,), found pairs whose predicted child is given the predicted parent it should have.
        predicted: (images,), predicted children.
        orphans: (images,), predicted children of which less than half lies in any one predicted parent.
        smallest: float64 (images,), px², area of the smallest labelled child that was found; infinity where none was.
        smallest_labelled: float64 (images,), px², area of the smallest labelled child; infinity where there is none.
    """

    pairs: Counts
    ambiguous: Counts
    found: Counts
    right: Counts
    predicted: Counts
    orphans: Counts
    smallest: npt.NDArray[np.float64]
    smallest_labelled: npt.NDArray[np.float64]

    def figures(self) -> dict[str, float | int]:
        """The pair metrics over all pictures: ratios 0..1, areas px², -1 where there is no value.

        Example:
            >>> one, area = np.array([2]), np.array([36.0])
            >>> PairCounts(one, one * 0, one // 2, one // 2, one, one // 2, area, area).figures()["recall"]
            0.5
        """
        return {
            "recall": _ratio(self.found, self.pairs),
            "orphan_rate": _ratio(self.orphans, self.predicted),
            "smallest_area": _smallest(self.smallest),
            "right_parent": _ratio(self.right, self.found),
            "pairs": int(self.pairs.sum()),
            "ambiguous": int(self.ambiguous.sum()),
            "found": int(self.found.sum()),
            "right": int(self.right.sum()),
            "predicted_children": int(self.predicted.sum()),
            "orphans": int(self.orphans.sum()),
            "smallest_area_labelled": _smallest(self.smallest_labelled),
        }


def count_pairs(
    samples: Sequence[Sample],
    predictions: Sequence[Predictions],
    relations: Sequence[ResolvedRelation],
    *,
    score: float = 0.25,
) -> tuple[PairCounts, ...]:
    """Count pairs found and predicted orphans, for each relation.

    Labelled pairs are those the data states, and the ones geometry gives where it states nothing. Parents of predicted
    children come from geometry: the parent that holds most of the child, at least half of it.

    Args:
        samples: pictures with their labels.
        predictions: one for each sample, in the same order and the same classes.
        relations: resolved relations.
        score: predictions below it are left out.

    Returns:
        The counts of each relation, in their order; `total` adds them up.
    """
    per_image = [
        _count_image(sample, predicted, relations, score)
        for sample, predicted in zip(samples, predictions, strict=True)
    ]
    return tuple(_columns([image[place] for image in per_image]) for place in range(len(relations)))


def total(counts: Sequence[PairCounts]) -> PairCounts:
    """The counts of all relations together."""
    fewest = ("smallest", "smallest_labelled")
    columns = {each.name: np.array([getattr(count, each.name) for count in counts]) for each in fields(PairCounts)}
    return PairCounts(
        **{name: rows.min(axis=0) if name in fewest else rows.sum(axis=0) for name, rows in columns.items()}
    )


def found_by(known: Truth, boxes: npt.NDArray[np.float64], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Match predictions one to one to labelled boxes of their class as COCO does: the best-scored chooses first.

    Args:
        known: labelled boxes; crowds are left out.
        boxes: (P, 4), predicted boxes by falling score, xyxy, the unit of the labelled ones.
        labels: (P,).

    Returns:
        int64 (N,), index of the prediction that found each labelled box, -1 where none did.

    Example:
        >>> box = np.array([[0.0, 0.0, 10.0, 10.0]])
        >>> one = Truth(box, np.array([0]), np.array([100.0]), np.array([False]))
        >>> found_by(one, box + [[0, 0, 30, 0], [0, 0, 2, 0]], np.array([0, 0])).tolist()
        [1]
    """
    overlap = iou(boxes, known.boxes)
    overlap[:, known.crowd] = 0.0
    overlap[labels[:, None] != known.labels] = 0.0
    finder = np.full(len(known.boxes), -1, np.int64)
    for prediction in np.flatnonzero((overlap >= IOU).any(axis=1)):
        free = np.where(finder < 0, overlap[prediction], 0.0)
        # Of equal overlaps COCO takes the last.
        best = len(free) - 1 - int(np.argmax(free[::-1]))
        if free[best] >= IOU:
            finder[best] = prediction
    return finder


def iou(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Intersection over union of every box of one set with every box of another, 0 for boxes without area.

    Args:
        first: (P, 4), xyxy.
        second: (N, 4), xyxy.

    Returns:
        float64 (P, N), 0..1.

    Example:
        >>> iou(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0]])).round(3).tolist()
        [[0.333]]
    """
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    sides = np.clip(np.minimum(first[:, None, 2:], second[None, :, 2:]) - corner, 0, None)
    shared = sides[..., 0] * sides[..., 1]
    union = _area(first)[:, None] + _area(second)[None] - shared
    overlap: npt.NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
    return overlap


def _count_image(
    sample: Sample, predicted: Predictions, relations: Sequence[ResolvedRelation], score: float
) -> list[dict[str, float]]:
    """For each relation, the fields of `PairCounts` for one picture."""
    import torch

    from icr.data.pairs import pair
    from icr.relations import match_parents

    known, pairing = truth(sample), pair(sample, relations)
    order = np.argsort(-predicted.scores, kind="stable")
    order = order[predicted.scores[order] >= score]
    boxes, labels = predicted.boxes[order].reshape(-1, 4).astype(np.float64), predicted.labels[order].astype(np.int64)
    finder = found_by(known, boxes, labels)
    parents = match_parents(torch.from_numpy(boxes), torch.from_numpy(labels), relations).numpy()
    rows: list[dict[str, float]] = []
    for relation in relations:
        child = (known.labels == relation.child) & ~known.crowd
        paired = np.flatnonzero(child & (pairing.parents >= 0))
        paired = paired[~known.crowd[pairing.parents[paired]]]
        child_finder, parent_finder = finder[paired], finder[pairing.parents[paired]]
        both = (child_finder >= 0) & (parent_finder >= 0)
        predicted_parents = parents[labels == relation.child]
        rows.append(
            {
                "pairs": len(paired),
                "ambiguous": int(pairing.ambiguous[paired].sum()),
                "found": int(both.sum()),
                "right": int((parents[child_finder[both]] == parent_finder[both]).sum()),
                "predicted": len(predicted_parents),
                "orphans": int((predicted_parents < 0).sum()),
                "smallest": min(known.areas[child & (finder >= 0)], default=np.inf),
                "smallest_labelled": min(known.areas[child], default=np.inf),
            }
        )
    return rows


def _columns(rows: Sequence[dict[str, float]]) -> PairCounts:
    return PairCounts(**{each.name: np.array([row[each.name] for row in rows]) for each in fields(PairCounts)})


def _area(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    area: npt.NDArray[np.float64] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return area


def _ratio(part: Counts, whole: Counts) -> float:
    return float(part.sum() / whole.sum()) if whole.sum() else NO_VALUE


def _smallest(areas: npt.NDArray[np.float64]) -> float:
    smallest = float(areas.min(initial=np.inf))
    return smallest if np.isfinite(smallest) else NO_VALUE
