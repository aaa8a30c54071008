"""Follow boxes as they descend the gradient of a loss: the regression experiment.

The four coordinates x1, y1, x2, y2 are the parameters, as the distances to the four sides are in a YOLO; or centre,
width and height, as in a DETR. Under the latter the same losses get much further, for both sides of a box then move as
one. The step of a box is ``rate · (2 - IoU)`` times its gradient, a tenth of that in the last fifth of the steps, as in
the simulation of the DIoU paper (Zheng et al., arXiv 1911.08287); after each step sides are at least one pixel, the
upper left corner (or the centre) held.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from icr.boxes import iou
from icr.errors import InputError

PairLoss: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Predicted boxes, targets and parents, each ``(N, 4)``, to one loss per box ``(N,)``."""

VEHICLE = (100.0, 100.0, 260.0, 220.0)
"""The parent of the reference experiment, in pixels."""

PLATE = (165.0, 185.0, 195.0, 195.0)
"""Its child, the target."""


class Trajectory(NamedTuple):
    """Where each box was before the first step and after every one."""

    boxes: Tensor
    """``(steps + 1, N, 4)``, xyxy in pixels."""
    iou: Tensor
    """IoU with the target, ``(steps + 1, N)``."""


def _centred(boxes: Tensor) -> Tensor:
    first, last = boxes.chunk(2, -1)
    return torch.cat(((first + last) / 2, last - first), -1)


def _cornered(values: Tensor) -> Tensor:
    centre, sides = values.chunk(2, -1)
    return torch.cat((centre - sides / 2, centre + sides / 2), -1)


def _as_they_are(boxes: Tensor) -> Tensor:
    return boxes


PARAMETERS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "corners": (_as_they_are, _as_they_are),
    "centre": (_centred, _cornered),
}
"""For each parameterisation, from xyxy boxes to parameters and back."""


def random_starts(number: int = 2000, seed: int = 0) -> Tensor:
    """Start boxes ``(number, 4)`` of the reference experiment, xyxy in pixels, all over the vehicle and around it.

    Centres are uniform over x 30 to 330 and y 0 to 300; sides are 30 and 12 times e to a normal deviate of 0.5.

    Example:
        >>> random_starts(3).shape
        torch.Size([3, 4])
    """
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(number, 2, generator=generator) * 300 + torch.tensor([30.0, 0.0])
    half = torch.tensor([15.0, 6.0]) * torch.exp(0.5 * torch.randn(number, 2, generator=generator))
    return torch.cat((centre - half, centre + half), -1)


def simulate(
    start: Tensor,
    target: Tensor,
    parent: Tensor,
    loss: PairLoss,
    steps: int = 200,
    rate: float = 200.0,
    parameters: str = "corners",
) -> Trajectory:
    """Let boxes descend the gradient of a loss, each by itself.

    Args:
        start: boxes ``(N, 4)``, xyxy in pixels.
        target: the box they should reach, ``(4,)`` or ``(N, 4)``.
        parent: the box of the target's parent, ``(4,)`` or ``(N, 4)``.
        loss: predicted boxes, targets and parents, each ``(N, 4)``, to one loss per box ``(N,)``.
        steps: number of steps.
        rate: px² of step per unit of gradient, before the factor ``2 - IoU``.
        parameters: what the gradient is taken by: ``corners`` (x1, y1, x2, y2) or ``centre`` (centre, width, height).

    Returns:
        Every position on the way, without gradient.

    Raises:
        InputError: ``start`` is not ``(N, 4)``, unknown parameters, or a loss that does not give one value per box.

    Example:
        >>> import icr
        >>> vehicle, plate = torch.tensor(VEHICLE), torch.tensor(PLATE)
        >>> start = random_starts()
        >>> alone = simulate(start, plate, vehicle, lambda pred, target, parent: icr.box_loss(pred, target))
        >>> related = simulate(start, plate, vehicle, icr.icr_loss)
        >>> round(alone.iou[-1].mean().item(), 1), round(related.iou[-1].mean().item(), 1)
        (0.2, 0.5)
    """
    if start.ndim != 2 or start.shape[-1] != 4:
        raise InputError(f"start boxes of shape {tuple(start.shape)}: expected (N, 4)")
    if parameters not in PARAMETERS:
        raise InputError(f"parameters {parameters!r}: expected {' or '.join(PARAMETERS)}")
    read, write = PARAMETERS[parameters]
    values = read(start.detach())
    boxes = write(values)
    target, parent = target.expand_as(boxes), parent.expand_as(boxes)
    positions, overlaps = [boxes], [iou(boxes, target)]
    for step in range(steps):
        gradient = _gradient(values, write, target, parent, loss)
        pace = rate * (2 - overlaps[-1]) * (0.1 if step >= 0.8 * steps else 1.0)
        boxes, values = _at_least_a_pixel(values - pace.unsqueeze(-1) * gradient, parameters)
        positions.append(boxes)
        overlaps.append(iou(boxes, target))
    return Trajectory(torch.stack(positions), torch.stack(overlaps))


def _gradient(
    values: Tensor, write: Callable[[Tensor], Tensor], target: Tensor, parent: Tensor, loss: PairLoss
) -> Tensor:
    with torch.enable_grad():
        leaf = values.clone().requires_grad_(True)
        value = loss(write(leaf), target, parent)
        if value.shape != values.shape[:1]:
            raise InputError(f"a loss of shape {tuple(value.shape)}: expected one value per box, {(len(values),)}")
        # the boxes do not touch each other, so the gradient of the sum is the gradient of each
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return gradient


def _at_least_a_pixel(values: Tensor, parameters: str) -> tuple[Tensor, Tensor]:
    """Boxes and the parameters they stand for, no side under a pixel."""
    first, last = values.chunk(2, -1)
    held = torch.cat((first, torch.maximum(last, first + 1) if parameters == "corners" else last.clamp(min=1)), -1)
    return PARAMETERS[parameters][1](held), held
