"""The loss and its gradient over the places and sizes that one predicted box may have."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from icr.lab.trajectory import PLATE, VEHICLE, PairLoss


class Field(NamedTuple):
    """A loss over a plane of box centres, rows from top to bottom."""

    x: Tensor
    """Centres across, ``(W,)``, pixels."""
    y: Tensor
    """Centres down, ``(H,)``, pixels."""
    loss: Tensor
    """``(H, W)``."""
    descent: Tensor
    """Where the loss falls fastest for the centre, ``(H, W, 2)``: minus its gradient by centre x and y, per pixel."""

    @property
    def strength(self) -> Tensor:
        """Length of the descent, ``(H, W)``."""
        across, down = self.descent.unbind(-1)
        return torch.hypot(across, down)


def over_centres(
    loss: PairLoss,
    target: Tensor,
    parent: Tensor,
    *,
    x: Tensor,
    y: Tensor,
    scale: float = 1.0,
    aspect: float = 1.0,
) -> Field:
    """Move a box over a plane and take its loss and gradient everywhere.

    Args:
        loss: predicted boxes, targets and parents ``(N, 4)`` to one loss per box.
        target, parent: ``(4,)``, xyxy in pixels.
        x, y: centres across ``(W,)`` and down ``(H,)``, pixels.
        scale: square root of the box's area, the target's being 1.
        aspect: the box's width by height, the target's being 1.

    Example:
        >>> import icr
        >>> plate, vehicle = torch.tensor([10.0, 10, 14, 12]), torch.tensor([0.0, 0, 30, 30])
        >>> field = over_centres(icr.icr_loss, plate, vehicle, x=torch.tensor([12.0, 22.0]), y=torch.tensor([11.0]))
        >>> round(field.loss[0, 0].item(), 3), field.descent[0, 1, 0].item() < 0  # right of it: to the left
        (0.0, True)
    """
    sides = target[2:] - target[:2]
    half = sides * scale * torch.tensor([aspect**0.5, aspect**-0.5]) / 2
    down, across = torch.meshgrid(y, x, indexing="ij")
    centres = torch.stack((across, down), -1).reshape(-1, 2)
    value, gradient = _at(loss, torch.cat((centres - half, centres + half), -1), target, parent)
    shape = down.shape
    return Field(x, y, value.reshape(shape), -gradient.reshape(*shape, 2))


SIZES = tuple(round(4 * 2 ** (step / 8), 3) for step in range(45))
"""Widths of children from 4 to 181 pixels, evenly spaced by their logarithm."""


def over_sizes(
    loss: PairLoss, *, sizes: Sequence[float] = SIZES, distance: float = 20.0, directions: int = 180
) -> tuple[Tensor, Tensor]:
    """Take the gradient on children of many sizes whose boxes lie a fixed distance off (the paper's Fig. 1).

    Parent and child keep the proportions and places of the reference experiment (`VEHICLE`, `PLATE`); the box has the
    child's size.

    Args:
        sizes: widths of the child, pixels.
        distance: from centre to centre, pixels.
        directions: evenly spaced; the mean over them is given.

    Returns:
        Width of the child and mean length of the gradient by the centre, per pixel, each ``(len(sizes),)``.

    Example:
        >>> import icr
        >>> iou = lambda pred, target, parent: icr.box_loss(pred, target, "iou")
        >>> sizes, strength = over_sizes(iou, sizes=(4.0, 160.0))
        >>> bool(strength[0] == 0), bool(strength[1] > 0)  # 20 px off, a small box no longer meets its target
        (True, True)
    """
    plate, vehicle = torch.tensor(PLATE), torch.tensor(VEHICLE)
    width = plate[2] - plate[0]
    angle = torch.arange(directions) * (2 * math.pi / directions)
    step = torch.stack((angle.cos(), angle.sin()), -1).repeat(1, 2) * distance
    scale = torch.tensor(sizes).repeat_interleave(directions).unsqueeze(-1) / width
    boxes = plate * scale + step.repeat(len(sizes), 1)
    _, gradient = _at(loss, boxes, plate * scale, vehicle * scale)
    return torch.tensor(sizes), gradient.norm(dim=-1).reshape(len(sizes), directions).mean(1)


def _at(loss: PairLoss, boxes: Tensor, target: Tensor, parent: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of each box and its gradient by the box's centre, ``(N,)`` and ``(N, 2)``."""
    leaf = boxes.clone().requires_grad_(True)
    value = loss(leaf, target.expand_as(leaf), parent.expand_as(leaf))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    # moving the centre moves both corners
    return value.detach(), gradient[:, :2] + gradient[:, 2:]
