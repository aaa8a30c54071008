"""Boxes to test losses on."""

from __future__ import annotations

import torch
from torch import Tensor


def plates(pairs: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions, targets and parents, ``(pairs, 4)``: overlapping and apart, inside the parent and outside."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    half = torch.tensor([15.0, 5.0], dtype=torch.float64) * torch.exp(0.5 * normal(pairs, 2))
    centre = 300 + 100 * normal(pairs, 2)
    reach = half * 4
    middle = centre + half * normal(pairs, 2)
    moved = centre + half * 2 * normal(pairs, 2)
    grown = half * torch.exp(0.4 * normal(pairs, 2))
    boxes = ((moved, grown), (centre, half), (middle, reach))
    pred, target, parent = (torch.cat((at - side, at + side), -1).to(dtype) for at, side in boxes)
    return pred, target, parent
