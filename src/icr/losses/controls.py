"""Controls that draw lots: a parent at a random place, factors that change hands."""

from __future__ import annotations

import torch
from torch import Tensor

from icr.boxes import prepare
from icr.losses.plain import full_precision


def pseudo_parent(target: Tensor, parent: Tensor, generator: torch.Generator) -> Tensor:
    """Lay a box of the parent's size at random around the true child: a control to hand in as ``parent``.

    It holds the child just as the parent does, yet says nothing of where the parent is. Along an axis where the child
    is the longer one, the box lies inside the child.

    Args:
        target: true child boxes ``(..., 4)``, xyxy.
        parent: boxes of their parents, same shape and unit.
        generator: source of chance; the global one is left alone.

    Returns:
        Boxes ``(..., 4)``, without gradient.

    Example:
        >>> box = pseudo_parent(
        ...     torch.tensor([10.0, 10.0, 12.0, 11.0]), torch.tensor([0.0, 0.0, 20.0, 20.0]), torch.Generator()
        ... )
        >>> bool((box[:2] <= 10).all() and (box[2:] >= 11).all()), (box[2:] - box[:2]).tolist()
        (True, [20.0, 20.0])
    """
    with torch.no_grad(), full_precision(target):
        target, parent = prepare(target, parent)
        upper_left, lower_right = target.chunk(2, -1)
        parent_upper_left, parent_lower_right = parent.chunk(2, -1)
        parent_sides = parent_lower_right - parent_upper_left
        farthest = lower_right - parent_sides
        share = torch.rand(farthest.shape, generator=generator, device=generator.device, dtype=farthest.dtype)
        start = torch.lerp(farthest, upper_left.expand_as(farthest), share.to(farthest.device))
        return torch.cat((start, start + parent_sides), -1)


def dealt_out(factor: Tensor, has_parent: Tensor | None, generator: torch.Generator | None) -> Tensor:
    """Shuffle the factors among the pairs that have a parent, without looking at how many there are."""
    assert generator is not None  # check_form saw to it
    flat = factor.flatten()
    key = torch.rand(flat.shape, generator=generator, device=generator.device, dtype=torch.float64).to(flat.device)
    if has_parent is None:
        return flat[key.argsort()].view_as(factor)
    absent = ~has_parent.expand_as(factor).flatten()
    # both sortings put the children first: one in order, one at random
    giver = (key + 2 * absent).argsort()
    taker = absent.to(torch.uint8).argsort(stable=True)
    return torch.empty_like(flat).scatter(0, taker, flat[giver]).view_as(factor)
