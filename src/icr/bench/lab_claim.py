"""The paper's claim about one far box, tried on many: steps to the target and oscillation, with ICR and without."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from icr.lab.trajectory import PLATE, VEHICLE, random_starts, simulate
from icr.losses import box_loss, icr_loss

STARTS, STEPS, REACHED = 2000, 200, 0.5

_STILL = 0.01
"""A move of less, in pixels, is none."""


@dataclass(frozen=True)
class BoxFigure:
    """One figure of the same start boxes under the base loss and under ICR.

    Attributes:
        name: what it is, in words.
        before, after: its mean over the boxes, base alone and with ICR.
        low, high: ends of the 95 % interval of after − before, paired by start box.
        lower_is_better: of two values.
    """

    name: str
    before: float
    after: float
    low: float
    high: float
    lower_is_better: bool

    @property
    def difference(self) -> float:
        """after − before."""
        return self.after - self.before


def try_boxes(base: str, starts: int = STARTS) -> list[BoxFigure]:
    """Let the start boxes of the reference experiment descend a base loss, alone and with ICR.

    Args:
        base: a registered IoU-family loss.
        starts: number of boxes.

    Returns:
        The share of boxes that reach IoU 0.5, steps until then (one more than all for those that never do), and
        the share of moves that turn back by more than a right angle.

    Example:
        >>> share, steps, turning = try_boxes("ciou", starts=100)
        >>> share.after > share.before, steps.after < steps.before
        (True, True)
    """
    begin, target, parent = random_starts(starts), torch.tensor(PLATE), torch.tensor(VEHICLE)
    ways = [
        simulate(begin, target, parent, loss, steps=STEPS)
        for loss in (
            lambda pred, goal, around: box_loss(pred, goal, base=base),
            lambda pred, goal, around: icr_loss(pred, goal, around, base=base),
        )
    ]
    reached = [(way.iou >= REACHED).any(0).double() for way in ways]
    steps = [_first(way.iou >= REACHED) for way in ways]
    turning = [_turning(way.boxes) for way in ways]
    return [
        _figure(f"share that reaches IoU {REACHED:g} in {STEPS} steps", reached, lower_is_better=False),
        _figure(f"steps until IoU {REACHED:g} (never: {STEPS + 1})", steps, lower_is_better=True),
        _figure("share of moves that turn back", turning, lower_is_better=True),
    ]


def _first(there: Tensor) -> Tensor:
    """The first step at which each box is there; one more than the last where it never is."""
    return torch.where(there.any(0), there.double().argmax(0), len(there)).double()


def _turning(boxes: Tensor) -> Tensor:
    """For each box, the share of its centre's moves that turn by more than a right angle."""
    moves = ((boxes[..., :2] + boxes[..., 2:]) / 2).double().diff(dim=0)
    before, after = moves[:-1], moves[1:]
    moving = (before.norm(dim=-1) > _STILL) & (after.norm(dim=-1) > _STILL)
    turned = ((before * after).sum(-1) < 0) & moving
    share: Tensor = turned.sum(0).double() / moving.sum(0).clamp(min=1)
    return share


def _figure(name: str, pair: list[Tensor], *, lower_is_better: bool) -> BoxFigure:
    before, after = pair
    difference = after - before
    half = 1.96 * float(difference.std()) / len(difference) ** 0.5
    middle = float(difference.mean())
    return BoxFigure(name, float(before.mean()), float(after.mean()), middle - half, middle + half, lower_is_better)
