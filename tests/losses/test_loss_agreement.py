"""Agreement with torchvision and Ultralytics, where they are installed."""

from __future__ import annotations

import pytest
import torch
from plate_boxes import plates
from torch import Tensor

from icr import box_loss

TOLERANCE = {torch.float64: 1e-5, torch.float32: 1e-4}


def pixels(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Boxes with sides of one pixel and more, near and far."""
    pred, target, _ = plates(4000, seed=11)
    for boxes in (pred, target):
        boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return pred.to(dtype), target.to(dtype)


def gradient(loss: Tensor, pred: Tensor) -> Tensor:
    (result,) = torch.autograd.grad(loss.sum(), pred)
    return result


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(
    ("base", "theirs"),
    [("giou", "generalized_box_iou_loss"), ("diou", "distance_box_iou_loss"), ("ciou", "complete_box_iou_loss")],
)
def test_torchvision(base: str, theirs: str, dtype: torch.dtype) -> None:
    ops = pytest.importorskip("torchvision.ops", reason="torchvision is not installed")
    pred, target = pixels(dtype)
    pred.requires_grad_(True)
    ours, expected = box_loss(pred, target, base), getattr(ops, theirs)(pred, target)
    torch.testing.assert_close(ours, expected, rtol=0, atol=TOLERANCE[dtype])
    torch.testing.assert_close(gradient(ours, pred), gradient(expected, pred), rtol=1e-3, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("base", "flag"), [("iou", None), ("giou", "GIoU"), ("diou", "DIoU"), ("ciou", "CIoU")])
def test_ultralytics(base: str, flag: str | None, dtype: torch.dtype) -> None:
    metrics = pytest.importorskip("ultralytics.utils.metrics", reason="ultralytics is not installed")
    pred, target = pixels(dtype)
    pred.requires_grad_(True)
    flags = {flag: True} if flag else {}
    ours, expected = box_loss(pred, target, base), 1 - metrics.bbox_iou(pred, target, xywh=False, **flags).squeeze(-1)
    torch.testing.assert_close(ours, expected, rtol=0, atol=TOLERANCE[dtype])
    torch.testing.assert_close(gradient(ours, pred), gradient(expected, pred), rtol=1e-3, atol=TOLERANCE[dtype])
