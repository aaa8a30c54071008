# SPDX-License-Identifier: AGPL-3.0-only
"""Which box is whose parent: stated by the labels, found on the pictures as stored, carried through augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ultralytics.utils.ops import xywh2xyxy

from icr.data.dataset import NO_PARENT, UNSTATED, Sample
from icr.data.formats.text import read_lines
from icr.data.formats.yolo import label_file, pairs_file
from icr.data.formats.yolo_rows import keep_usable, pairs_by_order, parse_pairs, parse_rows
from icr.data.pairs import children, pair
from icr.relations import ResolvedRelation

Rows = npt.NDArray[np.int64]

DRAWS = 1 << 22
"""A draw's number stays below this: float32 holds it exactly, and it need only differ within one picture."""

_SAME = 1e-5
"""Shares of a side: the same box read as float32 and as float64 differs by less."""


@dataclass(frozen=True)
class Count:
    """The children of a data set: all of them, those with a parent, by statement or geometry, and the doubtful ones."""

    children: int = 0
    stated: int = 0
    by_geometry: int = 0
    ambiguous: int = 0

    @property
    def pairs(self) -> int:
        """Children with a parent."""
        return self.stated + self.by_geometry

    def __str__(self) -> str:
        how = f"{self.stated} stated, {self.by_geometry} by geometry, {self.ambiguous} ambiguous"
        return f"{self.children} children: {self.pairs} with a parent ({how}), {self.children - self.pairs} without"


def pair_labels(
    labels: Sequence[Mapping[str, Any]], stated: Sequence[Rows], relations: Sequence[ResolvedRelation]
) -> tuple[list[Rows], Count]:
    """Find every box's parent on the pictures as stored: the stated one, else geometry.

    Args:
        labels: Ultralytics' label dictionaries: `cls` (N, 1), `bboxes` (N, 4) normalised xywh.
        stated: for each picture (N,), row of the parent, `NO_PARENT` or `UNSTATED`.
        relations: resolved.

    Returns:
        For each picture int64 (N,): row of the parent, or `NO_PARENT`; and the counts over all pictures.
    """
    parents: list[Rows] = []
    total = np.zeros(4, np.int64)
    for label, said in zip(labels, stated, strict=True):
        # Shares and the order of areas are the same in normalised coordinates as in pixels.
        boxes = xywh2xyxy(label["bboxes"].astype(np.float64))
        sample = Sample(Path(label["im_file"]), 1, 1, boxes, label["cls"][:, 0].astype(np.int64), said)
        found = pair(sample, relations)
        has = found.parents >= 0
        counts = children(sample, relations), has & found.stated, has & ~found.stated, found.ambiguous
        total += [each.sum() for each in counts]
        parents.append(found.parents)
    return parents, Count(*(int(each) for each in total))


def parent_rows(picture: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Find each box's parent among the boxes of a batch, by the ids that travelled with them.

    Args:
        picture: (N,), index of each box's picture in the batch.
        ids: (N, 3): number of the draw, row in the drawn picture's labels, row of the parent there (negative: none).

    Returns:
        int64 (N,): row of the parent in the batch; -1 where there is none, or where augmentation cut it away.

    Example:
        >>> parent_rows(torch.tensor([0, 0, 1]), torch.tensor([[7, 0, 1], [7, 1, -1], [7, 0, 1]]))
        tensor([ 1, -1, -1])
    """
    if not len(ids):
        return torch.zeros(0, dtype=torch.int64)
    place, (draw, row, parent) = picture.long(), ids.long().unbind(1)
    drawn = ((place << 22) | draw) << 24
    keys, order = (drawn | row).sort()
    wanted = drawn | parent.clamp(min=0)
    at = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return torch.where((keys[at] == wanted) & (parent >= 0), order[at], -1)


def padded_parents(picture: torch.Tensor, parent: torch.Tensor, pictures: int, most: int) -> torch.Tensor:
    """Bring parents by batch row into the padded form of Ultralytics' assigner.

    Args:
        picture: (N,) rising, index of each box's picture.
        parent: (N,), row of the parent in the batch, -1 for none.
        pictures, most: size of the padded form.

    Returns:
        int64 (pictures, most): slot of each box's parent within its picture, -1 for none and in padding.

    Example:
        >>> padded_parents(torch.tensor([0, 1, 1]), torch.tensor([-1, 2, -1]), 2, 2)
        tensor([[-1, -1],
                [ 1, -1]])
    """
    slot = slots(picture, pictures)
    padded = torch.full((pictures, most), -1, dtype=torch.int64, device=parent.device)
    padded[picture, slot] = torch.where(parent >= 0, slot[parent.clamp(min=0)], -1)
    return padded


def slots(picture: torch.Tensor, pictures: int) -> torch.Tensor:
    """Position of each box among its picture's boxes; `picture` (N,) rises.

    Example:
        >>> slots(torch.tensor([0, 0, 2]), 3)
        tensor([0, 1, 0])
    """
    counts = torch.zeros(pictures, dtype=torch.int64, device=picture.device)
    counts.scatter_add_(0, picture, torch.ones_like(picture))
    return torch.arange(len(picture), device=picture.device) - (counts.cumsum(0) - counts)[picture]


def stated_parents(
    label: Mapping[str, Any], classes: int, in_order: bool, relations: Sequence[ResolvedRelation]
) -> Rows:
    """Read which parents the labels state, in the rows that Ultralytics kept.

    Ultralytics leaves rows out (repeated ones, classes that are not wanted) and sorts a file that holds repeated rows,
    so its rows are found again in the file by class and box.

    Args:
        label: Ultralytics' reading of a picture's label file.
        classes: the number of classes.
        in_order: `data.yaml` says `pairs: order`: a child, then its parent.
        relations: resolved.

    Returns:
        int64 (N,): row of the parent, `NO_PARENT`, or `UNSTATED`.
    """
    image = Path(label["im_file"])
    kept = label["cls"][:, 0], label["bboxes"].astype(np.float64)
    nothing = np.full(len(kept[0]), UNSTATED, np.int64)
    sidecar, file = pairs_file(image), label_file(image)
    pairs = read_lines(sidecar, []) if sidecar.is_file() else None
    if not len(nothing) or (pairs is None and not in_order):
        return nothing
    rows = parse_rows(read_lines(file, []) or [], file, classes, [])
    if not len(rows.labels):
        return nothing
    by_file_row = (
        pairs_by_order(rows, file, relations, [])
        if pairs is None
        else parse_pairs(pairs, sidecar, len(rows.classes), [])
    )
    parents = keep_usable(by_file_row, rows, file, [])
    apart = np.abs(kept[1][:, None] - rows.boxes[None]).max(-1)
    apart[kept[0][:, None] != rows.labels[None]] = np.inf
    written = apart.argmin(1)
    said = np.where(apart.min(1) < _SAME, parents[written], UNSTATED)
    kept_row = np.where(apart.min(0) < _SAME, apart.argmin(0), NO_PARENT)
    return np.where(said >= 0, kept_row[np.maximum(said, 0)], said)
