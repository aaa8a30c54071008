"""COCO figures equal pycocotools' own, on data with every kind of trouble."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_sets import NAMES, make_random_set

from icr.data.dataset import UNSTATED, Sample
from icr.metrics.coco import METRICS, coco_metrics, mean_over_classes, truth
from icr.predictions import Predictions


def reference(samples, names, predictions) -> tuple[list[dict[str, float]], dict[str, float]]:
    """The same figures from pycocotools, written from its own documentation and independent of our code."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, results = [], []
    for image, (sample, found) in enumerate(zip(samples, predictions, strict=True), start=1):
        for row, (x1, y1, x2, y2) in enumerate(sample.boxes.tolist()):
            said = sample.box_attributes[row] if sample.box_attributes else {}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(sample.labels[row]) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": said.get("area", (x2 - x1) * (y2 - y1)),
                    "iscrowd": said.get("iscrowd", 0),
                }
            )
        for (x1, y1, x2, y2), score, label in zip(found.boxes.tolist(), found.scores, found.labels, strict=True):
            results.append(
                {
                    "image_id": image,
                    "category_id": int(label) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": float(score),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO()
        ground.dataset = {
            "images": [{"id": index + 1} for index in range(len(samples))],
            "annotations": annotations,
            "categories": [{"id": index + 1, "name": name} for index, name in enumerate(names)],
        }
        ground.createIndex()
        if results:
            found = ground.loadRes(results)
        else:  # loadRes of pycocotools fails on an empty list
            found = COCO()
            found.dataset = dict(ground.dataset, annotations=[])
            found.createIndex()
        figures = []
        for category in [*range(1, len(names) + 1), None]:
            evaluation = COCOeval(ground, found, "bbox")
            if category is not None:
                evaluation.params.catIds = [category]
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            s = evaluation.stats
            by_name = {"AP": s[0], "AP50": s[1], "AP75": s[2], "AP_small": s[3], "AP_medium": s[4], "AP_large": s[5]}
            figures.append(by_name | {"AR": s[8], "AR_small": s[9], "AR_medium": s[10], "AR_large": s[11]})
    return figures[:-1], figures[-1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 14), st.sampled_from([1, 10, 40]))
def test_equals_pycocotools(seed: int, images: int, most: int) -> None:
    samples, predictions = make_random_set(seed, images, most)
    expected, overall = reference(samples, NAMES, predictions)
    got = coco_metrics(samples, NAMES, predictions).classes
    for ours, theirs in zip(got, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-9)
    assert mean_over_classes(got) == pytest.approx(overall, abs=1e-9)


def test_equals_pycocotools_beyond_a_hundred_detections_a_picture() -> None:
    samples, predictions = make_random_set(3, images=3, most=600)
    assert max(np.bincount(found.labels).max() for found in predictions) > 100
    expected, _ = reference(samples, NAMES, predictions)
    for ours, theirs in zip(coco_metrics(samples, NAMES, predictions).classes, expected, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-9)


def picture(boxes, labels, said=()) -> Sample:
    labels = np.array(labels, np.int64)
    unstated = np.full(len(labels), UNSTATED)
    return Sample(
        Path("a.jpg"), 640, 480, np.array(boxes, float).reshape(-1, 4), labels, unstated, box_attributes=list(said)
    )


def predicted(boxes, scores, labels) -> Predictions:
    return Predictions(np.array(boxes, float).reshape(-1, 4), np.array(scores, float), np.array(labels, np.int64))


def test_by_hand() -> None:
    # One of two plates is found, at IoU 16/20 = 0.8, behind one false alarm: precision 1/2 up to recall 1/2.
    samples = [picture([[0, 0, 4, 5], [100, 100, 140, 140]], [0, 0])]
    found = [predicted([[0, 0, 4, 4], [300, 300, 310, 310]], [0.5, 0.9], [0, 0])]
    figures = coco_metrics(samples, ["plate"], found).classes[0]
    assert figures["AP50"] == pytest.approx(0.5 * 51 / 101)
    assert figures["AP"] == pytest.approx(0.5 * 51 / 101 * 7 / 10)  # IoU 0.50 to 0.80
    assert figures["AR"] == pytest.approx(0.5 * 7 / 10)
    assert figures["AR_small"] == pytest.approx(7 / 10)
    assert figures["AR_medium"] == 0
    assert figures["AP_large"] == figures["AR_large"] == -1


def test_nothing_found_and_nothing_to_find() -> None:
    samples = [picture([[0, 0, 40, 40]], [0])]
    figures = coco_metrics(samples, ["plate", "vehicle"], [predicted([], [], [])])
    assert figures.classes[0]["AP"] == figures.classes[0]["AR"] == 0
    assert set(figures.classes[1].values()) == {-1}
    assert set(figures.classes[0]) == set(METRICS)
    assert figures.evaluator.startswith("hotcoco ") and figures.evaluator.split()[1][0].isdigit()


def test_stated_area_and_crowd() -> None:
    known = truth(picture([[0, 0, 4, 5], [0, 0, 4, 5]], [0, 0], [{"area": 2000.0}, {"iscrowd": 1, "area": "?"}]))
    assert known.areas.tolist() == [2000.0, 20.0]
    assert known.crowd.tolist() == [False, True]


def test_length_mismatch_is_refused() -> None:
    with pytest.raises(ValueError, match="1 samples but 0 predictions"):
        coco_metrics([picture([], [])], ["plate"], [])
