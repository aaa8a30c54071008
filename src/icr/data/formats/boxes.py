"""What every reader does with its boxes once they are in pixels: those outside their picture, pairs that go round."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from icr.data.dataset import NO_PARENT, Finding, Sample
from icr.data.findings import found

OVERHANG = 0.1
"""Pixels by which a box may stick out before it is worth a word: rounding of the labels."""


def usable(
    boxes: npt.NDArray[np.float64],
    width: int,
    height: int,
    name: Callable[[int], tuple[Path, int | None, str]],
    findings: list[Finding],
) -> npt.NDArray[np.bool_]:
    """Tell which boxes can be used, and report those that cannot or that stick out of their picture.

    Args:
        boxes: float64 (N, 4), xyxy pixels.
        width, height: the picture's size.
        name: for a box's place, its file, its line and what to call it in a message.
        findings: where findings are added.

    Returns:
        bool (N,): False where the box is not finite in pixels or lies wholly outside.
    """
    if not len(boxes):
        return np.zeros(0, np.bool_)
    with np.errstate(invalid="ignore", over="ignore"):
        left, top, right, bottom = boxes.T
        wide, high = right - left, bottom - top
        finite = np.isfinite(wide + high) & (wide > 0) & (high > 0)
        away = (right <= 0) | (bottom <= 0) | (left >= width) | (top >= height)
        out = (left < -OVERHANG) | (top < -OVERHANG) | (right > width + OVERHANG) | (bottom > height + OVERHANG)
        tiny = (wide < 1) | (high < 1)
    for place in np.flatnonzero(~finite | away | out | tiny).tolist():
        file, line, called = name(place)
        corners = ", ".join(f"{value:.5g}" for value in boxes[place].tolist())
        if not finite[place]:
            findings.append(found("labels.not_finite", file, f"{called} has no size that can be stored", line))
            continue
        kind = "boxes.outside" if away[place] else "boxes.partly_outside" if out[place] else ""
        if kind:
            how = "lies wholly outside" if away[place] else "sticks out of"
            message = f"{called} ({corners}) {how} its picture of {width} x {height}"
            pixels = boxes[place].max() > 20 * max(width, height) and file.suffix == ".txt"
            hint = "; are these pixels? YOLO rows are shares of the sides, 0 to 1" if pixels else ""
            findings.append(found(kind, file, message + hint, line))
        if tiny[place] and not away[place]:
            size = f"{wide[place]:.3g} x {high[place]:.3g}"
            findings.append(found("boxes.tiny", file, f"{called} is {size} pixels", line))
    return np.asarray(finite & ~away)


def kept_parents(
    parents: npt.NDArray[np.int64], keep: npt.NDArray[np.bool_], same: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.int64]:
    """The parents of the boxes that are kept, as places among these; `NO_PARENT` where the parent is not kept.

    Args:
        parents: int64 (N,), as in `Sample.parents`.
        keep: bool (N,).
        same: int64 (N,), the box that stands for each; None: itself.

    Example:
        >>> kept_parents(np.array([2, -2, -1, 1]), np.array([True, False, True, True]))
        array([ 1, -1, -1])
    """
    if not len(parents):
        return parents
    place = np.where(keep, np.cumsum(keep) - 1, NO_PARENT)
    above = np.maximum(parents, 0)
    above = above if same is None else same[above]
    return np.where(parents >= 0, place[above], parents)[keep].astype(np.int64)


def first_of_equals(rows: npt.NDArray[np.float64] | npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """For each row, bit for bit, the place of the first one equal to it.

    Example:
        >>> first_of_equals(np.array([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]]))
        array([0, 1, 0])
    """
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(row.tobytes(), place) for place, row in enumerate(rows)], np.int64)


def keep_boxes(
    sample: Sample, boxes: npt.NDArray[np.float64], keep: npt.NDArray[np.bool_], same: npt.NDArray[np.int64]
) -> Sample:
    """A picture with some of its boxes, moved; children of a box left out go to the one that stands for it, if kept.

    Args:
        sample: the picture with N boxes.
        boxes: float64 (N, 4), xyxy in pixels, to take the place of the picture's.
        keep: bool (N,).
        same: int64 (N,), the box that stands for each.
    """
    return dataclasses.replace(
        sample,
        boxes=boxes[keep],
        labels=sample.labels[keep],
        parents=kept_parents(sample.parents, keep, same),
        lines=sample.lines[keep] if len(sample.lines) else sample.lines,
        box_attributes=[sample.box_attributes[at] for at in np.flatnonzero(keep)] if sample.box_attributes else [],
    )


def cut_circles(sample: Sample, file: Path, findings: list[Finding]) -> None:
    """Undo, in place, pairs in which a box comes to be its own ancestor; each box cut loose is told of."""
    parents = sample.parents
    settled = np.zeros(len(parents), np.bool_)
    for start in np.flatnonzero(parents >= 0).tolist():
        path: list[int] = []
        each = start
        while each >= 0 and not settled[each] and each not in path:
            path.append(each)
            each = int(parents[each])
        if each >= 0 and not settled[each]:
            circle = path[path.index(each) :]
            line = int(sample.lines[each]) if len(sample.lines) and file.suffix != ".json" else None
            findings.append(found("pairs.circle", file, f"{len(circle)} boxes of {sample.image.name} go round", line))
            parents[circle] = NO_PARENT
        settled[path] = True
