"""The whole evaluation: keys that scripts rely on, the table, intervals, and classes matched by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from random_sets import NAMES, make_random_set

from icr.data.dataset import UNSTATED, Sample
from icr.errors import InputError
from icr.metrics.evaluation import align, evaluate
from icr.predictions import Predictions
from icr.relations import Relation, ResolvedRelation

RELATION = Relation("plate", "vehicle")
PLATE, CAR = [165, 185, 195, 195], [100, 100, 260, 220]


def one(boxes, labels, scores) -> Predictions:
    return Predictions(np.array(boxes, float).reshape(-1, 4), np.array(scores, float), np.array(labels, np.int64))


def parked(name: str) -> Sample:
    return Sample(Path(name), 640, 480, np.array([PLATE, CAR], float), np.array([0, 1]), np.array([UNSTATED, UNSTATED]))


@pytest.fixture(scope="module")
def random_evaluation():
    samples, predictions = make_random_set(7, images=30, decimals=6)
    return evaluate(samples, NAMES, predictions, [RELATION], resamples=200, split="test", remarks=["so it is"])


def test_json_has_the_promised_keys(random_evaluation) -> None:
    told = json.loads(json.dumps(random_evaluation.as_json(), allow_nan=False))
    assert told["evaluator"].startswith("hotcoco ")
    assert told["images"] == 30 and told["split"] == "test" and told["score"] == 0.25
    assert list(told["classes"]) == NAMES
    for figures in told["classes"].values():
        assert {"AP", "AP50", "AP_small", "AP_medium", "AP_large", "AR", "AR_small"} <= set(figures)
        assert all(value == -1 or 0 <= value <= 1 for value in figures.values())
    assert {"recall", "orphan_rate", "smallest_area"} <= set(told["pairs"])
    assert told["pairs"]["relations"][0]["child"] == "plate"
    assert told["intervals"]["resamples"] == 200 and told["intervals"]["level"] == 0.95
    assert told["remarks"] == ["so it is"]


def test_intervals_hold_the_figure(random_evaluation) -> None:
    told = random_evaluation.as_json()
    checked = 0
    for name in NAMES:
        for metric, interval in told["intervals"]["classes"][name].items():
            if interval is not None:
                low, high = interval
                assert 0 <= low <= told["classes"][name][metric] <= high <= 1
                checked += low < high
    for metric, interval in told["intervals"]["pairs"].items():
        if interval is not None:
            assert interval[0] <= told["pairs"][metric] <= interval[1]
    assert checked >= 6


def test_same_seed_same_intervals() -> None:
    samples, predictions = make_random_set(8)
    first, again, other = (
        evaluate(samples, NAMES, predictions, resamples=50, seed=seed).as_json()["intervals"]["classes"]
        for seed in (3, 3, 4)
    )
    assert first == again != other


def test_table(random_evaluation) -> None:
    table = random_evaluation.as_table()
    assert f"{random_evaluation.evaluator}, 30 images (test)" in table
    figures = random_evaluation.classes["vehicle"]
    low, high = random_evaluation.class_intervals["vehicle"]["AP50"]
    assert f"{figures['AP50']:.3f} [{low:.3f}, {high:.3f}]" in table
    assert "pair recall" in table and "plate in vehicle" in table
    assert max(map(len, table.splitlines())) <= 120


def test_table_of_many_classes_stays_narrow() -> None:
    names = [f"class{index}" for index in range(11)]
    table = evaluate([parked("a.jpg")], names, [one([], [], [])], resamples=10).as_table()
    assert all(name in table for name in names)
    assert max(map(len, table.splitlines())) <= 130
    assert "-  the data holds no such object" in table


def test_without_relations_pairs_are_null() -> None:
    evaluation = evaluate([parked("a.jpg")], ["plate", "vehicle"], [one([PLATE], [0], [0.9])], resamples=0)
    assert evaluation.as_json()["pairs"] is None and evaluation.as_json()["intervals"] is None
    assert "no pair metrics" in evaluation.as_table()


def test_resolved_relations_do_as_well() -> None:
    found = one([PLATE, CAR], [0, 1], [0.9, 0.8])
    for relation in (RELATION, ResolvedRelation(0, (1,))):
        evaluation = evaluate([parked("a.jpg")], ["plate", "vehicle"], [found], [relation], resamples=10)
        assert evaluation.pairs["recall"] == 1
        assert evaluation.by_relation[0]["parent"] == ["vehicle"]
        assert evaluation.pair_intervals["recall"] == (1.0, 1.0)


def test_resamples_without_a_pair_are_left_out() -> None:
    # The pair is in one picture of two, so a quarter of the resamples hold none.
    empty = Sample(Path("b.jpg"), 9, 9, np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64))
    found = [one([PLATE, CAR], [0, 1], [0.9, 0.8]), one([], [], [])]
    evaluation = evaluate([parked("a.jpg"), empty], ["plate", "vehicle"], found, [RELATION], resamples=100)
    assert evaluation.pair_intervals["recall"] == (1.0, 1.0)
    assert evaluation.class_intervals["plate"]["AP50"] == pytest.approx((1.0, 1.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": 1.5}, "score 1.5 is out of range"),
        ({"score": float("nan")}, "score nan is out of range"),
        ({"resamples": -1}, "-1 resamples"),
        ({"relations": [Relation("plat", "vehicle")]}, "did you mean 'plate'"),
    ],
)
def test_bad_input(options, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate([parked("a.jpg")], ["plate", "vehicle"], [one([], [], [])], **options)


def test_no_picture_and_odd_labels() -> None:
    with pytest.raises(InputError, match="no picture"):
        evaluate([], ["plate"], [])
    with pytest.raises(ValueError, match="label is 2"):
        evaluate([parked("a.jpg")], ["plate", "vehicle"], [one([PLATE], [2], [0.5])])
    with pytest.raises(InputError, match="twice"):
        evaluate([parked("a.jpg")], ["plate", "plate"], [one([], [], [])])


def test_classes_are_matched_by_name() -> None:
    found = one([PLATE, CAR, CAR], [2, 0, 1], [0.9, 0.8, 0.7])
    aligned, said = align([found], ["vehicle", "dog", "plate"], ["plate", "vehicle", "sign"])
    assert aligned[0].labels.tolist() == [0, 1]
    assert aligned[0].boxes.tolist() == [PLATE, CAR]
    assert said == [
        "the detector does not know class sign; it finds none of them",
        "left out: class dog of the detector, which the data does not have",
    ]


def test_same_names_change_nothing() -> None:
    found = one([PLATE], [0], [0.9])
    assert align([found], ["plate"], ["plate"]) == ([found], [])


def test_no_class_in_common() -> None:
    with pytest.raises(InputError, match=r"knows Plate, the data plate: no class in common.*'plate'"):
        align([], ["Plate"], ["plate"])
