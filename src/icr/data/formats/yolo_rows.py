"""The text files of a YOLO data set: label rows and the pairs that stand beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from icr.data.dataset import NO_PARENT, UNSTATED, Finding
from icr.data.findings import found
from icr.data.formats.text import counted, shown
from icr.relations import ResolvedRelation

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_FORM = "expected: class cx cy w h"


@dataclass
class Rows:
    """The rows of one label file.

    A *row* is a line that is not blank, counted from 0; rows that cannot be used count too, so that pairs keep pointing
    at the right ones.

    Attributes:
        labels: int64 (N,), of the usable rows.
        boxes: float64 (N, 4), cx cy w h as shares of the picture's sides.
        lines: int64 (N,), line in the file, from 1.
        index: int64 (N,), which row of the file each usable row is.
        classes: the class of every row of the file, -1 where the row cannot be used.
        row_lines: the line of every row of the file.
        outlines: by place among the usable rows, x y x y … as shares, of rows that hold an outline.
        repeats: places among the usable rows that repeat an earlier row.
    """

    labels: Ints
    boxes: Floats
    lines: Ints
    index: Ints
    classes: list[int] = field(default_factory=list)
    row_lines: list[int] = field(default_factory=list)
    outlines: dict[int, list[float]] = field(default_factory=dict)
    repeats: list[int] = field(default_factory=list)


def parse_rows(lines: Sequence[str], file: Path, classes: int, findings: list[Finding]) -> Rows:
    """Read the lines of a label file; whatever cannot be used is left out and becomes a finding.

    Args:
        lines: the lines of the file.
        file: its path, for findings.
        classes: the number of classes.
        findings: where findings are added.

    Example:
        >>> rows = parse_rows(["1 0.5 0.5 0.2 0.1", "9 0.5 0.5 0.2 0.1"], Path("a.txt"), 2, faults := [])
        >>> rows.labels.tolist(), rows.classes, [(each.id, each.line) for each in faults]
        ([1], [1, -1], [('labels.class', 2)])
    """
    labels: list[int] = []
    boxes: list[tuple[float, float, float, float]] = []
    kept_lines: list[int] = []
    index: list[int] = []
    rows = Rows(np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64))
    first_seen: dict[tuple[float, ...], int] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        rows.row_lines.append(number)
        rows.classes.append(-1)
        values = _numbers(fields, line, file, number, findings)
        if values is None:
            continue
        box = values[1:] if len(values) == 5 else _around(values[1:])
        fault = _fault(values[0], box[2], box[3], classes)
        if fault is not None:
            findings.append(found(fault[0], file, f"{fault[1]} in row {shown(line.strip())}", number))
            continue
        if len(values) > 5:
            rows.outlines[len(labels)] = list(values[1:])
        if values in first_seen:
            rows.repeats.append(len(labels))
            message = f"row {shown(line.strip())} repeats line {first_seen[values]}"
            findings.append(found("labels.duplicate", file, message, number))
        else:
            first_seen[values] = number
        rows.classes[-1] = int(values[0])
        labels.append(int(values[0]))
        boxes.append((box[0], box[1], box[2], box[3]))
        kept_lines.append(number)
        index.append(len(rows.classes) - 1)
    if rows.outlines:
        message = f"{counted(len(rows.outlines), 'row')} of outlines; the box around each is used"
        findings.append(found("labels.polygon", file, message, kept_lines[min(rows.outlines)]))
    rows.labels = np.array(labels, np.int64)
    rows.boxes = np.array(boxes, np.float64).reshape(-1, 4)
    rows.lines = np.array(kept_lines, np.int64)
    rows.index = np.array(index, np.int64)
    return rows


def _numbers(
    fields: list[str], line: str, file: Path, number: int, findings: list[Finding]
) -> tuple[float, ...] | None:
    """The numbers of a row, when it has as many as a box (5) or an outline (1 + 2·3 and more), all finite."""
    count = len(fields)
    if count != 5 and (count < 7 or count % 2 == 0):
        message = f"found {counted(count, 'field')} in row {shown(line.strip())}; {_FORM}"
        findings.append(found("labels.fields", file, message, number))
        return None
    try:
        values = tuple(map(float, fields))
    except ValueError:
        message = f"row {shown(line.strip())} is not made of numbers; {_FORM}"
        findings.append(found("labels.not_a_number", file, message, number))
        return None
    if not all(map(math.isfinite, values)):
        message = f"row {shown(line.strip())} has a number that is not finite"
        findings.append(found("labels.not_finite", file, message, number))
        return None
    return values


def _around(outline: Sequence[float]) -> tuple[float, ...]:
    """The box cx cy w h around an outline x y x y …"""
    left, right, top, bottom = min(outline[0::2]), max(outline[0::2]), min(outline[1::2]), max(outline[1::2])
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _fault(label: float, width: float, height: float, classes: int) -> tuple[str, str] | None:
    if not label.is_integer():
        return "labels.class", f"class {label:g} is no whole number"
    if not 0 <= label < classes:
        return "labels.class", f"class {label:g} is out of range, expected 0 to {classes - 1},"
    if width < 0 or height < 0:
        return "labels.negative_size", f"size {width:g} by {height:g} is negative"
    if width == 0 or height == 0:
        return "labels.zero_size", f"size {width:g} by {height:g} is zero"
    return None


def parse_pairs(lines: Sequence[str], file: Path, rows: int, findings: list[Finding]) -> Ints:
    """Read the lines of a pairs file, ``child_row parent_row`` each.

    Args:
        lines: the lines of the file.
        file: its path, for findings.
        rows: the number of rows of the label file.
        findings: where findings are added.

    Returns:
        int64 (rows,): each row's parent row; `NO_PARENT` where the file says -1 or does not list the row, `UNSTATED`
        where it says -2.

    Example:
        >>> parse_pairs(["0 1", "2 -2"], Path("a.txt"), 3, []).tolist()
        [1, -1, -2]
    """
    parents = np.full(rows, NO_PARENT, np.int64)
    listed: dict[int, int] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if not fields:
            continue
        try:
            child, parent = map(int, fields)
        except ValueError:
            message = f"found {shown(line.strip())}; expected two whole numbers: child_row parent_row"
            findings.append(found("pairs.line", file, message, number))
            continue
        if not 0 <= child < rows or not UNSTATED <= parent < rows:
            wrong = parent if 0 <= child < rows else child
            message = f"there is no row {wrong} (pair {child} {parent}); the label file has {counted(rows, 'row')}"
            findings.append(found("pairs.row", file, message, number))
        elif child == parent:
            findings.append(found("pairs.self", file, f"row {child} is named as its own parent", number))
        elif child in listed:
            message = f"row {child} is paired already in line {listed[child]}"
            findings.append(found("pairs.repeated", file, message, number))
        else:
            listed[child] = number
            parents[child] = parent
    return parents


def pairs_by_order(rows: Rows, file: Path, relations: Sequence[ResolvedRelation], findings: list[Finding]) -> Ints:
    """Read pairs from the order of the rows: a child, its parent on the next line, then the next pair.

    Where a child is not followed by its parent, the rows are left `UNSTATED` and reading goes on with the next row, so
    that one missing line does not shift every pair after it. Without relations, rows 0 and 1, 2 and 3, … are pairs.

    Returns:
        int64 (rows,): each row's parent row, `NO_PARENT` for the parents, `UNSTATED` where the order is broken.

    Example:
        >>> rows = parse_rows(["0 .5 .5 .1 .1", "1 .5 .5 .4 .4", "1 .2 .2 .1 .1"], Path("a.txt"), 2, [])
        >>> pairs_by_order(rows, Path("a.txt"), [ResolvedRelation(0, (1,))], faults := []).tolist()
        [1, -1, -2]
        >>> faults[0].id, faults[0].line
        ('pairs.order', 3)
    """
    allowed = {(each.child, parent) for each in relations for parent in each.parents}
    # A row that cannot be used (-1) has its own finding; it is taken to be what its neighbour needs.
    allowed |= {pair for child, parent in allowed for pair in ((child, -1), (-1, parent), (-1, -1))}
    parents = np.full(len(rows.classes), UNSTATED, np.int64)
    row = 0
    while row < len(rows.classes):
        child = rows.classes[row]
        parent = rows.classes[row + 1] if row + 1 < len(rows.classes) else None
        fits = (child, parent) in allowed if allowed else parent is not None and parent != child
        if fits:
            parents[row], parents[row + 1] = row + 1, NO_PARENT
            row += 2
            continue
        after = "the end of the file" if parent is None else _called(parent)
        message = f"{_called(child)} is followed by {after}, not by its parent"
        if any(child == each for _, each in allowed) and not any(child == each for each, _ in allowed):
            message = f"{_called(child)}, a parent, does not follow its child"
        findings.append(found("pairs.order", file, message, rows.row_lines[row]))
        row += 1
    return parents


def _called(label: int) -> str:
    return "a row that cannot be used" if label < 0 else f"a row of class {label}"


def keep_usable(parents: Ints, rows: Rows, file: Path, findings: list[Finding]) -> Ints:
    """Turn pairs among all rows of a file into pairs among its usable ones.

    Args:
        parents: int64 (rows of the file,), from `parse_pairs` or `pairs_by_order`.
        rows: the rows.
        file: the file that states the pairs, for findings.

    Returns:
        int64 (N,): each usable row's parent among the usable ones, or `NO_PARENT`, or `UNSTATED`. A child whose
        parent's row cannot be used has `NO_PARENT`: the data states its parent, so geometry must not guess another.
    """
    place = np.full(len(rows.classes), NO_PARENT, np.int64)
    place[rows.index] = np.arange(len(rows.index))
    own = parents[rows.index]
    kept = np.where(own >= 0, place[np.maximum(own, 0)], own)
    for each in np.flatnonzero((own >= 0) & (kept < 0)).tolist():
        message = f"the parent of row {rows.index[each]} is row {own[each]}, which cannot be used"
        findings.append(found("pairs.lost", file, message, int(rows.lines[each])))
    return kept
