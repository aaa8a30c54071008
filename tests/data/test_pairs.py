"""Pairs: the data's own word first, geometry for the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from icr.data.dataset import NO_PARENT, UNSTATED, Sample
from icr.data.pairs import children, pair, pair_all
from icr.relations import ResolvedRelation

RELATIONS = (ResolvedRelation(0, (1, 2)),)
PLATE, CAR, WIDER, FAR = [165.0, 185, 195, 195], [100.0, 100, 260, 220], [50.0, 50, 300, 300], [400.0, 400, 500, 500]


def _sample(boxes: list[list[float]], labels: list[int], parents: list[int]) -> Sample:
    stack: npt.NDArray[np.float64] = np.array(boxes, float).reshape(-1, 4)
    return Sample(Path("a.jpg"), 640, 480, stack, np.array(labels, np.int64), np.array(parents, np.int64))


def test_geometry_decides_where_the_data_is_silent() -> None:
    found = pair(_sample([PLATE, CAR, WIDER, FAR], [0, 1, 1, 0], [UNSTATED] * 4), RELATIONS)
    assert found.parents.tolist() == [1, -1, -1, -1]
    assert found.ambiguous.tolist() == [True, False, False, False]
    assert not found.stated.any()


def test_a_stated_parent_counts_against_geometry() -> None:
    # The data names the wider car, then a car that does not even touch the plate: labels are not second-guessed here.
    for index in (2, 3):
        found = pair(_sample([PLATE, CAR, WIDER, FAR], [0, 1, 1, 1], [index, UNSTATED, UNSTATED, UNSTATED]), RELATIONS)
        assert found.parents.tolist() == [index, -1, -1, -1]
        assert found.stated.tolist() == [True, False, False, False]
        assert not found.ambiguous.any()


def test_a_stated_lack_of_a_parent_counts_too() -> None:
    found = pair(_sample([PLATE, CAR], [0, 1], [NO_PARENT, NO_PARENT]), RELATIONS)
    assert found.parents.tolist() == [-1, -1]
    # Only children are ever stated: a car's lack of a parent is no news.
    assert found.stated.tolist() == [True, False]


def test_a_stated_parent_of_a_class_that_is_no_parent_is_none() -> None:
    sample = _sample([PLATE, CAR, WIDER], [0, 3, 2], [1, UNSTATED, UNSTATED])
    assert pair(sample, RELATIONS).parents.tolist() == [-1, -1, -1]


def test_stated_and_silent_children_in_one_picture() -> None:
    found = pair(_sample([PLATE, PLATE, CAR, WIDER], [0, 0, 1, 2], [3, UNSTATED, UNSTATED, UNSTATED]), RELATIONS)
    assert found.parents.tolist() == [3, 2, -1, -1]
    assert found.ambiguous.tolist() == [False, True, False, False]
    assert found.stated.tolist() == [True, False, False, False]


def test_the_sample_is_left_as_it_was() -> None:
    sample = _sample([PLATE, CAR], [0, 1], [UNSTATED, UNSTATED])
    pair(sample, RELATIONS)
    assert sample.parents.tolist() == [UNSTATED, UNSTATED]


def test_a_picture_without_boxes() -> None:
    found = pair(_sample([], [], []), RELATIONS)
    assert found.parents.shape == found.ambiguous.shape == found.stated.shape == (0,)


def test_children_are_the_boxes_of_a_child_class() -> None:
    assert children(_sample([PLATE, CAR, WIDER], [0, 1, 2], [UNSTATED] * 3), RELATIONS).tolist() == [True, False, False]
    assert children(_sample([PLATE], [0], [UNSTATED]), ()).tolist() == [False]


def test_many_pictures_at_once_are_paired_as_each_alone() -> None:
    chance = np.random.default_rng(0)

    def picture(count: int) -> Sample:
        corners = chance.uniform(0, 5, (count, 2))
        boxes = np.concatenate([corners, corners + chance.uniform(0.1, 5, (count, 2))], 1)
        parents = chance.integers(-2, max(count, 1), count)
        return Sample(Path("a.jpg"), 10, 10, boxes, chance.integers(0, 3, count), parents)

    relations = (ResolvedRelation(0, (1,)), ResolvedRelation(1, (2,)))
    pictures = [picture(count) for count in (0, 0, 5, 0, 300, 500, 2, 1, *range(40))]
    for several in (pictures, pictures[:2], []):
        for sample, together in zip(several, pair_all(several, relations), strict=True):
            alone = pair(sample, relations)
            assert together.parents.tolist() == alone.parents.tolist()
            assert together.ambiguous.tolist() == alone.ambiguous.tolist()
            assert together.stated.tolist() == alone.stated.tolist()
