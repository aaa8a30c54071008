"""Labels spoiled on purpose, in the ways in which those of large data sets are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from icr.data.synth.camera import Array

Fault = Literal["undersized", "shifted", "missing", "wrong_pair"]
FAULTS: tuple[Fault, ...] = get_args(Fault)

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Spoiling:
    """One label that was spoiled.

    Attributes:
        row: of the clean label file, from 0.
        fault: what was done to it.
    """

    row: int
    fault: Fault


@dataclass(frozen=True)
class Spoiled:
    """The labels of one image after spoiling.

    Attributes:
        labels: int64 (N,).
        boxes: float64 (N, 4), xyxy pixels.
        pairs: rows of each child and of its parent; a child whose parent's row is gone has -1.
        spoilings: what was done, by rows of the clean labels.
    """

    labels: Labels
    boxes: Array
    pairs: tuple[tuple[int, int], ...]
    spoilings: tuple[Spoiling, ...]


def spoil(
    labels: Labels,
    boxes: Array,
    pairs: tuple[tuple[int, int], ...],
    size: tuple[int, int],
    share: float,
    rng: np.random.Generator,
) -> Spoiled:
    """Spoil a share of the children's labels, each in one of four ways that are drawn evenly.

    ``undersized``: the box shrinks about its middle to 40 to 75 % of each side. ``shifted``: it moves by 30 to 80 % of
    its own sides. ``missing``: the row is gone. ``wrong_pair``: it belongs to another object of its parent's class;
    where there is none, one of the other three is drawn. Parents that are no children stay as they are.

    Args:
        labels: int64 (N,).
        boxes: float64 (N, 4), xyxy pixels.
        pairs: rows of each child and of its parent.
        size: width and height of the picture in pixels.
        share: 0..1, chance of each child to be spoiled.
        rng: random numbers.

    Example:
        >>> labels, boxes = np.array([0, 1]), np.array([[40.0, 40.0, 60.0, 50.0], [20.0, 10.0, 90.0, 60.0]])
        >>> done = spoil(labels, boxes, ((0, 1),), (100, 100), 1.0, np.random.default_rng(0))
        >>> done.spoilings
        (Spoiling(row=0, fault='shifted'),)
    """
    boxes = boxes.copy()
    parents = dict(pairs)
    gone: set[int] = set()
    done: list[Spoiling] = []
    for child, parent in pairs:
        if rng.random() >= share:
            continue
        rivals = [row for row in np.flatnonzero(labels == labels[parent]).tolist() if row not in (parent, child)]
        faults = FAULTS if rivals else FAULTS[:3]
        fault = faults[int(rng.integers(len(faults)))]
        if fault == "missing":
            gone.add(child)
        elif fault == "wrong_pair":
            parents[child] = _nearest(boxes[child], boxes[rivals], rivals)
        else:
            boxes[child] = _shrunk(boxes[child], rng) if fault == "undersized" else _shifted(boxes[child], size, rng)
        done.append(Spoiling(child, fault))
    kept = [row for row in range(len(labels)) if row not in gone]
    place = {row: number for number, row in enumerate(kept)}
    left = tuple((place[child], place.get(parent, -1)) for child, parent in parents.items() if child in place)
    return Spoiled(labels[kept], boxes[kept].reshape(-1, 4), left, tuple(done))


def _nearest(box: Array, others: Array, rows: list[int]) -> int:
    """The row whose box lies nearest: the mistake that a person makes."""
    middle = (box[:2] + box[2:]) / 2
    away = np.maximum(np.maximum(others[:, :2] - middle, middle - others[:, 2:]), 0)
    return rows[int(np.hypot(away[:, 0], away[:, 1]).argmin())]


def _shrunk(box: Array, rng: np.random.Generator) -> Array:
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * rng.uniform(0.40, 0.75, 2)
    return np.concatenate([middle - half, middle + half])


def _shifted(box: Array, size: tuple[int, int], rng: np.random.Generator) -> Array:
    """Moved by a part of its own size, and turned back where that leads out of the picture."""
    extent = box[2:] - box[:2]
    step = extent * rng.uniform(0.3, 0.8, 2) * rng.choice([-1.0, 1.0], 2)
    limit = np.array(size, np.float64)
    step = np.where((box[:2] + step < 0) | (box[2:] + step > limit), -step, step)
    low = np.clip(box[:2] + step, 0, np.maximum(limit - extent, 0))
    return np.concatenate([low, low + extent])
