"""The IoU family: IoU, GIoU, DIoU, CIoU, EIoU.

Every function takes predicted and target boxes, xyxy ``(..., 4)`` in any unit, and returns one loss per pair ``(...)``,
0 for a perfect box. Scale and position of the pair do not matter. Gradient flows through everything except CIoU's
trade-off factor. The functions expect boxes that went through :func:`icr.boxes.prepare`, as :func:`icr.box_loss` has
them do.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from icr.boxes import Comparison
from icr.losses.registry import over_comparison, register


@register("iou")
@over_comparison
def iou(pair: Comparison) -> Tensor:
    """``1 - IoU``, 0..1. No gradient without overlap.

    Example:
        >>> iou(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([2.0, 0.0, 6.0, 2.0]))  # 1 - 4 / 12
        tensor(0.6667)
    """
    return 1 - pair.iou


@register("giou")
@over_comparison
def giou(pair: Comparison) -> Tensor:
    """``1 - IoU`` plus the empty share of the enclosing box, 0..2 (Rezatofighi et al., arXiv 1902.09630).

    Example:
        >>> giou(torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([4.0, 0.0, 6.0, 2.0]))  # 1 + (12 - 8) / 12
        tensor(1.3333)
    """
    return 2 - pair.iou - pair.union / (pair.enclosing_width * pair.enclosing_height)


@register("diou")
@over_comparison
def diou(pair: Comparison) -> Tensor:
    """``1 - IoU`` plus the squared distance of the centres over the enclosing diagonal, 0..2 (arXiv 1911.08287).

    Example:
        >>> diou(torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([4.0, 0.0, 6.0, 2.0]))  # 1 + 4² / (6² + 2²)
        tensor(1.4000)
    """
    return 1 - pair.iou + centre_distance(pair)


@register("ciou")
@over_comparison
def ciou(pair: Comparison) -> Tensor:
    """DIoU plus ``α·v``, a penalty on a differing aspect ratio (Zheng et al., arXiv 1911.08287).

    ``v = 4/π² · (atan(wt/ht) - atan(w/h))²`` and ``α = v / (1 - IoU + v)``; α carries no gradient.

    Example:
        >>> ciou(torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([4.0, 0.0, 6.0, 2.0]))  # equal shapes: DIoU
        tensor(1.4000)
    """
    lost = 1 - pair.iou
    v = _aspect(pair)
    with torch.no_grad():
        # both are zero for a perfect box
        trade_off = v / (lost + v).clamp_min(1e-12)
    return lost + centre_distance(pair) + trade_off * v


@register("eiou")
@over_comparison
def eiou(pair: Comparison) -> Tensor:
    """DIoU plus the squared differences of width and height over the enclosing sides (Zhang et al., arXiv 2101.08158).

    Example:
        >>> eiou(torch.tensor([0.0, 0.0, 2.0, 2.0]), torch.tensor([0.0, 0.0, 4.0, 2.0]))  # 1/2 + 1²/20 + 2²/4²
        tensor(0.8000)
    """
    wider = (pair.width - pair.other_width) / pair.enclosing_width
    taller = (pair.height - pair.other_height) / pair.enclosing_height
    return 1 - pair.iou + centre_distance(pair) + wider * wider + taller * taller


def centre_offset(pair: Comparison) -> tuple[Tensor, Tensor]:
    """Twice the way from the second box's centre to the first's, along x and along y, each ``(...)``."""
    x1, y1, x2, y2 = pair.first
    other_x1, other_y1, other_x2, other_y2 = pair.second
    return x1 + x2 - (other_x1 + other_x2), y1 + y2 - (other_y1 + other_y2)


def centre_distance(pair: Comparison) -> Tensor:
    """Squared distance of the centres over the squared diagonal of the enclosing box, ``(...)``, 0..1."""
    dx, dy = centre_offset(pair)
    width, height = pair.enclosing_width, pair.enclosing_height
    return (dx * dx + dy * dy) / (4 * (width * width + height * height))


def _aspect(pair: Comparison) -> Tensor:
    # atan(a) - atan(b) = atan((a - b) / (1 + ab)): one arc tangent, and exact where the two are close
    difference = pair.other_width * pair.height - pair.width * pair.other_height
    angle = torch.atan(difference / (pair.other_height * pair.height + pair.other_width * pair.width))
    return (4 / math.pi**2) * angle * angle
