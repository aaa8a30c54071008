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
    """Make boxes fit for arithmetic: one float dtype, coordinates within ``LIMIT``, each coordinate contiguous.

    The result is float64 if any of the boxes is, else float32 (half, bfloat16 and integers are widened). Values keep
    their place; only the memory is laid out coordinate by coordinate, which makes the later steps faster.
    A gradient flows to each box wherever its coordinate lies within the limit. NaN stays NaN.

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
    return tuple(_bounded(each.to(dtype)) for each in boxes)


def _refuse_mismatch(shapes: list[tuple[int, ...]]) -> None:
    try:
        torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    except RuntimeError:
        raise InputError(
            f"boxes of shape {', '.join(map(str, shapes))} do not pair up: expected equal or broadcastable shapes"
        ) from None


def _bounded(boxes: Tensor) -> Tensor:
    by_coordinate = boxes.movedim(-1, 0).contiguous()
    # hardtanh is clamp with a backward pass of one kernel in place of four
    return functional.hardtanh(by_coordinate, -LIMIT, LIMIT).movedim(0, -1)


def corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Split boxes ``(..., 4)`` into upper left and lower right corners, each ``(..., 2)``.

    Example:
        >>> corners(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        (tensor([1., 2.]), tensor([3., 4.]))
    """
    upper_left, lower_right = boxes.chunk(2, -1)
    return upper_left, lower_right


def sides(boxes: Tensor) -> Tensor:
    """Width and height ``(..., 2)`` of boxes ``(..., 4)``, at least ``SMALLEST_SIDE`` each, inverted boxes included.

    Example:
        >>> sides(torch.tensor([1.0, 2.0, 4.0, 4.0]))
        tensor([3., 2.])
    """
    upper_left, lower_right = corners(boxes)
    return (lower_right - upper_left).clamp_min(SMALLEST_SIDE)


def product(sides: Tensor) -> Tensor:
    """Multiply width by height: ``(..., 2)`` to ``(...)``."""
    width, height = sides.unbind(-1)
    return width * height


def area(boxes: Tensor) -> Tensor:
    """Area ``(...)`` of boxes ``(..., 4)``, in squared units; zero for an inverted box.

    Example:
        >>> area(torch.tensor([[0.0, 0.0, 4.0, 2.0], [3.0, 0.0, 1.0, 2.0]]))
        tensor([8., 0.])
    """
    upper_left, lower_right = corners(boxes)
    return product((lower_right - upper_left).relu())


def signed_overlap(first: Tensor, second: Tensor) -> Tensor:
    """Overlap of two boxes along x and y, ``(..., 2)``; negative where a gap lies between them.

    Example:
        >>> signed_overlap(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([3.0, 5.0, 6.0, 9.0]))
        tensor([ 1., -3.])
    """
    first_upper_left, first_lower_right = corners(first)
    second_upper_left, second_lower_right = corners(second)
    return torch.minimum(first_lower_right, second_lower_right) - torch.maximum(first_upper_left, second_upper_left)


def intersection(first: Tensor, second: Tensor) -> Tensor:
    """Area ``(...)`` that two boxes share, in squared units.

    Example:
        >>> intersection(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([3.0, 1.0, 6.0, 9.0]))
        tensor(1.)
    """
    return product(signed_overlap(first, second).relu())


def enclosing(first: Tensor, second: Tensor) -> Tensor:
    """Smallest box ``(..., 4)`` that holds both.

    Example:
        >>> enclosing(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([3.0, 1.0, 6.0, 9.0]))
        tensor([0., 0., 6., 9.])
    """
    first_upper_left, first_lower_right = corners(first)
    second_upper_left, second_lower_right = corners(second)
    upper_left = torch.minimum(first_upper_left, second_upper_left)
    return torch.cat((upper_left, torch.maximum(first_lower_right, second_lower_right)), -1)


class Comparison(NamedTuple):
    """What the IoU family of losses asks about two boxes; every value carries gradient to both."""

    iou: Tensor
    """Intersection over union, ``(...)``, 0..1."""
    union: Tensor
    """Area of the union, ``(...)``."""
    first_sides: Tensor
    """Width and height of the first box, ``(..., 2)``."""
    second_sides: Tensor
    """Width and height of the second box, ``(..., 2)``."""
    enclosing_sides: Tensor
    """Width and height of the smallest box that holds both, ``(..., 2)``."""


def compare(first: Tensor, second: Tensor) -> Comparison:
    """Measure two sets of prepared boxes ``(..., 4)`` against each other, pair by pair.

    Example:
        >>> compare(torch.tensor([0.0, 0.0, 4.0, 2.0]), torch.tensor([2.0, 0.0, 6.0, 2.0])).enclosing_sides
        tensor([6., 2.])
    """
    first_sides, second_sides = sides(first), sides(second)
    overlap = signed_overlap(first, second)
    shared = product(overlap.relu())
    union = product(first_sides) + product(second_sides) - shared
    # max(a, b) = a + b - min(a, b): the enclosing box without a second set of minima, and never of zero size
    return Comparison(shared / union, union, first_sides, second_sides, first_sides + second_sides - overlap)


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
    return prepared_containment(*prepare(child, parent))


def prepared_containment(child: Tensor, parent: Tensor) -> Tensor:
    """Do what :func:`containment` does, for boxes that went through :func:`prepare`."""
    return intersection(child, parent) / product(sides(child))
