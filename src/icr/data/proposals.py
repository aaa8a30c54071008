"""Proposals of a detector for pictures without labels, for a person to correct in an annotation tool."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from icr.data.dataset import UNSTATED, Dataset
from icr.data.pairs import pair
from icr.errors import InputError
from icr.predictions import Predictor
from icr.relations import ResolvedRelation

MACHINE = {"source": "auto"}
"""What marks a box as a detector's."""


@dataclass(frozen=True)
class Proposed:
    """How many pictures got proposals, how many boxes and pairs, and which of the detector's classes were ignored."""

    pictures: int
    boxes: int
    pairs: int
    ignored: tuple[str, ...]


def propose(
    dataset: Dataset,
    predictor: Predictor,
    relations: Sequence[ResolvedRelation],
    *,
    conf: float = 0.25,
    imgsz: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Proposed:
    """Put a detector's boxes, and the pairs that geometry finds among them, into pictures that have no box, in place.

    Each box has the attributes ``source: auto`` and ``score``.

    Raises:
        InputError: the detector and the data set have no class in common.
    """
    index = {name: place for place, name in enumerate(dataset.names)}
    label_of = np.array([index.get(name, -1) for name in predictor.names], np.int64)
    if not (label_of >= 0).any():
        raise InputError(
            f"the detector finds {', '.join(predictor.names[:8])}, the data set has {', '.join(dataset.names[:8])}: no "
            "class in common; give weights trained for these classes"
        )
    empty = [
        (split, place)
        for split, samples in dataset.splits.items()
        for place, sample in enumerate(samples)
        if not len(sample.labels)
    ]
    filled = {split: list(samples) for split, samples in dataset.splits.items()}
    images = [filled[split][place].image for split, place in empty]
    boxes = pairs = touched = 0
    found = predictor.predict(images, conf=conf, imgsz=imgsz)
    for done, ((split, place), each) in enumerate(zip(empty, found, strict=True), 1):
        labels = label_of[each.labels]
        keep = np.flatnonzero((labels >= 0) & (each.scores >= conf))
        sample = dataclasses.replace(
            filled[split][place],
            boxes=each.boxes[keep].reshape(-1, 4),
            labels=labels[keep],
            parents=np.full(len(keep), UNSTATED, np.int64),
            lines=np.zeros(0, np.int64),
            box_attributes=[{**MACHINE, "score": round(float(score), 4)} for score in each.scores[keep]],
        )
        parents = pair(sample, relations).parents
        sample.parents = np.where(parents >= 0, parents, UNSTATED)
        filled[split][place] = sample
        boxes, pairs, touched = boxes + len(keep), pairs + int((parents >= 0).sum()), touched + bool(len(keep))
        progress(done, len(empty))
    dataset.splits = filled
    ignored = tuple(name for name, label in zip(predictor.names, label_of.tolist(), strict=True) if label < 0)
    return Proposed(touched, boxes, pairs, ignored)
