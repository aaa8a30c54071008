"""SIoU: distance and shape costs steered by the angle between the centres (Gevorgyan, arXiv 2205.12740)."""

from __future__ import annotations

import torch
from torch import Tensor

from icr.boxes import Comparison
from icr.losses.iou import centre_offset
from icr.losses.registry import over_comparison, register


@register("siou")
@over_comparison
def siou(pair: Comparison) -> Tensor:
    """``1 - IoU + (Δ + Ω) / 2`` of the boxes xyxy ``(..., 4)``: ``(...)``, 0..3, gradient through every term.

    With d the way between the centres and (cw, ch) the sides of the enclosing box:

    - angle ``Λ = 2·|dx·dy| / (dx² + dy²)``, which is the usual ``cos(2·asin(|dx|/|d|) - π/2)`` without its arc sine;
    - distance ``Δ = Σ (1 - exp((Λ - 2)·(d/c)²))``;
    - shape ``Ω = Σ (1 - exp(-|side - target side| / max(side, target side)))⁴``.

    Example:
        >>> siou(torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([4.0, 0.0, 6.0, 2.0]))  # 1 + (1 - e^(-2·(4/6)²)) / 2
        tensor(1.2944)
    """
    dx, dy = (twice / 2 for twice in centre_offset(pair))
    # the floor gives two boxes of one centre an angle; any would do, as their distance is zero
    bend = 2 * (dx * dy).abs() / (dx * dx + dy * dy).clamp_min(1e-24) - 2
    reach_x, reach_y = dx / pair.enclosing_width, dy / pair.enclosing_height
    distance = -torch.expm1(bend * reach_x * reach_x) - torch.expm1(bend * reach_y * reach_y)
    wider = (pair.width - pair.other_width).abs() / torch.maximum(pair.width, pair.other_width)
    taller = (pair.height - pair.other_height).abs() / torch.maximum(pair.height, pair.other_height)
    shape = torch.expm1(-wider) ** 4 + torch.expm1(-taller) ** 4
    return 1 - pair.iou + (distance + shape) / 2
