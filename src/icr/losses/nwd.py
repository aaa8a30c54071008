"""NWD: boxes as Gaussians, compared by their Wasserstein distance (Wang et al., arXiv 2110.13389)."""

from __future__ import annotations

import torch
from torch import Tensor

from icr.boxes import compare
from icr.losses.iou import centre_offset
from icr.losses.registry import register


@register("nwd")
def nwd(pred: Tensor, target: Tensor, constant: float = 12.8) -> Tensor:
    """``1 - exp(-W / constant)`` of the boxes xyxy ``(..., 4)`` in **pixels**: ``(...)``, 0..1, with gradient.

    ``W² = |centre - target centre|² + |sides - target sides|² / 4``. The one loss here that depends on the unit: the
    constant is the typical size of the objects, 12.8 px in the paper (AI-TOD); ``functools.partial(nwd, constant=…)``
    sets another.

    Example:
        >>> nwd(torch.tensor([0.0, 0.0, 8.0, 8.0]), torch.tensor([12.8, 0.0, 20.8, 8.0]))  # 1 - e^-1
        tensor(0.6321)
    """
    pair = compare(pred, target)
    dx, dy = centre_offset(pair)
    wider, taller = pair.width - pair.other_width, pair.height - pair.other_height
    squared = (dx * dx + dy * dy + wider * wider + taller * taller) / 4
    # the square root has no slope at zero; the floor is 1e-6 px
    return -torch.expm1(-torch.sqrt(squared.clamp_min(1e-12)) / constant)
