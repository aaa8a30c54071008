"""The order of cells, and what is estimated from those that are finished."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_grids import small_grid

from icr.bench.arms import ARMS, trained
from icr.bench.grid import Cell
from icr.bench.order import estimate, in_words, next_ready, ordered, time_left

ICR = Cell("scenes", "yolo11n", "ciou", "icr", 2.5, 0)


def test_every_arm_comes_once_before_any_twice_and_the_pair_comes_first() -> None:
    grid = small_grid(arms=["matched", "icr", "sum", "baseline"], seeds=2, models=["yolo11n", "yolo11s"])
    told = [(cell.seed, cell.model, cell.arm) for cell in ordered(trained(grid.cells()))]
    first = [
        (0, "yolo11n", "baseline"),
        (0, "yolo11n", "icr"),
        (0, "yolo11s", "baseline"),
        (0, "yolo11s", "icr"),
    ]
    assert told[:4] == first
    assert {seed for seed, _, _ in told[:8]} == {0}
    assert told[8:12] == [(1, model, arm) for _, model, arm in first]


def test_the_papers_weight_comes_before_the_others() -> None:
    cells = ordered(small_grid(arms=["icr", "sum"], weights=[1.0, 2.5, 3.5], seeds=1).cells())
    assert [(cell.arm, cell.weight) for cell in cells[:2]] == [("icr", 2.5), ("sum", 2.5)]
    assert {cell.weight for cell in cells[2:]} == {1.0, 3.5}


def test_what_a_choice_chooses_from_does_not_go_before_the_pair() -> None:
    cells = ordered(trained(small_grid(arms=["best-base", "icr", "baseline"], seeds=1).cells()))
    assert [(cell.arm, cell.base) for cell in cells[:2]] == [("baseline", "ciou"), ("icr", "ciou")]
    assert {cell.arm for cell in cells[2:]} == {"baseline"}


def test_a_cell_waits_for_what_it_needs() -> None:
    matched = replace(ICR, arm="matched")
    needed = {matched: ARMS["matched"].needed(matched)}

    def of(cell: Cell) -> tuple[Cell, ...]:
        return needed.get(cell, ())

    assert next_ready([matched], [], of) is None
    assert next_ready([matched, replace(ICR, arm="sum")], [], of) == replace(ICR, arm="sum")
    assert next_ready([matched], [ICR], of) == matched
    assert next_ready([matched], [replace(ICR, seed=1)], of) is None


@pytest.mark.parametrize(
    ("finished", "expected"),
    [
        ({}, None),
        ({replace(ICR, model="yolo11s", data="other"): 30.0}, 30.0),  # nothing alike: the longest there is
        ({replace(ICR, data="other"): 50.0, replace(ICR, model="yolo11s"): 30.0}, 50.0),  # the model tells more
        ({replace(ICR, seed=1): 10.0, replace(ICR, arm="sum"): 20.0, replace(ICR, data="other"): 50.0}, 15.0),
    ],
)
def test_times_are_estimated_from_the_most_alike(finished: dict[Cell, float], expected: float | None) -> None:
    assert estimate(ICR, finished) == expected


def test_time_left_is_shared_among_workers() -> None:
    waiting = [replace(ICR, seed=seed) for seed in range(1, 5)]
    assert time_left(waiting, {}) is None
    assert time_left(waiting, {ICR: 60.0}) == 240.0
    assert time_left(waiting, {ICR: 60.0}, slots=2) == 120.0
    assert in_words(240.0) == "4 min"
