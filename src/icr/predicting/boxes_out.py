"""From a network's outputs to boxes: decoding, and non-maximum suppression. NumPy alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Found = tuple[Floats, Floats, Labels]
"""Boxes (N, 4) xyxy in pixels of the network's input, scores (N,) falling, labels (N,)."""

_MOST_CANDIDATES = 30_000


def suppress(boxes: Floats, scores: Floats, labels: Labels, iou: float, most: int) -> npt.NDArray[np.int64]:
    """Choose boxes greedily by score, leaving out those that overlap a chosen one of the same class too much.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,), falling.
        labels: (N,).
        iou: a box goes when its IoU with a chosen one is greater than this.
        most: how many boxes are chosen at most.

    Returns:
        Indices of the chosen boxes, best first.

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [40, 0, 50, 10]], float)
        >>> suppress(boxes, np.array([0.9, 0.8, 0.7]), np.zeros(3, int), 0.5, 300)
        array([0, 2])
        >>> suppress(boxes, np.array([0.9, 0.8, 0.7]), np.array([0, 1, 0]), 0.5, 300)
        array([0, 1, 2])
    """
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    left = np.arange(len(scores))
    chosen: list[int] = []
    while len(left) and len(chosen) < most:
        best, left = left[0], left[1:]
        chosen.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[left, :2]), np.minimum(boxes[best, 2:], boxes[left, 2:])
        shared = (high - low).clip(min=0).prod(1)
        whole = np.maximum(area[best] + area[left] - shared, 1e-12)
        left = left[(shared / whole <= iou) | (labels[left] != labels[best])]
    return np.array(chosen, np.int64)


def from_anchors(outputs: Sequence[Any], size: tuple[int, int], conf: float, iou: float, most: int) -> list[Found]:
    """Decode (B, 4 + classes, N): centre, width, height, and a score for each class; a place may be of two classes."""
    found = []
    for rows in outputs[0]:
        each = rows[4:].T
        place, label = np.nonzero(each > conf)
        scores = each[place, label].astype(np.float64)
        order = np.argsort(-scores, kind="stable")[:_MOST_CANDIDATES]
        boxes = _corners(rows[:4].T.astype(np.float64))[place[order]]
        kept = suppress(boxes, scores[order], label[order], iou, most)
        found.append((boxes[kept], scores[order][kept], label[order][kept].astype(np.int64)))
    return found


def from_end2end(outputs: Sequence[Any], size: tuple[int, int], conf: float, iou: float, most: int) -> list[Found]:
    """Decode (B, N, 6): xyxy, score, class."""
    return [_best(rows[:, :4], rows[:, 4], rows[:, 5], conf, most) for rows in outputs[0]]


def from_queries(outputs: Sequence[Any], size: tuple[int, int], conf: float, iou: float, most: int) -> list[Found]:
    """Decode (B, N, 6): centre, width, height as shares of the input, score, class."""
    sides = np.array([size[1], size[0]] * 2)
    return [
        _best(_corners(rows[:, :4].astype(np.float64)) * sides, rows[:, 4], rows[:, 5], conf, most)
        for rows in outputs[0]
    ]


def from_logits(outputs: Sequence[Any], size: tuple[int, int], conf: float, iou: float, most: int) -> list[Found]:
    """Decode (B, N, classes) before the sigmoid and (B, N, 4) centre, width, height as shares of the input."""
    sides = np.array([size[1], size[0]] * 2)
    found = []
    for logits, boxes in zip(*outputs, strict=True):
        scores = 1 / (1 + np.exp(-logits.astype(np.float64)))
        place, label = np.divmod(np.arange(scores.size), scores.shape[1])
        found.append(_best((_corners(boxes.astype(np.float64)) * sides)[place], scores.ravel(), label, conf, most))
    return found


DECODERS: dict[str, Callable[[Sequence[Any], tuple[int, int], float, float, int], list[Found]]] = {
    "anchors": from_anchors,
    "end2end": from_end2end,
    "queries": from_queries,
    "logits": from_logits,
}
"""By `Description.layout`: outputs, (height, width) of the input, conf, iou, most -> what is found in each picture."""


def _best(boxes: Any, scores: Any, labels: Any, conf: float, most: int) -> Found:
    order = np.argsort(-scores, kind="stable")[:most]
    order = order[scores[order] > conf]
    return boxes[order].astype(np.float64), scores[order].astype(np.float64), labels[order].astype(np.int64)


def _corners(boxes: Floats) -> Floats:
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], 1)
