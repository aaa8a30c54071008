"""Random data sets with everything that makes COCO evaluation hard."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from icr.data.dataset import UNSTATED, Sample
from icr.predictions import Predictions

NAMES = ["plate", "vehicle", "sign"]


def _boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner = rng.uniform(0, 300, (count, 2))
    sides = np.exp(rng.uniform(np.log(4), np.log(250), (count, 2)))
    return np.concatenate([corner, corner + sides], axis=1)


def make_random_set(
    seed: int, images: int = 12, most: int = 30, decimals: int = 1
) -> tuple[list[Sample], list[Predictions]]:
    """Crowds, stated areas, empty pictures, absent classes, ties in score, duplicates, more than 100 detections.

    Scores have that many decimals: one makes many ties.
    """
    rng = np.random.default_rng(seed)
    absent = rng.integers(0, 5)
    samples, predictions = [], []
    for index in range(images):
        count = 0 if rng.random() < 0.2 else int(rng.integers(1, 8))
        boxes, labels = _boxes(rng, count), rng.integers(0, len(NAMES), count)
        boxes, labels = boxes[labels != absent], labels[labels != absent]
        said = [
            ({"iscrowd": 1} if rng.random() < 0.15 else {})
            | ({"area": float(rng.uniform(1, 2e4))} if rng.random() < 0.2 else {})
            for _ in labels
        ]
        samples.append(
            Sample(
                Path(f"{index:03}.jpg"), 640, 480, boxes, labels, np.full(len(labels), UNSTATED), box_attributes=said
            )
        )
        near = np.repeat(boxes, 2, axis=0) + rng.normal(0, 3, (2 * len(boxes), 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 0.5)
        stray = _boxes(rng, int(rng.integers(0, most)))
        found = np.concatenate([near, stray])
        kinds = np.concatenate([np.repeat(labels, 2), rng.integers(0, len(NAMES), len(stray))])
        scores = rng.random(len(found)).round(decimals)
        order = np.argsort(-scores, kind="stable")
        predictions.append(Predictions(found[order], scores[order], kinds[order].astype(np.int64)))
    return samples, predictions
