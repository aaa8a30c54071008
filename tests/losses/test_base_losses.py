"""The base losses and their modifiers: numbers worked by hand, naive loops, invariants, gradients."""

from __future__ import annotations

import functools
import math

import naive_losses
import pytest
import torch
from plate_boxes import plates
from torch import Tensor

from icr import box_loss
from icr.errors import InputError
from icr.losses import focaler, inner, names
from icr.losses.nwd import nwd

MODIFIED = ("inner-ciou", "inner-siou", "focaler-ciou", "focaler-inner-giou")
ALL = (*naive_losses.LOSSES, *MODIFIED)


def by_loop(base: str, pred: Tensor, target: Tensor) -> Tensor:
    loss = naive_losses.LOSSES[base]
    return torch.tensor([loss(a, b) for a, b in zip(pred.tolist(), target.tolist(), strict=True)], dtype=torch.float64)


def test_every_base_has_its_naive_loop() -> None:
    assert set(names()) == set(naive_losses.LOSSES)


@pytest.mark.parametrize(
    ("base", "loss"),
    [
        # 2x2 boxes, 4 apart: nothing shared, union 8, enclosing 6x2, centres 4 apart, diagonal² 40
        ("iou", 1.0),
        ("giou", 1 + 4 / 12),
        ("diou", 1 + 16 / 40),
        ("ciou", 1 + 16 / 40),  # equal shapes
        ("eiou", 1 + 16 / 40),  # equal sides
        # centres level: angle 0, so 1 - exp(-2·(4/6)²) along x and nothing along y; equal shapes
        ("siou", 1 + (1 - math.exp(-2 * (4 / 6) ** 2)) / 2),
        ("nwd", 1 - math.exp(-4 / 12.8)),
        ("inner@3-iou", 1 - 2 * 6 / (36 + 36 - 12)),  # sides 6: they share 2x6
        ("focaler@0,0.5-iou", 1.0),
    ],
)
def test_boxes_apart_by_hand(base: str, loss: float) -> None:
    pred, target = torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[4.0, 0.0, 6.0, 2.0]])
    assert box_loss(pred, target, base).item() == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize(
    ("base", "loss"),
    [
        # a 4x2 box, and the 2x2 box that is its left half: shared 4, union 8, centres 1 apart, diagonal² 20
        ("iou", 0.5),
        ("giou", 0.5),  # the enclosing box is full
        ("diou", 0.5 + 1 / 20),
        ("eiou", 0.5 + 1 / 20 + (2 / 4) ** 2),
        # distance 1 - exp(-2·(1/4)²), shape (1 - exp(-2/4))⁴
        ("siou", 0.5 + (1 - math.exp(-2 / 16) + (1 - math.exp(-0.5)) ** 4) / 2),
        ("nwd", 1 - math.exp(-math.sqrt(1 + 1) / 12.8)),  # centres 1 apart, half sides 1 apart
        ("focaler@0.25,0.75-iou", 1 - (0.5 - 0.25) / 0.5),
        ("inner@0.5-iou", 1 - 0.5 * 1 / (2 + 1 - 0.5)),  # 1..3 by 0.5..1.5 and 0.5..1.5 by 0.5..1.5: they share 0.5x1
    ],
)
def test_boxes_overlapping_by_hand(base: str, loss: float) -> None:
    pred, target = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 2.0]])
    assert box_loss(pred, target, base).item() == pytest.approx(loss, abs=1e-6)


def test_ciou_aspect_by_hand() -> None:
    # one centre, 1x3 and 3x1: shared 1, union 5; v = 4/π² (atan 3 - atan 1/3)², α = v / (1 - 1/5 + v)
    pred, target = torch.tensor([[1.0, 0.0, 2.0, 3.0]]), torch.tensor([[0.0, 1.0, 3.0, 2.0]])
    v = 4 / math.pi**2 * (math.atan(3) - math.atan(1 / 3)) ** 2
    assert box_loss(pred, target, "ciou").item() == pytest.approx(0.8 + v * v / (0.8 + v), abs=1e-6)


def test_siou_is_uav_detrs_inner_siou() -> None:
    # the published spec: 1 - (IoU of sides x 1.25 - 0.5 (Δ + Ω))
    pred, target, _ = plates(50)
    loops = [naive_losses.inner("siou", a, b, 1.25) for a, b in zip(pred.tolist(), target.tolist(), strict=True)]
    torch.testing.assert_close(box_loss(pred, target, "inner-siou").tolist(), loops, rtol=0, atol=1e-9)


@pytest.mark.parametrize("base", naive_losses.LOSSES)
def test_base_equals_its_naive_loop(base: str) -> None:
    pred, target, _ = plates(500)
    torch.testing.assert_close(box_loss(pred, target, base), by_loop(base, pred, target), rtol=0, atol=1e-9)


@pytest.mark.parametrize("base", naive_losses.LOSSES)
def test_float32_is_close_to_the_naive_loop(base: str) -> None:
    pred, target, _ = plates(500, dtype=torch.float32)
    loss = box_loss(pred, target, base)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), by_loop(base, pred, target), rtol=0, atol=1e-4)


@pytest.mark.parametrize("base", naive_losses.LOSSES)
def test_modified_equals_its_naive_loop(base: str) -> None:
    pred, target, _ = plates(200, seed=1)
    pairs = list(zip(pred.tolist(), target.tolist(), strict=True))
    for found, expected in (
        (inner(base, 0.8), [naive_losses.inner(base, a, b, 0.8) for a, b in pairs]),
        (focaler(base, 0.1, 0.6), [naive_losses.focaler(base, a, b, 0.1, 0.6) for a, b in pairs]),
    ):
        torch.testing.assert_close(box_loss(pred, target, found).tolist(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["focaler@0.1,0.6-inner@0.8-diou", "inner@0.8-focaler@0.1,0.6-diou"])
def test_modifiers_compose_in_either_order(name: str) -> None:
    # DIoU with its IoU replaced by the stretched IoU of the resized boxes
    pred, target, _ = plates(100, seed=2)
    expected = []
    for a, b in zip(pred.tolist(), target.tolist(), strict=True):
        resized = naive_losses.iou_of(naive_losses.resized(a, 0.8), naive_losses.resized(b, 0.8))
        stretched = min(1.0, max(0.0, (resized - 0.1) / 0.5))
        expected.append(naive_losses.diou(a, b) + naive_losses.iou_of(a, b) - stretched)
    torch.testing.assert_close(box_loss(pred, target, name).tolist(), expected, rtol=0, atol=1e-9)


def test_nwd_constant() -> None:
    pred, target, _ = plates(20)
    expected = [naive_losses.nwd(a, b, 32.0) for a, b in zip(pred.tolist(), target.tolist(), strict=True)]
    loss = box_loss(pred, target, functools.partial(nwd, constant=32.0))
    torch.testing.assert_close(loss.tolist(), expected, rtol=0, atol=1e-9)


# CIoU's trade-off factor carries no gradient by definition; its own test follows
@pytest.mark.parametrize("base", [base for base in ALL if "ciou" not in base])
def test_gradient_is_that_of_the_value(base: str) -> None:
    pred, target, _ = plates(8, seed=3)
    assert torch.autograd.gradcheck(lambda boxes: box_loss(boxes, target, base), pred.requires_grad_(True))


def test_ciou_trade_off_carries_no_gradient() -> None:
    pred, target, _ = plates(8, seed=3)
    v = 4 / math.pi**2 * (_angle(target) - _angle(pred)) ** 2
    held = (box_loss(pred, target, "ciou") - box_loss(pred, target, "diou")) / v

    def with_factor_held(boxes: Tensor) -> Tensor:
        v = 4 / math.pi**2 * (_angle(target) - _angle(boxes)) ** 2
        return box_loss(boxes, target, "diou") + held * v

    (ours,) = torch.autograd.grad(box_loss(pred.requires_grad_(True), target, "ciou").sum(), pred)
    (expected,) = torch.autograd.grad(with_factor_held(pred).sum(), pred)
    torch.testing.assert_close(ours, expected)


def _angle(boxes: Tensor) -> Tensor:
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.atan((x2 - x1) / (y2 - y1))


@pytest.mark.parametrize("base", ALL)
def test_perfect_box_costs_nothing_and_stays(base: str) -> None:
    _, target, _ = plates(50)
    pred = target.clone().requires_grad_(True)
    loss = box_loss(pred, target, base)
    (gradient,) = torch.autograd.grad(loss.sum(), pred)
    torch.testing.assert_close(loss, torch.zeros_like(loss), rtol=0, atol=1e-6)
    assert gradient.abs().max() < 1e-9


@pytest.mark.parametrize("base", [base for base in ALL if base != "nwd"])
def test_scale_and_place_do_not_matter(base: str) -> None:
    pred, target, _ = plates(100)
    loss = box_loss(pred, target, base)
    torch.testing.assert_close(box_loss(pred * 0.001, target * 0.001, base), loss, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(box_loss(pred - 137.5, target - 137.5, base), loss, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("base", ["diou", "ciou", "eiou", "siou", "giou", "nwd"])
def test_farther_costs_more(base: str) -> None:
    target = torch.tensor([100.0, 100.0, 130.0, 110.0], dtype=torch.float64)
    away = torch.linspace(0, 200, 50, dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.5, 1.0, 0.5])
    assert (box_loss(target + away, target.expand(50, 4), base).diff() > 0).all()


def test_broadcast_and_shape() -> None:
    pred, target, _ = plates(6)
    everything = box_loss(pred[:, None], target[None], "giou")
    assert everything.shape == (6, 6)
    torch.testing.assert_close(everything.diagonal(), box_loss(pred, target, "giou"))
    assert box_loss(pred[0], target[0]).shape == ()


def test_reductions() -> None:
    pred, target, _ = plates(7)
    losses = box_loss(pred, target)
    assert box_loss(pred, target, reduction="sum").item() == pytest.approx(losses.sum().item())
    assert box_loss(pred, target, reduction="mean").item() == pytest.approx(losses.mean().item())
    with pytest.raises(InputError, match="unknown reduction 'avg'; known: none, mean, sum"):
        box_loss(pred, target, reduction="avg")


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.nan, math.inf])
def test_inner_ratio_must_be_positive(ratio: float) -> None:
    with pytest.raises(InputError, match="inner ratio"):
        inner("ciou", ratio)


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.5), (0.9, 0.1), (-0.1, 0.5), (0.0, 1.1), (math.nan, 1.0)])
def test_focaler_interval_must_lie_in_the_unit(low: float, high: float) -> None:
    with pytest.raises(InputError, match="focaler interval"):
        focaler("ciou", low, high)
