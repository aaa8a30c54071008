"""What became of boxes that descended a loss: how soon they arrived, how far off they stayed, how they swung."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from icr.lab.trajectory import Trajectory

_STILL = 0.01
"""A move of less, in pixels, is none."""


@dataclass(frozen=True)
class Arrival:
    """How soon boxes arrived somewhere.

    Attributes:
        share: of the boxes that did, 0..1.
        steps: median number of steps over all boxes; None where fewer than half arrived.
    """

    share: float
    steps: float | None


@dataclass(frozen=True)
class Outcome:
    """The figures of one loss over many start boxes.

    Attributes:
        near: the centre within half the target's diagonal of its place.
        iou50, iou75: IoU of at least 0.5 and 0.75.
        mean_iou: after the last step.
        error: mean over boxes and coordinates of the distance to the target in pixels, before each step and after the
            last, ``(steps + 1,)``.
        overlap: mean IoU, likewise.
        oscillation: share of the moves of a centre that turn by more than a right angle against the move before.
        detour: median length of the way of a centre, by the straight line from its start to its end.
    """

    near: Arrival
    iou50: Arrival
    iou75: Arrival
    mean_iou: float
    error: Tensor
    overlap: Tensor
    oscillation: float
    detour: float

    def as_json(self) -> dict[str, Any]:
        """The same in plain values, curves included."""
        arrivals = {
            name: {"share": arrival.share, "steps": arrival.steps}
            for name, arrival in (("near", self.near), ("iou50", self.iou50), ("iou75", self.iou75))
        }
        return {
            **arrivals,
            "mean_iou": self.mean_iou,
            "oscillation": self.oscillation,
            "detour": self.detour,
            "error": [round(value, 4) for value in self.error.tolist()],
            "iou": [round(value, 5) for value in self.overlap.tolist()],
        }


def measure(way: Trajectory, target: Tensor) -> Outcome:
    """Measure the ways of many boxes.

    Args:
        way: from `icr.lab.trajectory.simulate`, over N boxes.
        target: the box they should reach, ``(4,)`` or ``(N, 4)``, xyxy in pixels.

    Example:
        >>> boxes = torch.tensor([[[4.0, 0, 6, 2]], [[1, 0, 3, 2]], [[0, 0, 2, 2]]])
        >>> way = Trajectory(boxes, iou=torch.tensor([[0.0], [0.33], [1]]))
        >>> found = measure(way, torch.tensor([0.0, 0.0, 2.0, 2.0]))
        >>> found.near.steps, found.iou50.steps, found.oscillation, found.detour
        (1.0, 2.0, 0.0, 1.0)
    """
    target = target.expand_as(way.boxes[0])
    centres, goal = _centres(way.boxes), _centres(target)
    radius = (target[..., 2:] - target[..., :2]).norm(dim=-1) / 2
    return Outcome(
        near=_arrival((centres - goal).norm(dim=-1) <= radius),
        iou50=_arrival(way.iou >= 0.5),
        iou75=_arrival(way.iou >= 0.75),
        mean_iou=float(way.iou[-1].mean()),
        error=(way.boxes - target).abs().mean((1, 2)),
        overlap=way.iou.mean(1),
        oscillation=_oscillation(centres),
        detour=_detour(centres),
    )


def _centres(boxes: Tensor) -> Tensor:
    return (boxes[..., :2] + boxes[..., 2:]) / 2


def _arrival(there: Tensor) -> Arrival:
    """From ``(steps + 1, N)``: whether a box is there before each step."""
    arrived = there.any(0)
    first = torch.where(arrived, there.float().argmax(0).float(), torch.inf)
    middle = float(first.median())
    return Arrival(float(arrived.float().mean()), middle if middle < torch.inf else None)


def _oscillation(centres: Tensor) -> float:
    moves = centres.diff(dim=0)
    before, after = moves[:-1], moves[1:]
    moving = (before.norm(dim=-1) > _STILL) & (after.norm(dim=-1) > _STILL)
    turned = ((before * after).sum(-1) < 0) & moving
    return float(turned.sum() / moving.sum().clamp(min=1))


def _detour(centres: Tensor) -> float:
    length = centres.diff(dim=0).norm(dim=-1).sum(0)
    straight = (centres[-1] - centres[0]).norm(dim=-1)
    moved = straight > _STILL
    return float((length[moved] / straight[moved]).median()) if bool(moved.any()) else 1.0
