"""Box arithmetic: hand-worked numbers, invariants, refusals."""

from __future__ import annotations

import math

import pytest
import torch

from icr import containment
from icr.boxes import LIMIT, area, compare, intersection, iou, prepare, signed_overlap
from icr.errors import InputError


@pytest.mark.parametrize(
    ("child", "parent", "inside"),
    [
        ((2, 2, 6, 4), (0, 0, 10, 10), 1.0),  # wholly inside
        ((0, 0, 10, 10), (0, 0, 10, 10), 1.0),  # the parent itself: the border belongs to it
        ((8, 2, 12, 4), (0, 0, 10, 10), 0.5),  # 2 of 4 wide
        ((8, 8, 12, 12), (0, 0, 10, 10), 0.25),  # 2x2 of 4x4
        ((-5, -5, 15, 15), (0, 0, 10, 10), 0.25),  # larger than the parent: 100 of 400
        ((20, 2, 24, 4), (0, 0, 10, 10), 0.0),  # beside it
        ((20, 20, 24, 24), (0, 0, 10, 10), 0.0),  # outside along both axes: two negatives make no area
        ((10, 2, 14, 4), (0, 0, 10, 10), 0.0),  # touching
        ((3, 3, 3, 3), (0, 0, 10, 10), 0.0),  # without area
        ((6, 4, 2, 2), (0, 0, 10, 10), 0.0),  # inverted along both axes
        ((2, 2, 6, 4), (5, 5, 5, 5), 0.0),  # in a parent without area
    ],
)
def test_containment_by_hand(child: tuple[int, ...], parent: tuple[int, ...], inside: float) -> None:
    assert containment(torch.tensor(child), torch.tensor(parent)).item() == inside


def test_containment_is_one_exactly_for_any_box_inside() -> None:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(10_000, 2, 2, generator=generator) * 639
    child = torch.cat((corners.amin(1), corners.amax(1)), -1)
    assert (containment(child, torch.tensor([0.0, 0.0, 640.0, 640.0])) == 1).all()


def test_containment_gradient_pulls_a_box_back() -> None:
    # R = (30 - x1) / 10 for a box 10 wide that leaves over the edge at 30: |P| = 10·4, inside = 5·4
    child = torch.tensor([25.0, 10.0, 35.0, 14.0], requires_grad=True)
    containment(child, torch.tensor([0.0, 0.0, 30.0, 30.0])).backward()
    assert child.grad is not None
    # d/dx1 (30 - x1) / (x2 - x1) = (-10 + 5) / 100; d/dx2 = -5 / 100; nothing along y
    torch.testing.assert_close(child.grad, torch.tensor([-0.05, 0.0, -0.05, 0.0]))


def test_containment_in_every_combination() -> None:
    children = torch.tensor([[0.0, 0.0, 2.0, 2.0], [4.0, 4.0, 6.0, 6.0]])
    parents = torch.tensor([[0.0, 0.0, 5.0, 5.0], [0.0, 0.0, 9.0, 9.0], [1.0, 0.0, 9.0, 9.0]])
    inside = containment(children[:, None], parents[None])
    assert inside.tolist() == [[1.0, 1.0, 0.5], [0.25, 1.0, 1.0]]


def test_measures_by_hand() -> None:
    # 4x2 and 4x4 boxes that share 2x1
    first, second = torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([2.0, 1.0, 6.0, 5.0])
    assert area(first).item() == 8
    assert intersection(first, second).item() == 2
    assert iou(first, second).item() == pytest.approx(2 / 22)
    assert [each.item() for each in signed_overlap(first, second)] == [2, 1]
    pair = compare(first, second)
    assert (pair.union.item(), pair.area.item()) == (22, 8)
    assert (pair.enclosing_width.item(), pair.enclosing_height.item()) == (6, 5)


def test_prepare_widens_bounds_and_keeps_nan() -> None:
    half = torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.bfloat16)
    assert prepare(half)[0].dtype == torch.float32
    assert [each.dtype for each in prepare(half, half.double())] == [torch.float64] * 2
    wild = prepare(torch.tensor([-math.inf, -2e6, math.nan, 3e38]))[0].tolist()
    assert wild[:2] == [-LIMIT, -LIMIT] and math.isnan(wild[2]) and wild[3] == LIMIT


@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        (((3, 4), (2, 4)), r"\(3, 4\), \(2, 4\) do not pair up"),
        (((3, 5), (3, 5)), r"expected \(\.\.\., 4\)"),
        (((), ()), r"expected \(\.\.\., 4\)"),
    ],
)
def test_shapes_that_are_no_pairs_are_refused(shapes: tuple[tuple[int, ...], ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        containment(*(torch.zeros(shape) for shape in shapes))
