"""Pair metrics on hand-placed boxes, and the one-to-one matching against COCO's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from random_sets import NAMES, make_random_set

from icr.data.dataset import NO_PARENT, UNSTATED, Sample
from icr.metrics.coco import IOU_50, coco_metrics, truth
from icr.metrics.pairs import count_pairs, found_by, iou, total
from icr.predictions import Predictions
from icr.relations import ResolvedRelation

PLATE, CAR, BUS = 0, 1, 2
PLATE_ON_CAR = ResolvedRelation(PLATE, (CAR,))

# A car with its plate, and a second car with a smaller one.
CAR_1, PLATE_1 = [100, 100, 260, 220], [165, 185, 195, 195]
CAR_2, PLATE_2 = [300, 100, 460, 220], [370, 190, 390, 196]


def picture(boxes, labels, parents=None, said=()) -> Sample:
    parents = [UNSTATED] * len(labels) if parents is None else parents
    return Sample(
        image=Path("a.jpg"),
        width=640,
        height=480,
        boxes=np.array(boxes, float).reshape(-1, 4),
        labels=np.array(labels, np.int64),
        parents=np.array(parents, np.int64),
        box_attributes=list(said),
    )


def predicted(*found) -> Predictions:
    """Predictions from (box, label, score)."""
    return Predictions(
        np.array([box for box, _, _ in found], float).reshape(-1, 4),
        np.array([score for _, _, score in found], float),
        np.array([label for _, label, _ in found], np.int64),
    )


def figures(sample, found, relations=(PLATE_ON_CAR,), **options):
    return total(count_pairs([sample], [found], relations, **options)).figures()


TWO_CARS = picture([PLATE_1, CAR_1, PLATE_2, CAR_2], [PLATE, CAR, PLATE, CAR])


def test_everything_found() -> None:
    got = figures(
        TWO_CARS, predicted((CAR_1, CAR, 0.9), (CAR_2, CAR, 0.8), (PLATE_1, PLATE, 0.7), (PLATE_2, PLATE, 0.6))
    )
    assert got["recall"] == 1 and got["pairs"] == got["found"] == got["right"] == 2
    assert got["orphan_rate"] == 0 and got["predicted_children"] == 2
    assert got["smallest_area"] == got["smallest_area_labelled"] == 20 * 6


def test_a_pair_needs_child_and_parent() -> None:
    got = figures(TWO_CARS, predicted((CAR_1, CAR, 0.9), (PLATE_1, PLATE, 0.7), (PLATE_2, PLATE, 0.6)))
    assert got["recall"] == 0.5
    assert got["orphan_rate"] == 0.5  # the second plate lies in no predicted car
    assert got["smallest_area"] == 120  # yet it was found


def test_a_parent_of_another_class_is_none() -> None:
    got = figures(TWO_CARS, predicted((CAR_1, BUS, 0.9), (PLATE_1, PLATE, 0.7)))
    assert got["recall"] == 0 and got["orphan_rate"] == 1
    either = ResolvedRelation(PLATE, (CAR, BUS))
    got = figures(TWO_CARS, predicted((CAR_1, BUS, 0.9), (PLATE_1, PLATE, 0.7)), [either])
    assert got["recall"] == 0 and got["orphan_rate"] == 0


@pytest.mark.parametrize(
    ("right_edge", "orphans"),
    [
        (180, 0),  # exactly half of the plate (165 to 195) lies in the car
        (179.9, 1),
    ],
)
def test_inside_means_at_least_half(right_edge: float, orphans: int) -> None:
    got = figures(TWO_CARS, predicted(([100, 100, right_edge, 220], CAR, 0.9), (PLATE_1, PLATE, 0.7)))
    assert got["orphans"] == orphans


def test_half_in_two_boxes_together_is_still_an_orphan() -> None:
    third = [[100, 100, 174, 220], [186, 100, 260, 220]]  # 9 of 30 px on either side
    assert (
        figures(TWO_CARS, predicted((third[0], CAR, 0.9), (third[1], CAR, 0.9), (PLATE_1, PLATE, 0.7)))["orphans"] == 1
    )


def test_score_threshold() -> None:
    found = predicted((CAR_1, CAR, 0.9), (PLATE_1, PLATE, 0.25), (PLATE_2, PLATE, 0.2499))
    assert figures(TWO_CARS, found)["predicted_children"] == 1
    assert figures(TWO_CARS, found, score=0.1)["predicted_children"] == 2
    assert figures(TWO_CARS, found, score=0.3)["recall"] == 0


def test_one_prediction_finds_one_box() -> None:
    # Two labelled plates alike, one prediction: only one pair is found.
    sample = picture([PLATE_1, PLATE_1, CAR_1], [PLATE, PLATE, CAR])
    assert figures(sample, predicted((CAR_1, CAR, 0.9), (PLATE_1, PLATE, 0.7)))["recall"] == 0.5


def test_right_parent() -> None:
    # A false alarm, smaller than the car and around the plate too, takes the plate for its own.
    found = predicted((CAR_1, CAR, 0.9), (PLATE_1, PLATE, 0.7), ([150, 150, 210, 210], CAR, 0.5))
    got = figures(picture([PLATE_1, CAR_1], [PLATE, CAR]), found)
    assert got["recall"] == 1 and got["right_parent"] == 0


def test_stated_pairs_beat_geometry() -> None:
    found = predicted((CAR_1, CAR, 0.9), (PLATE_1, PLATE, 0.7))
    assert figures(picture([PLATE_1, CAR_1], [PLATE, CAR], [NO_PARENT, UNSTATED]), found)["pairs"] == 0
    far = picture([PLATE_1, CAR_2], [PLATE, CAR], [1, UNSTATED])
    assert figures(far, found)["pairs"] == 1
    assert figures(far, found)["recall"] == 0


def test_crowds_are_no_pairs_and_nothing_to_find() -> None:
    sample = picture([PLATE_1, CAR_1], [PLATE, CAR], None, [{}, {"iscrowd": 1}])
    got = figures(sample, predicted((CAR_1, CAR, 0.9), (PLATE_1, PLATE, 0.7)))
    assert got["pairs"] == 0 and got["recall"] == -1


def test_ambiguous_pairs_are_counted() -> None:
    sample = picture([PLATE_1, CAR_1, [90, 90, 270, 230]], [PLATE, CAR, CAR])
    assert figures(sample, predicted())["ambiguous"] == 1


def test_no_value() -> None:
    got = figures(picture([], []), predicted())
    assert [got[key] for key in ("recall", "orphan_rate", "smallest_area", "right_parent")] == [-1, -1, -1, -1]


def test_several_relations_add_up() -> None:
    # A digit on a plate, a plate on a car: a chain.
    digit, in_plate = [166, 187, 172, 193], ResolvedRelation(BUS, (PLATE,))
    sample = picture([digit, PLATE_1, CAR_1], [BUS, PLATE, CAR])
    counts = count_pairs([sample], [predicted((PLATE_1, PLATE, 0.9), (digit, BUS, 0.8))], [PLATE_ON_CAR, in_plate])
    assert [each.figures()["recall"] for each in counts] == [0, 1]
    both = total(counts).figures()
    assert both["recall"] == 0.5 and both["orphan_rate"] == 0.5 and both["smallest_area"] == 36


@pytest.mark.parametrize("seed", range(6))
def test_matching_is_that_of_coco(seed: int) -> None:
    samples, predictions = make_random_set(seed)
    metrics = coco_metrics(samples, NAMES, predictions)
    for label in range(len(NAMES)):
        matches = metrics.matches[label]["all"]
        hits = np.bincount(matches.image[matches.hit[IOU_50]], minlength=len(samples))
        for index, (sample, found) in enumerate(zip(samples, predictions, strict=True)):
            known = truth(sample)
            finder = found_by(known, found.boxes, found.labels)
            assert (finder[known.labels == label] >= 0).sum() == hits[index]
            taken = finder[finder >= 0]
            assert len(set(taken.tolist())) == len(taken)


def test_iou_equals_pycocotools() -> None:
    from pycocotools import mask

    samples, predictions = make_random_set(1, images=4)
    for sample, found in zip(samples, predictions, strict=True):
        if len(sample.boxes) and len(found.boxes):
            xywh = [np.concatenate([each[:, :2], each[:, 2:] - each[:, :2]], 1) for each in (found.boxes, sample.boxes)]
            expected = mask.iou(xywh[0], xywh[1], [0] * len(sample.boxes))
            np.testing.assert_allclose(iou(found.boxes, sample.boxes), expected, atol=1e-12)
    assert iou(np.zeros((1, 4)), np.zeros((1, 4))).item() == 0
