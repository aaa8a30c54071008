"""Relations that stand out in a data set, and which of them a command works with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import icr
from icr.data.choosing import Chosen, choose
from icr.data.dataset import UNSTATED, Dataset, Sample
from icr.data.discovery import Evidence, discover
from icr.errors import InputError
from icr.relations import Relation


def test_they_are_at_hand_among_the_relations() -> None:
    handed = [getattr(icr.relations, name) for name in ("Chosen", "Evidence", "choose", "discover")]
    assert handed == [Chosen, Evidence, choose, discover]
    assert not hasattr(icr.relations, "discovery")


def _dataset(
    pictures: list[tuple[np.ndarray, np.ndarray]], names: list[str], relations: tuple[Relation, ...] = ()
) -> Dataset:
    samples = [
        Sample(Path(f"{index}.jpg"), 640, 480, boxes, labels, np.full(len(labels), UNSTATED))
        for index, (boxes, labels) in enumerate(pictures)
    ]
    return Dataset(Path("data.yaml"), "yolo", names, {"train": samples}, relations)


def _box(random: np.random.Generator, width: tuple[float, float], count: int) -> np.ndarray:
    sides = random.uniform(*width, (count, 2)) * (1, 0.75)
    corner = random.uniform(0, 1, (count, 2)) * ((640, 480) - sides)
    return np.concatenate([corner, corner + sides], 1)


def _at_random(seed: int, parent_width: tuple[float, float], classes: int = 2) -> Dataset:
    random = np.random.default_rng(seed)
    pictures = []
    for _ in range(40):
        boxes = [_box(random, parent_width if each else (10, 30), random.integers(1, 4)) for each in range(classes)]
        labels = np.repeat(np.arange(classes), [len(each) for each in boxes])
        pictures.append((np.concatenate(boxes), labels))
    return _dataset(pictures, ["plate", "vehicle", "bus", "tree"][:classes])


def _plates_on_vehicles(seed: int = 0, orphans: float = 0.0, pictures: int = 30) -> Dataset:
    random = np.random.default_rng(seed)
    found = []
    for _ in range(pictures):
        vehicles = _box(random, (80, 200), random.integers(1, 4))
        sides = vehicles[:, 2:] - vehicles[:, :2]
        corner = vehicles[:, :2] + sides * random.uniform(0.1, 0.7, sides.shape)
        away = random.uniform(size=len(corner)) < orphans
        corner[away] = 2000
        plates = np.concatenate([corner, corner + sides * 0.2], 1)
        found.append((np.concatenate([plates, vehicles]), np.repeat([0, 1], len(plates))))
    return _dataset(found, ["plate", "vehicle"])


class TestDiscovering:
    def test_plates_on_vehicles_are_found_and_nothing_else(self) -> None:
        evidence = discover(_plates_on_vehicles())
        assert [(each.child, each.parent) for each in evidence if each.recommended] == [("plate", "vehicle")]
        best = evidence[0]
        assert best.inside == 1.0
        assert best.size == pytest.approx(0.04, rel=1e-6)
        assert 0 < best.chance < 0.5

    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("width", [(20, 60), (100, 300), (300, 600), (560, 640), (630, 640)])
    def test_boxes_at_random_give_nothing_however_large_the_parents(
        self, seed: int, width: tuple[float, float]
    ) -> None:
        assert not [each for each in discover(_at_random(seed, width)) if each.recommended]

    @pytest.mark.parametrize("seed", range(3))
    def test_many_classes_at_random_give_nothing(self, seed: int) -> None:
        assert not [each for each in discover(_at_random(seed, (400, 620), classes=4)) if each.recommended]

    def test_a_fifth_of_orphans_is_too_many(self) -> None:
        evidence = discover(_plates_on_vehicles(orphans=0.2))
        assert not any(each.recommended for each in evidence)
        assert evidence[0].inside == pytest.approx(0.8, abs=0.1)

    def test_few_pictures_prove_nothing(self) -> None:
        assert not any(each.recommended for each in discover(_plates_on_vehicles(pictures=4)))

    def test_boxes_of_like_size_are_no_child_and_parent(self) -> None:
        random = np.random.default_rng(0)
        pictures = []
        for _ in range(40):
            car = _box(random, (80, 200), 1)
            pictures.append((np.concatenate([car + np.array([2, 2, -2, -2]), car]), np.array([0, 1])))
        assert not any(each.recommended for each in discover(_dataset(pictures, ["bonnet", "car"])))

    def test_an_empty_set(self) -> None:
        assert discover(_dataset([(np.zeros((0, 4)), np.zeros(0, np.int64))], ["plate", "car"])) == []
        assert discover(_dataset([], ["plate", "car"])) == []


class TestChoosing:
    def test_what_is_given_comes_first(self) -> None:
        data = _plates_on_vehicles()
        data.relations = (Relation("vehicle", "plate"),)
        chosen = choose(["plate:vehicle"], data)
        assert chosen.relations == (Relation("plate", "vehicle"),)
        assert "--relation" in chosen.said

    def test_then_what_is_declared(self) -> None:
        data = _at_random(0, (100, 300))
        data.relations = (Relation("plate", "vehicle", 1.0),)
        chosen = choose([], data)
        assert chosen.relations == data.relations
        assert "data.yaml" in chosen.said

    def test_then_the_one_that_stands_out(self) -> None:
        chosen = choose([], _plates_on_vehicles())
        assert chosen.relations == (Relation("plate", "vehicle"),)
        assert "100%" in chosen.said

    def test_else_the_user_is_asked(self) -> None:
        with pytest.raises(InputError, match=r"none stands out.*pass --relation child:parent"):
            choose([], _at_random(0, (100, 300)))

    def test_several_that_stand_out_are_listed(self) -> None:
        data = _plates_on_vehicles()
        for sample in data.splits["train"]:
            digits = sample.boxes[sample.labels == 0].copy()
            digits[:, 2:] = digits[:, :2] + (digits[:, 2:] - digits[:, :2]) / 3
            sample.boxes = np.concatenate([sample.boxes, digits])
            sample.labels = np.concatenate([sample.labels, np.full(len(digits), 2)])
        data.names.append("digit")
        with pytest.raises(InputError, match=r"several stand out: .*digit:plate.*plate:vehicle"):
            choose([], data)

    def test_wrong_classes_are_refused_whoever_named_them(self) -> None:
        data = _plates_on_vehicles()
        with pytest.raises(InputError, match="did you mean 'vehicle'"):
            choose(["plate:vehicel"], data)
        data.relations = (Relation("plate", "vehicel"),)
        with pytest.raises(InputError, match=r"data\.yaml: .*did you mean 'vehicle'"):
            choose([], data)
