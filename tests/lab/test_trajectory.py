"""The regression experiment, against the figures of its first run."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import Tensor

from icr import box_loss, icr_loss
from icr.errors import InputError
from icr.lab.trajectory import PLATE, VEHICLE, PairLoss, Trajectory, random_starts, simulate


def follow(loss: PairLoss, start: Tensor | None = None, steps: int = 200) -> Trajectory:
    start = random_starts(2000, seed=0) if start is None else start
    return simulate(start, torch.tensor(PLATE), torch.tensor(VEHICLE), loss, steps=steps)


def alone(base: str) -> PairLoss:
    return lambda pred, target, parent: box_loss(pred, target, base)


def related(base: str, form: str) -> PairLoss:
    return functools.partial(icr_loss, base=base, form=form)


@pytest.mark.parametrize(
    ("loss", "mean_iou"),
    [
        (alone("ciou"), 0.18),
        (related("ciou", "product"), 0.48),
        (related("ciou", "sum"), 0.44),
        (related("ciou", "power"), 0.41),
        (related("ciou", "step"), 0.25),
        (related("ciou", "detached"), 0.20),
        (alone("giou"), 0.12),
        (related("giou", "product"), 0.42),
        (alone("diou"), 0.17),
        (related("diou", "product"), 0.48),
        (alone("iou"), 0.00),
        (related("iou", "product"), 0.00),
    ],
    ids=lambda value: f"{value:.2f}" if isinstance(value, float) else "",
)
def test_mean_iou_after_200_steps(loss: PairLoss, mean_iou: float) -> None:
    # over start seeds the means have a standard deviation of about 0.01
    assert follow(loss).iou[-1].mean().item() == pytest.approx(mean_iou, abs=0.03)


def test_first_step_by_hand() -> None:
    # L = |x1 - target x1| has gradient (1, 0, 0, 0) for a box to the right; IoU 0: the step is 200 · 2 · 1 = 400 px
    start = torch.tensor([[700.0, 185.0, 900.0, 195.0]])
    path = follow(lambda pred, target, parent: (pred[:, 0] - target[:, 0]).abs(), start, steps=10)
    assert path.boxes[0].tolist() == start.tolist()
    assert path.boxes[1].tolist() == [[300.0, 185.0, 900.0, 195.0]]


def test_last_fifth_is_a_tenth() -> None:
    # a loss of constant slope 0.001 far from the target: 0.4 px a step, then 0.04
    start = torch.tensor([[700.0, 1000.0, 900.0, 1100.0]])
    path = follow(lambda pred, target, parent: 0.001 * pred[:, 0], start, steps=10)
    assert path.boxes.diff(dim=0)[:, 0, 0].tolist() == pytest.approx([-0.4] * 8 + [-0.04] * 2, rel=1e-2)


def test_sides_stay_at_least_a_pixel() -> None:
    # pulls x2 far to the left of x1
    start = torch.tensor([[700.0, 185.0, 900.0, 195.0]])
    path = follow(lambda pred, target, parent: pred[:, 2], start, steps=3)
    assert path.boxes[-1].tolist() == [[700.0, 185.0, 701.0, 195.0]]


def test_works_under_no_grad_and_leaves_the_start_alone() -> None:
    start = random_starts(5)
    kept = start.clone()
    with torch.no_grad():
        path = follow(related("ciou", "product"), start, steps=3)
    assert path.boxes.shape == (4, 5, 4) and path.iou.shape == (4, 5)
    assert torch.equal(start, kept) and not torch.equal(path.boxes[-1], kept)


def test_boxes_move_independently() -> None:
    start = random_starts(6)
    together = follow(related("ciou", "product"), start, steps=20).boxes
    by_itself = follow(related("ciou", "product"), start[2:3], steps=20).boxes
    torch.testing.assert_close(together[:, 2:3], by_itself)


def test_same_seed_same_starts() -> None:
    assert torch.equal(random_starts(10, seed=3), random_starts(10, seed=3))
    assert not torch.equal(random_starts(10, seed=3), random_starts(10, seed=4))


@pytest.mark.parametrize("start", [torch.zeros(4), torch.zeros(2, 5)])
def test_start_of_a_wrong_shape_is_refused(start: Tensor) -> None:
    with pytest.raises(InputError, match=r"expected \(N, 4\)"):
        follow(alone("ciou"), start)


def test_loss_that_is_already_reduced_is_refused() -> None:
    with pytest.raises(InputError, match="one value per box"):
        follow(lambda pred, target, parent: box_loss(pred, target, reduction="mean"), random_starts(3))
