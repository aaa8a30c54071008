"""Where children lie in their parents: the figures, and the map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from label_scenes import dataset, doors, riders

from icr.data.placement import GRID, draw_placements, placements

CAR = np.array([[100.0, 100, 200, 200]])


def test_size_and_position_by_hand() -> None:
    low_left, high_right = np.array([[100.0, 180, 120, 200]]), np.array([[180.0, 100, 200, 120]])
    found = placements(dataset(["plate", "car"], [[low_left, CAR], [high_right, CAR]]))
    assert list(found) == [("plate", "car")]
    plate = found["plate", "car"]
    assert plate.inside == 2
    assert plate.size == pytest.approx((0.04, 0.04, 0.04))
    assert plate.position == pytest.approx((0.5, 0.5))
    assert plate.spread == pytest.approx((0.4, 0.4))
    cell = int(0.9 * GRID)
    assert plate.heat.sum() == 2
    assert plate.heat[cell, GRID - 1 - cell] == plate.heat[GRID - 1 - cell, cell] == 1


def test_the_smallest_parent_that_holds_half_counts_once() -> None:
    plate = np.array([[140.0, 140, 160, 160]])
    cars = np.concatenate([CAR, [[0.0, 0, 1000, 700]]])
    found = placements(dataset(["plate", "car"], [[plate, cars]]))
    assert found["plate", "car"].inside == 1
    assert found["plate", "car"].size[1] == pytest.approx(0.04)


def test_a_child_less_than_half_inside_does_not_count() -> None:
    plate = np.array([[89.0, 150, 109, 160]])
    assert placements(dataset(["plate", "car"], [[plate, CAR]])) == {}


def test_boxes_of_no_size_are_passed_over() -> None:
    point = np.array([[150.0, 150, 150, 150]])
    assert placements(dataset(["plate", "car"], [[point, CAR], [point, point]])) == {}


def test_each_class_of_a_chain_is_measured_in_each_above_it() -> None:
    found = placements(riders(0))
    assert {("helmet", "rider"), ("rider", "motorcycle"), ("helmet", "motorcycle")} <= set(found)
    assert found["helmet", "rider"].size[1] == pytest.approx(0.085, abs=0.02)


def test_maps_stand_side_by_side(tmp_path: Path) -> None:
    found = placements(doors(0))
    one = [("handle", "door", found["handle", "door"])]
    single, six = draw_placements(one), draw_placements(one * 6)
    assert single.dtype == np.uint8 and single.shape[2] == 3
    assert six.shape[1] == pytest.approx(4 * single.shape[1], abs=8)
    assert six.shape[0] == pytest.approx(2 * single.shape[0], abs=8)
    assert single.std() > 5
