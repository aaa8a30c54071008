"""Box arithmetic that every room shares.

Boxes are float tensors of shape ``(..., 4)``, ``(x1, y1, x2, y2)`` with ``x1 <= x2`` and ``y1 <= y2``, in any unit. Two
tensors of boxes are compared pair by pair and broadcast like any PyTorch operands: ``(N, 1, 4)`` with ``(1, M, 4)``
gives every combination.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from icr.errors import InputError

LIMIT = 1e6
"""Coordinates beyond this size are clamped to it, so that areas and their gradients stay finite in float32."""

SMALLEST_SIDE = 1e-12
"""Sides count as at least this long where they divide, so that a zero-size or inverted box has finite gradients."""


def prepare(*boxes: Tensor) -> tuple[Tensor, ...]:
    """Make boxes fit for arithmetic: one float dtype, coordinates within ``LIMIT``.

    The result is float64 if any of the boxes is, else float32 (half, bfloat16 and integers are widened). Gradient flows
    to every coordinate that lies within the limit. NaN stays NaN.

    Args:
        boxes: tensors of shape ``(..., 4)``.

    Returns:
        The boxes in the same order, each of its own shape.

    Raises:
        InputError: a last dimension is not 4, or the shapes do not broadcast.

    Example:
        >>> prepare(torch.tensor([0, 0, 2, 1]))[0]
        tensor([0., 0., 2., 1.])
    """
    shapes = [tuple(each.shape) for each in boxes]
    if any(len(shape) == 0 or shape[-1] != 4 for shape in shapes):
        raise InputError(f"boxes of shape {', '.join(map(str, shapes))}: expected (..., 4) with x1, y1, x2, y2 last")
    if any(shape != shapes[0] for shape in shapes):
        _refuse_mismatch(shapes)
    dtype = torch.float64 if any(each.dtype == torch.float64 for each in boxes) else torch.float32
    # hardtanh is clamp with a backward pass of one kernel in place of four
    return tuple(functional.hardtanh(each.to(dtype), -LIMIT, LIMIT) for each in boxes)


def _refuse_mismatch(shapes: list[tuple[int, ...]]) -> None:
    try:
        torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    except RuntimeError:
        raise InputError(
            f"boxes of shape {', '.join(map(str, shapes))} do not pair up: expected equal or broadcastable shapes"
        ) from None


def area(boxes: Tensor) -> Tensor:
    """Area ``(...)`` of boxes ``(..., 4)``, in squared units; zero for an inverted box.

    Example:
        >>> area(torch.tensor([[0.0, 0.0, 4.0, 2.0], [3.0, 0.0, 1.0, 2.0]]))
        tensor([8., 0.])
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    return (x2 - x1).relu() * (y2 - y1).relu()


def sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height, each ``(...)``, of boxes ``(..., 4)``: at least ``SMALLEST_SIDE``, inverted boxes included.

    Example:
        >>> sides(torch.tensor([1.0, 2.0, 4.0, 4.0]))
        (tensor(3.), tensor(2.))
    """
    x1, y1, x2, y2 = boxes.unbind(-1)
    return (x2 - x1).clamp_min(SMALLEST_SIDE), (y2 - y1).clamp_min(SMALLEST_SIDE)


def signed_overlap(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Overlap of two boxes along x and along y, each ``(...)``; negative where a gap lies between them.

    Example:
        >>> signed_overlap(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([3.0, 5.0, 6.0, 9.0]))
        (tensor(1.), tensor(-3.))
    """
    x1, y1, x2, y2 = first.unbind(-1)
    other_x1, other_y1, other_x2, other_y2 = second.unbind(-1)
    return (
        torch.minimum(x2, other_x2) - torch.maximum(x1, other_x1),
        torch.minimum(y2, other_y2) - torch.maximum(y1, other_y1),
    )


def intersection(first: Tensor, second: Tensor) -> Tensor:
    """Area ``(...)`` that two boxes share, in squared units.

    Example:
        >>> intersection(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([3.0, 1.0, 6.0, 9.0]))
        tensor(1.)
    """
    along_x, along_y = signed_overlap(first, second)
    return along_x.relu() * along_y.relu()


class Comparison(NamedTuple):
    """What the IoU family of losses asks about two boxes; each tensor ``(...)``, with gradient to both boxes."""

    first: tuple[Tensor, ...]
    """x1, y1, x2, y2 of the first box."""
    second: tuple[Tensor, ...]
    """x1, y1, x2, y2 of the second box."""
    iou: Tensor
    """Intersection over union, 0..1."""
    area: Tensor
    """Area of the first box."""
    union: Tensor
    """Area of the union."""
    width: Tensor
    """Width of the first box."""
    height: Tensor
    """Height of the first box."""
    other_width: Tensor
    """Width of the second box."""
    other_height: Tensor
    """Height of the second box."""
    enclosing_width: Tensor
    """Width of the smallest box that holds both."""
    enclosing_height: Tensor
    """Height of the smallest box that holds both."""


def compare(first: Tensor, second: Tensor) -> Comparison:
    """Measure two sets of prepared boxes ``(..., 4)`` against each other, pair by pair.

    Example:
        >>> compare(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([2.0, 0.0, 6.0, 2.0])).enclosing_width
        tensor(6.)
    """
    # one unbind for each box: the gradients of its coordinates are then put together once
    x1, y1, x2, y2 = coordinates = first.unbind(-1)
    other_x1, other_y1, other_x2, other_y2 = other_coordinates = second.unbind(-1)
    width, height = (x2 - x1).clamp_min(SMALLEST_SIDE), (y2 - y1).clamp_min(SMALLEST_SIDE)
    other_width = (other_x2 - other_x1).clamp_min(SMALLEST_SIDE)
    other_height = (other_y2 - other_y1).clamp_min(SMALLEST_SIDE)
    along_x = torch.minimum(x2, other_x2) - torch.maximum(x1, other_x1)
    along_y = torch.minimum(y2, other_y2) - torch.maximum(y1, other_y1)
    shared = along_x.relu() * along_y.relu()
    area = width * height
    union = area + other_width * other_height - shared
    return Comparison(
        coordinates,
        other_coordinates,
        shared / union,
        area,
        union,
        width,
        height,
        other_width,
        other_height,
        # max(a, b) = a + b - min(a, b): the enclosing box without further minima, and never of zero size
        width + other_width - along_x,
        height + other_height - along_y,
    )


def iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union.

    Args:
        first: boxes ``(..., 4)``, xyxy, any unit.
        second: boxes that broadcast with ``first``.

    Returns:
        ``(...)`` in 0..1, float32 (float64 for float64 boxes), with gradient to both; 0 where a box has no area.

    Raises:
        InputError: shapes that are no boxes or do not pair up.

    Example:
        >>> iou(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([2.0, 0.0, 6.0, 2.0]))  # 4 shared of 12
        tensor(0.3333)
    """
    return compare(*prepare(first, second)).iou


def containment(child: Tensor, parent: Tensor) -> Tensor:
    """Share of each child that lies inside its parent: eq. 2 of the ICR paper, ``R = |P ∩ V| / |P|``.

    Args:
        child: boxes ``(..., 4)``, xyxy, any unit.
        parent: boxes in the same unit that broadcast with ``child``.

    Returns:
        ``(...)`` in 0..1, float32 (float64 for float64 boxes): 1 exactly when the child lies wholly inside, 0 when
        outside or without area. Gradient flows to both boxes.

    Raises:
        InputError: shapes that are no boxes or do not pair up.

    Example:
        >>> child = torch.tensor([[10.0, 10.0, 20.0, 14.0], [25.0, 10.0, 35.0, 14.0]])
        >>> containment(child, torch.tensor([0.0, 0.0, 30.0, 30.0]))
        tensor([1.0000, 0.5000])

    Reference:
        Ning and Han, *Inter-Class Relational Loss for Small Object Detection*, arXiv 2508.14343, eq. 2 as this project
        reads it (the equation's image is lost from the text at hand).
    """
    child, parent = prepare(child, parent)
    width, height = sides(child)
    return share_inside(child.unbind(-1), width * height, parent)


def share_inside(coordinates: tuple[Tensor, ...], area: Tensor, parent: Tensor) -> Tensor:
    """Do what :func:`containment` does, for a prepared child whose coordinates and area are at hand."""
    x1, y1, x2, y2 = coordinates
    parent_x1, parent_y1, parent_x2, parent_y2 = parent.unbind(-1)
    # clamp is minimum and maximum with a backward pass of two kernels in place of five; on the parent's very border it
    # takes the child for inside
    along_x = (x2.clamp(max=parent_x2) - x1.clamp(min=parent_x1)).relu()
    along_y = (y2.clamp(max=parent_y2) - y1.clamp(min=parent_y1)).relu()
    return along_x * along_y / area
