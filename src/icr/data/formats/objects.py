"""Objects of one picture as a reader of a published data set found them, made into a `Sample`."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from icr.data.dataset import NO_PARENT, UNSTATED, Finding, Sample
from icr.data.findings import found
from icr.data.formats.boxes import cut_circles, usable
from icr.data.formats.text import shown
from icr.data.pictures import Header, PictureError, header, is_picture

Corners = tuple[float, float, float, float]

_TAKEN = frozenset(
    ("id", "image_id", "category_id", "bbox", "parent_id", "iscrowd", "area", "file_name", "width", "height")
)
"""Keys that mean something of their own in COCO JSON, so that no attribute may bear them."""


@dataclass
class Object:
    """One labelled thing.

    Attributes:
        label: class index.
        corners: x1 y1 x2 y2 in pixels, with x1 <= x2 and y1 <= y2.
        called: what a message calls it.
        line: line of the label file from 1, or another number that finds it there; None when there is none.
        parent: place of its parent among the picture's objects, or `NO_PARENT`, or `UNSTATED`.
        attributes: whatever else is said of it.
    """

    label: int
    corners: Corners
    called: str
    line: int | None = None
    parent: int = UNSTATED
    attributes: dict[str, Any] = field(default_factory=dict)


def sample_of(
    image: Path,
    size: Header,
    file: Path | None,
    objects: Sequence[Object],
    attributes: dict[str, Any],
    findings: list[Finding],
) -> Sample:
    """Make a sample; an object without size, not finite or outside its picture is left out, which is a finding.

    A child whose parent is left out has none, since the data states it and geometry must not guess another.
    """
    named = file or image
    boxes = np.array([each.corners for each in objects], np.float64).reshape(-1, 4)
    keep = np.ones(len(objects), np.bool_)
    for place, each in enumerate(objects):
        wide, high = each.corners[2] - each.corners[0], each.corners[3] - each.corners[1]
        if wide == 0 or high == 0:
            keep[place] = False
            message = f"{each.called} has size {wide:g} by {high:g}"
            findings.append(found("labels.zero_size", named, message, _line(named, each)))
    sized = np.flatnonzero(keep)

    def name(place: int) -> tuple[Path, int | None, str]:
        each = objects[sized[place]]
        return named, _line(named, each), each.called

    keep[sized] = usable(boxes[sized], size.width, size.height, name, findings)
    place_of = np.where(keep, np.cumsum(keep) - 1, -1) if len(keep) else np.zeros(0, np.int64)
    kept = [each for each, usable_ in zip(objects, keep.tolist(), strict=True) if usable_]
    parents = np.array([each.parent for each in kept], np.int64)
    for place, each in enumerate(kept):
        if each.parent >= 0:
            parents[place] = place_of[each.parent]
            if parents[place] < 0:
                parents[place] = NO_PARENT
                message = f"the parent of {each.called}, {objects[each.parent].called}, cannot be used"
                findings.append(found("pairs.lost", named, message, _line(named, each)))
    lines = [each.line for each in kept]
    sample = Sample(
        image,
        size.width,
        size.height,
        boxes[keep],
        np.array([each.label for each in kept], np.int64),
        parents,
        file,
        np.array([-1 if line is None else line for line in lines], np.int64) if any(lines) else np.zeros(0, np.int64),
        _named_apart(attributes),
        [_named_apart(each.attributes) for each in kept] if any(each.attributes for each in kept) else [],
    )
    cut_circles(sample, named, findings)
    return sample


def _named_apart(attributes: dict[str, Any]) -> dict[str, Any]:
    return {f"{key}_" if key in _TAKEN else key: value for key, value in attributes.items()}


def _line(file: Path, each: Object) -> int | None:
    """The line for a finding: numbers in a JSON are no lines."""
    return None if file.suffix.lower() == ".json" else each.line


def picture_size(
    image: Path, findings: list[Finding], stated: tuple[Any, Any] | None = None, by: str = "the labels say"
) -> Header | None:
    """The size of a picture as shown; None when it cannot be used, which is a finding.

    Args:
        image: the picture.
        findings: where findings are added.
        stated: width and height as labels say; another size than the picture's own is a finding. None: they do not say.
        by: who says so, as in "the labels say".
    """
    try:
        size = header(image)
    except FileNotFoundError:
        findings.append(found("picture.missing", image, "there is no such picture"))
        return None
    except PictureError as error:
        findings.append(found("picture.unreadable", image, f"cannot be opened as a picture: {error}"))
        return None
    if stated is not None and stated != (size.width, size.height):
        as_stored = size.turned and stated == (size.height, size.width)
        turned = " (EXIF turns it: it is stored the other way round)" if as_stored else ""
        message = f"is {size.width} x {size.height}{turned}, but {by} {shown(stated[0])} x {shown(stated[1])}"
        findings.append(found("picture.size_mismatch", image, message))
    elif size.turned:
        findings.append(found("picture.turned", image, f"is shown as {size.width} x {size.height}, stored turned"))
    return size


def numbers(text: str) -> list[float] | None:
    """The numbers of a text, separated by blanks or commas; None when one of them is none or is not finite.

    Example:
        >>> numbers("10,20 30.5, 40"), numbers("1 nan"), numbers("1 x")
        ([10.0, 20.0, 30.5, 40.0], None, None)
    """
    try:
        values = [float(each) for each in re.split(r"[\s,，;]+", text.strip()) if each]
    except ValueError:
        return None
    return values if all(map(math.isfinite, values)) else None


def around(points: Sequence[tuple[float, float]]) -> Corners:
    """The box around points in any order.

    Example:
        >>> around([(30, 5), (10, 20), (12, 4), (28, 22)])
        (10, 4, 30, 22)
    """
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def clockwise(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The corners of a convex outline, clockwise as seen, from the upper left one, whatever their order.

    Example:
        >>> clockwise([(30, 20), (10, 5), (30, 5), (10, 20)])
        [(10, 5), (30, 5), (30, 20), (10, 20)]
    """
    x, y = (sum(each) / len(points) for each in zip(*points, strict=True))
    turned = sorted(points, key=lambda point: math.atan2(point[1] - y, point[0] - x))
    first = min(range(len(turned)), key=lambda place: sum(turned[place]))
    return turned[first:] + turned[:first]


def outline_area(points: Sequence[tuple[float, float]]) -> float:
    """The area inside an outline, px².

    Example:
        >>> outline_area([(0, 0), (10, 0), (10, 4), (0, 4)]), outline_area([(0, 0), (5, 5), (9, 9), (2, 2)])
        (40.0, 0.0)
    """
    following = [*points[1:], points[0]]
    return abs(sum(x * below - right * y for (x, y), (right, below) in zip(points, following, strict=True))) / 2


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts numbers in names as numbers.

    Example:
        >>> sorted(["frame10", "frame9", "frame"], key=natural)
        ['frame', 'frame9', 'frame10']
    """
    parts = re.split(r"(\d+)", name)
    return tuple((1, int(part), "") if place % 2 else (0, 0, part) for place, part in enumerate(parts))


def pictures_in(folder: Path, findings: list[Finding]) -> list[Path]:
    """The pictures that lie in a folder itself, numbers in names sorted as numbers; hidden ones are passed over."""
    try:
        names = [each.name for each in folder.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        findings.append(found("folder.unreadable", folder, f"cannot be opened: {error.strerror or error}"))
        return []
    return [folder / each for each in sorted(names, key=natural) if is_picture(each) and not each.startswith(".")]


def folders_in(folder: Path) -> list[Path]:
    """The folders that lie in a folder, as far as it can be opened, numbers in names sorted as numbers."""
    try:
        with os.scandir(folder) as entries:
            names = [each.name for each in entries if each.is_dir() and not each.name.startswith((".", "__MACOSX"))]
    except OSError:
        return []
    return [folder / each for each in sorted(names, key=natural)]


def report_stray(labels: Iterable[Path], pictures: Iterable[Path], findings: list[Finding]) -> None:
    """Name each label file whose picture is not there; both are matched by stem."""
    stems = {each.stem for each in pictures}
    for each in labels:
        if each.stem not in stems:
            message = f"there is no picture {shown(each.stem)}, .jpg or .png or another, for it"
            findings.append(found("labels.no_picture", each, message))
