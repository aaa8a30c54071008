"""Boxes and pairs on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from icr.drawing.pictures import Picture
from icr.drawing.style import ORPHAN, Colour, colour_of, font_for

_Rectangle = tuple[float, float, float, float]


def annotate(
    image: Picture,
    boxes: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    names: Sequence[str],
    parents: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64] | None = None,
    *,
    orphans: npt.NDArray[np.bool_] | None = None,
    ambiguous: npt.NDArray[np.bool_] | None = None,
    text: bool = True,
) -> Picture:
    """Draw boxes on a copy of a picture, and join each child to the middle of its parent by a line.

    Outlines run around the boxes, not over them, and captions keep off the children, so that a plate of few pixels
    stays in sight.

    Args:
        image: RGB (height, width, 3).
        boxes: (N, 4), xyxy, pixels of `image`.
        labels: (N,), index into `names`.
        names: class names.
        parents: (N,), index of each box's parent, negative where there is none.
        scores: (N,), 0..1, told in the captions.
        orphans: (N,), children without a parent: drawn in red and dashed.
        ambiguous: (N,), children whose parent is a guess: joined by a dashed line.
        text: whether boxes have captions.

    Returns:
        RGB, same shape.

    Example:
        >>> road = np.zeros((240, 320, 3), np.uint8)
        >>> boxes = np.array([[165.0, 185, 195, 195], [100, 100, 260, 220]])
        >>> drawn = annotate(road, boxes, np.array([0, 1]), ["plate", "vehicle"], np.array([1, -1]))
        >>> drawn.shape, bool(road.any()), drawn[99, 99].tolist() == list(colour_of(1))
        ((240, 320, 3), False, True)
    """
    lost = np.zeros(len(boxes), bool) if orphans is None else orphans
    doubtful = np.zeros(len(boxes), bool) if ambiguous is None else ambiguous
    height, width = image.shape[:2]
    thickness = 1 if max(height, width) < 400 else max(2, round(max(height, width) / 640))
    colours = [ORPHAN if lone else colour_of(label) for label, lone in zip(labels, lost, strict=True)]
    canvas = np.array(image)
    for child in np.flatnonzero(parents >= 0):
        _join(canvas, boxes[child], boxes[parents[child]], colours[child], thickness, dashed=bool(doubtful[child]))
    drawn = Image.fromarray(canvas)
    pen = ImageDraw.Draw(drawn, "RGBA")
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(1)
    for index in np.argsort(-areas, kind="stable"):
        _outline(pen, boxes[index], (width, height), colours[index], thickness, dashed=bool(lost[index]))
    if text:
        captions = [_caption(names, label, None if scores is None else scores[i]) for i, label in enumerate(labels)]
        small = (parents >= 0) | lost
        _write_captions(pen, boxes, captions, colours, small, (width, height), thickness)
    return np.asarray(drawn)


def _caption(names: Sequence[str], label: int, score: float | None) -> str:
    name = names[label] if 0 <= label < len(names) else str(label)
    return name if score is None else f"{name} {score:.2f}"


def _outline(
    pen: ImageDraw.ImageDraw,
    box: npt.NDArray[np.float64],
    size: tuple[int, int],
    colour: Colour,
    thickness: int,
    dashed: bool,
) -> None:
    """A frame around the box, with a dark hairline outside it that tells it from a light ground.

    Where the box meets the border of the picture the frame lies on it: beyond, nobody would see it.
    """
    left, top, right, bottom = (round(float(each)) for each in box)
    for step in range(1, thickness + 2):
        frame = (
            left - step if left > 0 else step - 1,
            top - step if top > 0 else step - 1,
            right + step - 1 if right < size[0] else size[0] - step,
            bottom + step - 1 if bottom < size[1] else size[1] - step,
        )
        if frame[2] < frame[0] or frame[3] < frame[1]:
            return
        if step > thickness:
            pen.rectangle(frame, outline=(0, 0, 0, 60 if dashed else 130))
        elif dashed:
            dashed_frame(pen, frame, colour, dash=4 * thickness)
        else:
            pen.rectangle(frame, outline=colour)


def dashed_frame(pen: ImageDraw.ImageDraw, frame: tuple[int, int, int, int], colour: Colour, dash: int) -> None:
    """A rectangle of dashes, one pixel thick."""
    left, top, right, bottom = frame
    for x in range(left, right + 1, 2 * dash):
        for y in (top, bottom):
            pen.line((x, y, min(x + dash - 1, right), y), fill=colour)
    for y in range(top, bottom + 1, 2 * dash):
        for x in (left, right):
            pen.line((x, y, x, min(y + dash - 1, bottom)), fill=colour)


def _join(
    canvas: Picture,
    child: npt.NDArray[np.float64],
    parent: npt.NDArray[np.float64],
    colour: Colour,
    thickness: int,
    dashed: bool,
) -> None:
    """A line from the child's edge to a dot in the middle of its parent, or on its top edge when the middle is near."""
    radius = 1.0 + 1.5 * thickness
    middle, end = (child[:2] + child[2:]) / 2, (parent[:2] + parent[2:]) / 2
    if (1 - min(_way_out(child, middle, end), 1.0)) * float(np.hypot(*(end - middle))) < 5 * radius:
        end = np.array([end[0], parent[1]])
    start = middle + (end - middle) * min(_way_out(child, middle, end), 1.0)
    reach = radius + thickness + 2
    low = np.floor(np.minimum(start, end) - reach).astype(int).clip(min=0)
    high = np.ceil(np.maximum(start, end) + reach).astype(int).clip(max=canvas.shape[1::-1])
    if (high <= low).any():
        return
    x, y = np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1])[:, None] + 0.5
    along, length = end - start, float(np.hypot(*(end - start)))
    travelled = (((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(length, 1e-9) ** 2).clip(0, 1)
    off_line = np.hypot(x - start[0] - travelled * along[0], y - start[1] - travelled * along[1])
    off_dot = np.hypot(x - end[0], y - end[1])
    patch = canvas[low[1] : high[1], low[0] : high[0]]
    clear = (x > child[0]) & (x < child[2]) & (y > child[1]) & (y < child[3])
    gaps = (travelled * length) % (8 * thickness) >= 5 * thickness if dashed else np.zeros_like(off_line, bool)
    for grow, ink, strength in ((1.0, (0, 0, 0), 0.5), (0.0, colour, 1.0)):
        stroke = np.where(gaps, 0, (thickness / 2 + 0.5 + grow - off_line).clip(0, 1))
        cover = np.where(clear, 0, np.maximum(stroke, (radius + grow + 0.5 - off_dot).clip(0, 1)) * strength)
        patch[:] = np.rint(patch * (1 - cover[..., None]) + np.array(ink) * cover[..., None]).astype(np.uint8)


def _way_out(box: npt.NDArray[np.float64], middle: npt.NDArray[np.float64], end: npt.NDArray[np.float64]) -> float:
    """Where the way from a box's middle to `end` leaves the box, as a share of the way; above 1 when it never does."""
    away = np.abs(end - middle)
    half = (box[2:] - box[:2]) / 2
    return float(np.min(np.where(away > 1e-9, half / np.maximum(away, 1e-9), np.inf)))


def _write_captions(
    pen: ImageDraw.ImageDraw,
    boxes: npt.NDArray[np.float64],
    captions: Sequence[str],
    colours: Sequence[Colour],
    small: npt.NDArray[np.bool_],
    size: tuple[int, int],
    thickness: int,
) -> None:
    """Captions, the children's first; each where it hides the fewest children and other captions."""
    letters = round(min(max(min(size) * 0.026, 10), 36))
    kept_clear: list[_Rectangle] = [tuple(map(float, box)) for box in boxes[small]]  # type: ignore[misc]
    for index in [*np.flatnonzero(small), *np.flatnonzero(~small)]:
        font = font_for(captions[index], letters)
        pad = max(2, letters // 5)
        wide, high = pen.textlength(captions[index], font=font) + 2 * pad, round(1.3 * letters)
        place = _free_place(boxes[index], (wide, high), size, thickness + 1, kept_clear, outside=bool(small[index]))
        pen.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=(*colours[index], 225))
        pen.text((place[0] + pad, place[3] - 0.32 * letters), captions[index], (16, 16, 16), font, anchor="ls")
        kept_clear.append(place)


def _free_place(
    box: npt.NDArray[np.float64],
    label: tuple[float, float],
    size: tuple[int, int],
    gap: int,
    kept_clear: Sequence[_Rectangle],
    outside: bool,
) -> _Rectangle:
    (left, top, right, bottom), (wide, high) = (float(each) for each in box), label
    edge = left - gap + 1
    above, below = (edge, top - gap - high), (edge, bottom + gap)
    if outside:
        middle = (top + bottom - high) / 2
        corners = [
            above,
            below,
            (right + gap, middle),
            (left - gap - wide, middle),
            (right - wide, above[1]),
            (right - wide, below[1]),
        ]
    else:
        corners = [
            above,
            (left, top),
            (right - wide, above[1]),
            (right - wide, top),
            below,
            (left, bottom - high),
            (left, top + high),
        ]
    best, least = (0.0, 0.0, wide, high), float("inf")
    for preference, (x, y) in enumerate(corners):
        x, y = min(max(x, 0.0), max(size[0] - wide, 0.0)), min(max(y, 0.0), max(size[1] - high, 0.0))
        place = (x, y, x + wide, y + high)
        own = _overlap(place, (left, top, right, bottom)) if outside else 0.0
        cost = sum(_overlap(place, other) for other in kept_clear) + 3 * own + 0.02 * preference * wide * high
        if cost < least:
            best, least = place, cost
    return best


def _overlap(one: _Rectangle, other: _Rectangle) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
