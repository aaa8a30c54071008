"""Line charts as inline SVG; their colours come from the page, so that they follow its light or dark scheme."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 14, 38


@dataclass(frozen=True)
class Series:
    """One line of a chart.

    Attributes:
        name: what the line shows, in words.
        style: class in the page's style sheet that gives its colour: `baseline` or `icr`.
        points: x and y; a y that is no finite number leaves a gap.
    """

    name: str
    style: str
    points: Sequence[tuple[float, float]]


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_range: tuple[float, float] | None = None,
    identity: str = "",
) -> str:
    """Draw lines over one pair of axes.

    Args:
        series: at least one line with at least one finite point.
        title: read by screen readers and shown by the browser on hovering.
        x_label: what runs along the bottom.
        y_range: fixed ends of the y axis; None fits the data.
        identity: value of the `id` attribute, for scripts.

    Returns:
        An `<svg>` element that scales with its column.

    Raises:
        ValueError: there is no finite point.

    Example:
        >>> line_chart([Series("AP50", "icr", [(1, 0.2), (2, 0.4)])], title="AP50", x_label="epoch")[:18]
        '<svg class="chart"'
    """
    shown = [(x, y) for one in series for x, y in one.points if math.isfinite(x) and math.isfinite(y)]
    if not shown:
        raise ValueError(f"chart {title!r} has no finite point")
    x_ticks = ticks(min(x for x, _ in shown), max(x for x, _ in shown))
    x_low, x_high = min(x for x, _ in shown), max(x for x, _ in shown)
    y_ticks = ticks(*(y_range or (min(y for _, y in shown), max(y for _, y in shown))))
    y_low, y_high = y_range or (y_ticks[0], y_ticks[-1])
    place_x = _scale(x_low, x_high, _LEFT, WIDTH - _RIGHT)
    place_y = _scale(y_low, y_high, HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{place_y(y):.1f}" y2="{place_y(y):.1f}"/>'
        f'<text class="tick" x="{_LEFT - 7}" y="{place_y(y) + 4:.1f}" text-anchor="end">{_number(y)}</text>'
        for y in y_ticks
        if y_low <= y <= y_high
    ]
    parts += [
        f'<text class="tick" x="{place_x(x):.1f}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{_number(x)}</text>'
        for x in x_ticks
        if x_low <= x <= x_high
    ]
    parts.append(
        f'<text class="axis" x="{(_LEFT + WIDTH - _RIGHT) / 2:.0f}" y="{HEIGHT - 4}" text-anchor="middle">'
        f"{escape(x_label)}</text>"
    )
    for one in series:
        path = _path([(place_x(x), place_y(y)) for x, y in one.points])
        parts.append(f'<path class="line {escape(one.style)}" d="{path}"><title>{escape(one.name)}</title></path>')
    scale = (
        f'data-x="{_LEFT} {WIDTH - _RIGHT} {x_low:g} {x_high:g}" data-y="{_TOP} {HEIGHT - _BOTTOM}"' if identity else ""
    )
    name = f'id="{escape(identity)}" {scale}' if identity else ""
    return (
        f'<svg class="chart" {name} viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover a range, evenly spaced.

    Args:
        low, high: ends of the range; equal ones are widened.
        about: how many steps are wanted.

    Example:
        >>> ticks(0.13, 0.88)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if high <= low:
        low, high = low - 0.5 * (abs(low) or 1), low + 0.5 * (abs(low) or 1)
    rough = (high - low) / about
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(place * step, 10) for place in range(first, last + 1)]


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def _path(points: Sequence[tuple[float, float]]) -> str:
    parts, pen_down = [], False
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            # A step of no length makes a point that stands alone a dot.
            parts.append(f"L{x:.1f} {y:.1f}" if pen_down else f"M{x:.1f} {y:.1f}h0")
            pen_down = True
        else:
            pen_down = False
    return "".join(parts)


def _number(value: float) -> str:
    return f"{value:g}"
