"""Where boxes start from: a grid over distances, sizes and aspect ratios around the target."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

DISTANCES = (0.5, 1.0, 2.0, 3.0, 4.0)
SCALES = (0.5, 1.0, 2.0)
ASPECTS = (0.5, 1.0, 2.0)


def grid_starts(
    target: Tensor,
    distances: Sequence[float] = DISTANCES,
    scales: Sequence[float] = SCALES,
    aspects: Sequence[float] = ASPECTS,
    directions: int = 16,
) -> Tensor:
    """Start boxes all round a target: every distance with every size, aspect ratio and direction.

    Args:
        target: the box they should reach, ``(4,)``, xyxy in pixels.
        distances: from centre to centre, in diagonals of the target.
        scales: square roots of the area, the target's being 1.
        aspects: width by height, the target's being 1.
        directions: evenly spaced, the first to the right.

    Returns:
        Boxes ``(N, 4)`` in the order of the arguments, the last one changing fastest.

    Example:
        >>> grid_starts(torch.tensor([0.0, 0.0, 4.0, 3.0]), (1.0,), (1.0,), (1.0,), directions=1)
        tensor([[5., 0., 9., 3.]])
    """
    first, last = target.chunk(2, -1)
    centre, sides = (first + last) / 2, last - first
    angle = torch.arange(directions) * (2 * math.pi / directions)
    toward = torch.stack((angle.cos(), angle.sin()), -1)
    boxes = []
    for distance in distances:
        for scale in scales:
            for aspect in aspects:
                half = sides * scale * torch.tensor([aspect**0.5, aspect**-0.5]) / 2
                at = centre + toward * distance * sides.norm()
                boxes.append(torch.cat((at - half, at + half), -1))
    return torch.cat(boxes)
