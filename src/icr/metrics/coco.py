"""AP and AR by class and size on COCO's rules, computed by hotcoco at the scale of the original pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from icr.data.dataset import Sample
from icr.predictions import Predictions

SIZES = ("all", "small", "medium", "large")
"""COCO's bins of object area in px²: all, up to 32², 32² to 96², from 96²; in the evaluator's order."""

METRICS = ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR", "AR_small", "AR_medium", "AR_large")
"""The figures given for each class; AP is the mean over IoU 0.50:0.95, AR has at most 100 detections a picture."""

IOU_50, IOU_75 = 0, 5
"""Places of IoU 0.50 and 0.75 among COCO's ten thresholds 0.50, 0.55, … 0.95."""

_AT_MOST_100 = 2
"""Place of 100 among COCO's limits of detections a picture: 1, 10, 100."""

_THRESHOLDS = 10
_AREA_RANGES = [(0, 1e5**2), (0, 32**2), (32**2, 96**2), (96**2, 1e5**2)]


@dataclass(frozen=True)
class Truth:
    """The labelled boxes of one picture as COCO sees them.

    Attributes:
        boxes: float64 (N, 4), xyxy, pixels of the original picture.
        labels: int64 (N,).
        areas: float64 (N,), px²: what the data states (`area`), else the area of the box.
        crowd: bool (N,), boxes that cover a group (`iscrowd`): neither to be found nor held against a detector.
    """

    boxes: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    areas: npt.NDArray[np.float64]
    crowd: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Matches:
    """How the detections of one class fared against the objects of one size, over all pictures (T = 10 IoU thresholds).

    Attributes:
        image: int64 (D,), the picture each detection is in; detections by falling score, ties in the order of pictures.
        hit: bool (T, D), the detection found an object that counts.
        miss: bool (T, D), it found nothing and counts against the detector; neither where COCO ignores the detection.
        objects: int64 (images,), objects that count, by picture.
    """

    image: npt.NDArray[np.int64]
    hit: npt.NDArray[np.bool_]
    miss: npt.NDArray[np.bool_]
    objects: npt.NDArray[np.int64]


@dataclass(frozen=True)
class CocoMetrics:
    """COCO's figures for every class.

    Attributes:
        evaluator: name and version of the library that computed them.
        classes: for each class, in the order of the names, `METRICS` → 0..1, or -1 where there is no object to find.
        matches: for each class and size of `SIZES`, the records the figures rest on.
    """

    evaluator: str
    classes: tuple[dict[str, float], ...]
    matches: tuple[dict[str, Matches], ...]


def truth(sample: Sample) -> Truth:
    """The labelled boxes of a picture with their areas and crowd flags.

    Example:
        >>> from pathlib import Path
        >>> boxes, labels = np.array([[0.0, 0.0, 4.0, 3.0]]), np.array([0])
        >>> truth(Sample(Path("a.jpg"), 9, 9, boxes, labels, np.array([-2]))).areas.tolist()
        [12.0]
    """
    boxes = np.asarray(sample.boxes, np.float64).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    crowd = np.zeros(len(boxes), bool)
    for row, said in enumerate(sample.box_attributes):
        crowd[row] = bool(said.get("iscrowd", 0))
        stated = said.get("area")
        if isinstance(stated, int | float) and not isinstance(stated, bool) and np.isfinite(stated):
            areas[row] = stated
    return Truth(boxes, np.asarray(sample.labels, np.int64), areas, crowd)


def coco_metrics(samples: Sequence[Sample], names: Sequence[str], predictions: Sequence[Predictions]) -> CocoMetrics:
    """Evaluate predictions on COCO's rules, class by class.

    Args:
        samples: pictures with their labels.
        names: class names; labels of samples and predictions are indices into them.
        predictions: one for each sample, in the same order; boxes in pixels of the original picture.

    Returns:
        The figures of every class, and the match records from which intervals are made.

    Raises:
        ValueError: `samples` and `predictions` differ in length.
    """
    if len(samples) != len(predictions):
        raise ValueError(f"{len(samples)} samples but {len(predictions)} predictions; expected one for each sample")
    import hotcoco

    # Ids from 1: an annotation with id 0 reads as "unmatched" in the reference implementation.
    ground = hotcoco.COCO(_ground_truth(samples, names))
    evaluation = hotcoco.COCOeval(ground, ground.load_res(_detections(predictions)), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    accumulated: Any = evaluation.eval
    return CocoMetrics(
        evaluator=f"hotcoco {hotcoco.__version__}",
        classes=tuple(_figures(accumulated, label) for label in range(len(names))),
        matches=_matches(evaluation.eval_imgs, len(names), len(samples)),
    )


def mean_over_classes(classes: Sequence[dict[str, float]]) -> dict[str, float]:
    """COCO's overall figures: the mean over the classes that have a value, -1 where none has.

    Example:
        >>> mean_over_classes([{"AP": 0.2}, {"AP": 0.4}, {"AP": -1.0}])["AP"]
        0.30000000000000004
    """
    found = {metric: [figures[metric] for figures in classes if figures.get(metric, -1) > -1] for metric in METRICS}
    return {metric: sum(values) / len(values) if values else -1.0 for metric, values in found.items()}


def _ground_truth(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for index, sample in enumerate(samples):
        known = truth(sample)
        for box, label, area, crowd in zip(known.boxes, known.labels, known.areas, known.crowd, strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": int(label) + 1,
                    "bbox": [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])],
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
    return {
        "images": [
            {"id": index + 1, "file_name": sample.image.name, "width": sample.width, "height": sample.height}
            for index, sample in enumerate(samples)
        ],
        "categories": [{"id": label + 1, "name": name} for label, name in enumerate(names)],
        "annotations": annotations,
    }


def _detections(predictions: Sequence[Predictions]) -> npt.NDArray[np.float64]:
    """Rows of image id, x, y, width, height, score, category id: COCO's results as one array."""
    rows = [np.zeros((0, 7))]
    for index, found in enumerate(predictions):
        boxes = np.asarray(found.boxes, np.float64).reshape(-1, 4)
        image = np.full(len(boxes), index + 1.0)
        rows.append(np.column_stack([image, boxes[:, :2], boxes[:, 2:] - boxes[:, :2], found.scores, found.labels + 1]))
    return np.concatenate(rows)


def _figures(accumulated: dict[str, Any], label: int) -> dict[str, float]:
    precision = np.asarray(accumulated["precision"])[:, :, label, :, _AT_MOST_100]
    recall = np.asarray(accumulated["recall"])[:, label, :, _AT_MOST_100]
    figures = {"AP50": _mean(precision[IOU_50, :, 0]), "AP75": _mean(precision[IOU_75, :, 0])}
    for place, size in enumerate(SIZES):
        suffix = "" if size == "all" else f"_{size}"
        figures[f"AP{suffix}"] = _mean(precision[:, :, place])
        figures[f"AR{suffix}"] = _mean(recall[:, place])
    return {metric: figures[metric] for metric in METRICS}


def _mean(values: npt.NDArray[np.float64]) -> float:
    valid = values[values > -1]
    return float(valid.mean()) if valid.size else -1.0


def _matches(records: Sequence[dict[str, Any] | None], classes: int, images: int) -> tuple[dict[str, Matches], ...]:
    """Gather the evaluator's records of one picture, class and size each; their order differs among evaluators."""
    blocks: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for record in records:
        if record is not None:
            low, high = record["aRng"]
            size = _AREA_RANGES.index((low, high))
            blocks.setdefault((record["category_id"] - 1, size), []).append(record)
    return tuple(
        {size: _gather(blocks.get((label, place), []), images) for place, size in enumerate(SIZES)}
        for label in range(classes)
    )


def _gather(block: Sequence[dict[str, Any]], images: int) -> Matches:
    scores, image = [np.zeros(0)], [np.zeros(0, np.int64)]
    hit, miss = [np.zeros((_THRESHOLDS, 0), bool)], [np.zeros((_THRESHOLDS, 0), bool)]
    objects = np.zeros(images, np.int64)
    for record in sorted(block, key=lambda record: int(record["image_id"])):
        index, count = record["image_id"] - 1, len(record["dtScores"])
        objects[index] = sum(not ignored for ignored in record["gtIgnore"])
        matched = np.asarray(record["dtMatches"]).reshape(_THRESHOLDS, count) != 0
        counts = ~np.asarray(record["dtIgnore"], bool).reshape(_THRESHOLDS, count)
        scores.append(np.asarray(record["dtScores"], np.float64))
        image.append(np.full(count, index))
        hit.append(matched & counts)
        miss.append(~matched & counts)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    return Matches(
        image=np.concatenate(image)[order],
        hit=np.concatenate(hit, axis=1)[:, order],
        miss=np.concatenate(miss, axis=1)[:, order],
        objects=objects,
    )
