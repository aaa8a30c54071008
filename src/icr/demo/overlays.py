"""Boxes drawn over pictures as SVG: crisp at any zoom, and a close-up costs no second copy of the picture."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from icr.demo.report import Box, Marks, Picture
from icr.demo.scene import rect

CHILD = 0
FOUND = 0.5
"""IoU from which a plate counts as found."""


def picture_image(place: int, picture: Picture) -> str:
    """The picture itself, once, for every panel to refer to."""
    uri = f"data:image/jpeg;base64,{b64encode(picture.jpeg).decode('ascii')}"
    return f'<image id="picture-{place}" href="{uri}" width="{picture.width}" height="{picture.height}"/>'


def overlay(place: int, picture: Picture, marks: Marks) -> str:
    """The whole picture with one detector's boxes over it and the labelled plates under them."""
    view = (0.0, 0.0, float(picture.width), float(picture.height))
    label = f"{picture.name}: {len(marks.boxes)} boxes found"
    return _panel(place, picture, marks, view, "whole", label)


def closeup(place: int, picture: Picture, marks: Marks, plate: int) -> str:
    """One labelled plate close up, with what the detector made of it in words."""
    x1, y1, x2, y2 = picture.truth.boxes[plate]
    width = max(1.7 * (x2 - x1), 2.6 * (y2 - y1), 24.0)
    height = width / 1.6
    left = min(max((x1 + x2 - width) / 2, 0.0), max(picture.width - width, 0.0))
    top = min(max((y1 + y2 - height) / 2, 0.0), max(picture.height - height, 0.0))
    said, verdict = judge(picture.truth.boxes[plate], marks)
    panel = _panel(place, picture, marks, (left, top, width, height), "close", f"plate close up: {said}")
    return f'<div class="closeup">{panel}<span class="{verdict}">{escape(said)}</span></div>'


def plates_of(picture: Picture) -> list[int]:
    """The labelled plates of a picture, the smallest first: they are the ones worth a close look."""
    plates = [place for place, label in enumerate(picture.truth.labels) if label == CHILD]
    return sorted(plates, key=lambda place: _area(picture.truth.boxes[place]))


def judge(plate: Box, marks: Marks) -> tuple[str, str]:
    """What a detector made of one labelled plate: in words, and as ``found`` or ``missed``.

    Example:
        >>> judge((0, 0, 10, 4), Marks([(0, 0, 10, 5)], [0], [-1], [0.9]))
        ('IoU 0.80', 'found')
        >>> judge((0, 0, 10, 4), Marks([], [], []))
        ('missed', 'missed')
    """
    best = max(
        (iou(plate, box) for box, label in zip(marks.boxes, marks.labels, strict=True) if label == CHILD), default=0
    )
    if best < 0.05:
        return "missed", "missed"
    return (f"IoU {best:.2f}", "found") if best >= FOUND else (f"IoU {best:.2f}, too loose", "missed")


def iou(a: Box, b: Box) -> float:
    """Overlap of two boxes over their union, 0..1.

    Example:
        >>> iou((0, 0, 2, 2), (1, 0, 3, 2))
        0.3333333333333333
    """
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    together = _area(a) + _area(b) - shared
    return shared / together if together > 0 else 0.0


def legend() -> str:
    """What the lines over the pictures mean."""
    entries = (
        ("truth", "a plate as labelled (the truth)"),
        ("parent-box", "a vehicle found"),
        ("child-box", "a plate found, joined to its vehicle"),
        ("orphan-box", "a plate found on no vehicle"),
    )
    drawn = "".join(
        f'<li><svg viewBox="0 0 34 20" aria-hidden="true"><rect class="ground" width="34" height="20" rx="3"/>'
        f'<rect class="{style}" x="6" y="5" width="22" height="10"/></svg>{escape(text)}</li>'
        for style, text in entries
    )
    return f'<ul class="legend">{drawn}</ul>'


def _panel(
    place: int,
    picture: Picture,
    marks: Marks,
    view: tuple[float, float, float, float],
    kind: str,
    label: str,
) -> str:
    truth = "".join(
        f'<rect class="truth" {rect(box)}/>'
        for box, found in zip(picture.truth.boxes, picture.truth.labels, strict=True)
        if found == CHILD
    )
    left, top, width, height = view
    return (
        f'<svg class="{kind}" viewBox="{left:.1f} {top:.1f} {width:.1f} {height:.1f}" role="img" '
        f'aria-label="{escape(label)}"><use href="#picture-{place}"/>{truth}{_marks(marks)}</svg>'
    )


def _marks(marks: Marks) -> str:
    parts = []
    for place, (box, label, parent) in enumerate(zip(marks.boxes, marks.labels, marks.parents, strict=True)):
        hover = f"<title>score {marks.scores[place]:.2f}</title>" if place < len(marks.scores) else ""
        if label != CHILD:
            parts.append(f'<rect class="parent-box" {rect(box)}>{hover}</rect>')
            continue
        if parent >= 0:
            x, y = (box[0] + box[2]) / 2, box[1]
            px, py = (marks.boxes[parent][0] + marks.boxes[parent][2]) / 2, marks.boxes[parent][1]
            parts.append(f'<line class="join" x1="{x:.1f}" y1="{y:.1f}" x2="{px:.1f}" y2="{py:.1f}"/>')
        parts.append(f'<rect class="{"child-box" if parent >= 0 else "orphan-box"}" {rect(box)}>{hover}</rect>')
    return "".join(parts)


def _area(box: Box) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)
