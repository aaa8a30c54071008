"""SIoU: distance and shape costs steered by the angle between the centres (Gevorgyan, arXiv 2205.12740)."""

from __future__ import annotations

import torch
from torch import Tensor

from icr.boxes import compare
from icr.losses.iou import centre_offset, squared_length
from icr.losses.registry import register


@register("siou")
def siou(pred: Tensor, target: Tensor) -> Tensor:
    """``1 - IoU + (Δ + Ω) / 2`` of the boxes xyxy ``(..., 4)``: ``(...)``, 0..3, gradient through every term.

    With d the way between the centres and (cw, ch) the sides of the enclosing box:

    - angle ``Λ = 2·|dx·dy| / (dx² + dy²)``, which is the usual ``cos(2·asin(|dx|/|d|) - π/2)`` without its arc sine;
    - distance ``Δ = Σ (1 - exp((Λ - 2)·(d/c)²))``;
    - shape ``Ω = Σ (1 - exp(-|side - target side| / max(side, target side)))⁴``.

    Example:
        >>> siou(torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([4.0, 0.0, 6.0, 2.0]))  # 1 + (1 - e^(-2·(4/6)²)) / 2
        tensor(1.2944)
    """
    pair = compare(pred, target)
    offset = centre_offset(pred, target) / 2
    dx, dy = offset.unbind(-1)
    angle = 2 * (dx * dy).abs() / squared_length(offset).clamp_min(1e-24)
    reach = offset / pair.enclosing_sides
    distance = -torch.expm1((angle - 2).unsqueeze(-1) * reach * reach)
    difference = (pair.first_sides - pair.second_sides).abs() / torch.maximum(pair.first_sides, pair.second_sides)
    shape = torch.expm1(-difference) ** 4
    return 1 - pair.iou + (distance + shape).sum(-1) / 2
