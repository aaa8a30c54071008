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
from ultralytics.utils.ops import segments2boxes, xywh2xyxy

from icr.data.dataset import NO_PARENT, UNSTATED, Sample
from icr.data.pairs import children, pair
from icr.relations import ResolvedRelation

Rows = npt.NDArray[np.int64]

DRAWS = 1 << 22
"""A draw's number stays below this: float32 holds it exactly, and it need only differ within one picture."""


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


def stated_parents(label_file: Path, label: Mapping[str, Any], in_order: bool) -> Rows:
    """Read which parents the labels state, in the rows that Ultralytics kept (it sorts a file that holds duplicates).

    Args:
        label_file: the picture's label file; its pairs stand in the same place under `pairs` instead of `labels`.
        label: Ultralytics' reading of it.
        in_order: `data.yaml` says `pairs: order`: rows alternate, child and its parent.

    Returns:
        int64 (N,): row of the parent, `NO_PARENT`, or `UNSTATED`.
    """
    kept = np.concatenate([label["cls"], label["bboxes"]], 1).astype(np.float32)
    said = np.full(len(kept), UNSTATED, np.int64)
    sidecar = sidecar_of(label_file)
    if not len(kept) or not (in_order or sidecar.is_file()):
        return said
    keys = [row.tobytes() for row in kept]
    row_of = {key: row for row, key in reversed(list(enumerate(keys)))}
    written = [row_of.get(key, -1) for key in _written_rows(label_file)]
    if sidecar.is_file():
        said[:] = NO_PARENT
        for child, parent in _sidecar_lines(sidecar):
            if child < len(written) and written[child] >= 0:
                inside = 0 <= parent < len(written) and written[parent] >= 0
                said[written[child]] = written[parent] if inside else (UNSTATED if parent == UNSTATED else NO_PARENT)
        return said
    for child, parent in zip(written[::2], written[1::2], strict=False):
        if child >= 0 and parent >= 0:
            said[child], said[parent] = parent, NO_PARENT
    return said


def sidecar_of(label_file: Path) -> Path:
    """Where the pairs of a label file stand.

    Example:
        >>> sidecar_of(Path("set/labels/train/a.txt")).as_posix()
        'set/pairs/train/a.txt'
    """
    parts = list(label_file.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == "labels":
            parts[index] = "pairs"
            return Path(*parts)
    return label_file.parent / "pairs" / label_file.name


def _written_rows(label_file: Path) -> list[bytes]:
    """Each row of a label file as Ultralytics reads it (class and box as float32), in the file's order."""
    rows = []
    for line in label_file.read_text(encoding="utf-8-sig").splitlines():
        values = np.array(line.split(), dtype=np.float32)
        if len(values) > 6:
            box = segments2boxes([values[1:].reshape(-1, 2)])[0]
            values = np.array([values[0], *box], np.float32)
        if len(values):
            rows.append(values.tobytes())
    return rows


def _sidecar_lines(sidecar: Path) -> list[tuple[int, int]]:
    found = []
    for line in sidecar.read_text(encoding="utf-8-sig").splitlines():
        parts = line.split()
        if len(parts) == 2 and all(part.lstrip("-").isdigit() for part in parts) and not parts[0].startswith("-"):
            found.append((int(parts[0]), int(parts[1])))
    return found
