"""The way of one box, drawn over a vehicle seen from behind."""

from __future__ import annotations

from collections.abc import Sequence

from icr.demo.report import Way

MARGIN = 14.0
STATIONS = (25, 50, 100, 200)
"""Places among the positions at which the outline of the box stays visible."""


def scene(way: Way) -> str:
    """Draw the vehicle, the plate, and the way of the box under both losses.

    Args:
        way: boxes in pixels of the drawing.

    Returns:
        An `<svg>` element; the boxes ``way-baseline`` and ``way-icr`` in it stand at the place `shown`.
    """
    boxes = [*way.baseline, *way.icr, way.parent, way.target]
    left, top = (min(box[side] for box in boxes) - MARGIN for side in (0, 1))
    right, bottom = (max(box[side] for box in boxes) + MARGIN for side in (2, 3))
    return (
        f'<svg class="scene" viewBox="{left:.0f} {top:.0f} {right - left:.0f} {bottom - top:.0f}" role="img" '
        'aria-label="The way of a box to the plate under CIoU and under ICR-CIoU">'
        f'{_vehicle(*way.parent)}<rect class="parent" {rect(way.parent)}/><rect class="target" {rect(way.target)}/>'
        f'<rect class="start" {rect(way.baseline[0])}/>{_way(way.baseline, "baseline")}{_way(way.icr, "icr")}</svg>'
    )


def shown(boxes: Sequence[Sequence[float]]) -> int:
    """The place on a way at which the page shows the box at first: a quarter of it, where the two losses differ most.

    Example:
        >>> shown([(0, 0, 1, 1)] * 401)
        100
    """
    return (len(boxes) - 1) // 4


def rect(box: Sequence[float]) -> str:
    """Position and size of a box as SVG attributes.

    Example:
        >>> rect((1, 2, 4, 3))
        'x="1.0" y="2.0" width="3.0" height="1.0"'
    """
    x1, y1, x2, y2 = box
    return f'x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"'


def _way(boxes: Sequence[Sequence[float]], style: str) -> str:
    line = "M" + "L".join(f"{(x1 + x2) / 2:.1f} {(y1 + y2) / 2:.1f}" for x1, y1, x2, y2 in boxes)
    ghosts = "".join(f'<rect class="ghost {style}" {rect(boxes[at])}/>' for at in STATIONS if at < len(boxes) - 1)
    now = f'<rect class="now {style}" id="way-{style}" {rect(boxes[shown(boxes)])}/>'
    return f'{ghosts}<path class="centre {style}" d="{line}"/>{now}'


def _vehicle(x1: float, y1: float, x2: float, y2: float) -> str:
    def x(share: float) -> str:
        return f"{x1 + share * (x2 - x1):.1f}"

    def y(share: float) -> str:
        return f"{y1 + share * (y2 - y1):.1f}"

    def block(style: str, left: float, top: float, right: float, bottom: float, radius: float) -> str:
        box = (x1 + left * (x2 - x1), y1 + top * (y2 - y1), x1 + right * (x2 - x1), y1 + bottom * (y2 - y1))
        return f'<rect class="{style}" {rect(box)} rx="{radius:g}"/>'

    cabin = f"M{x(0.14)} {y(0.44)}L{x(0.25)} {y(0.06)}Q{x(0.5)} {y(-0.04)} {x(0.75)} {y(0.06)}L{x(0.86)} {y(0.44)}Z"
    window = f"M{x(0.22)} {y(0.39)}L{x(0.3)} {y(0.1)}Q{x(0.5)} {y(0.04)} {x(0.7)} {y(0.1)}L{x(0.78)} {y(0.39)}Z"
    return (
        f'<path class="body" d="{cabin}"/><path class="glass" d="{window}"/>'
        + "".join(block("tyre", left, 0.8, left + 0.14, 1.0, 4) for left in (0.08, 0.78))
        + block("body", 0.01, 0.4, 0.99, 0.91, 11)
        + "".join(block("lamp", left, 0.48, left + 0.13, 0.61, 4) for left in (0.04, 0.83))
        + block("bumper", 0.03, 0.81, 0.97, 0.88, 3)
    )
