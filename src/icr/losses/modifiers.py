"""Modifiers that swap a base loss's IoU term for another: Inner-IoU and Focaler-IoU.

Both papers define their losses as ``L_base + IoU - IoU'``; so any base can be modified, and modifiers compose.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from icr.boxes import compare
from icr.errors import InputError
from icr.losses.registry import BaseLoss, get, register_modifier


def _plain_iou(pred: Tensor, target: Tensor) -> Tensor:
    return compare(pred, target).iou


@dataclass(frozen=True)
class Modified:
    """A base loss whose IoU term is replaced: ``base + old overlap - new overlap``, one value per pair."""

    base: BaseLoss
    overlap: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, pred: Tensor, target: Tensor) -> Tensor:
        return self.base(pred, target) + _overlap_of(self.base)(pred, target) - self.overlap(pred, target)


def _overlap_of(base: BaseLoss) -> Callable[[Tensor, Tensor], Tensor]:
    return base.overlap if isinstance(base, Modified) else _plain_iou


@register_modifier("inner", numbers=1)
def inner(base: str | BaseLoss, ratio: float = 1.25) -> Modified:
    """Take the IoU of boxes with the same centres and ``ratio`` times the sides (Zhang et al., arXiv 2311.02877).

    A ratio above 1 gives small boxes an overlap, and so a gradient, from further away; below 1 it sharpens the IoU of
    large ones. UAV-DETR's loss is ``inner("siou", 1.25)``.

    Args:
        base: name or callable.
        ratio: above 0; the paper tries 0.5 to 1.5.

    Raises:
        InputError: an unknown base, or a ratio that is not positive.

    Example:
        >>> pred, target = torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([2.0, 0.0, 6.0, 2.0])
        >>> inner("iou", ratio=2.0)(pred, target)  # sides 8 and 4: 1 - 24 / 40
        tensor(0.4000)
    """
    base = get(base)
    if not 0 < ratio < float("inf"):
        raise InputError(f"inner ratio {ratio}: expected a number above 0, as in inner@1.25-ciou")
    before = _overlap_of(base)
    return Modified(base, lambda pred, target: before(_resized(pred, ratio), _resized(target, ratio)))


def _resized(boxes: Tensor, ratio: float) -> Tensor:
    upper_left, lower_right = boxes.chunk(2, -1)
    centre = (upper_left + lower_right) / 2
    reach = (lower_right - upper_left) * (ratio / 2)
    return torch.cat((centre - reach, centre + reach), -1)


@register_modifier("focaler", numbers=2)
def focaler(base: str | BaseLoss, low: float = 0.0, high: float = 0.95) -> Modified:
    """Stretch the IoU from ``low..high`` to 0..1 and clamp it there (Zhang and Zhang, arXiv 2401.10525).

    A low interval turns the loss to the hard pairs, a high one to the easy pairs.

    Args:
        base: name or callable.
        low: IoU that counts as 0.
        high: IoU that counts as 1; above ``low``.

    Raises:
        InputError: an unknown base, or an interval that is not within 0..1.

    Example:
        >>> pred, target = torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([2.0, 0.0, 6.0, 2.0])
        >>> focaler("iou", low=0.0, high=0.5)(pred, target)  # 1 - (1 / 3) / 0.5
        tensor(0.3333)
    """
    base = get(base)
    if not 0 <= low < high <= 1:
        raise InputError(f"focaler interval {low}..{high}: expected 0 <= low < high <= 1, as in focaler@0,0.95-ciou")
    before = _overlap_of(base)
    return Modified(base, lambda pred, target: ((before(pred, target) - low) / (high - low)).clamp(0, 1))
