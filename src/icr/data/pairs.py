"""Which box is whose parent in one picture: as the data says where it says so, by geometry elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from icr.data.dataset import NO_PARENT, UNSTATED, Sample
from icr.relations import ResolvedRelation

_AT_ONCE = 5_000
"""Pairs of boxes that are held against each other in one go: some hundred pictures."""


@dataclass(frozen=True)
class Pairing:
    """The pairs of one picture.

    Attributes:
        parents: int64 (N,), index of each box's parent in the picture, -1 where it has none.
        ambiguous: bool (N,), children whose parent is a guess: geometry decided, and two or more hold them alike.
        stated: bool (N,), children whose parent, or lack of one, the data itself states.
    """

    parents: npt.NDArray[np.int64]
    ambiguous: npt.NDArray[np.bool_]
    stated: npt.NDArray[np.bool_]


def pair(sample: Sample, relations: Sequence[ResolvedRelation]) -> Pairing:
    """Find the parent of each child in a picture.

    What the data states counts as it stands, even where geometry would say otherwise, as long as the classes are those
    of a relation: a stated parent of a class that no relation allows is no parent here, and boxes of a class that is no
    child have none.

    Args:
        sample: the picture.
        relations: resolved relations.

    Example:
        >>> from pathlib import Path
        >>> from icr.relations import ResolvedRelation
        >>> boxes = np.array([[165.0, 185, 195, 195], [100, 100, 260, 220]])
        >>> sample = Sample(Path("a.jpg"), 640, 480, boxes, np.array([0, 1]), np.array([UNSTATED, UNSTATED]))
        >>> pair(sample, [ResolvedRelation(0, (1,))]).parents
        array([ 1, -1])
    """
    return next(pair_all([sample], relations))


def pair_all(samples: Iterable[Sample], relations: Sequence[ResolvedRelation]) -> Iterator[Pairing]:
    """Find the parents in many pictures, in order, as `pair` does in one; several are computed at once."""
    batch: list[Sample] = []
    widest = 0
    for sample in samples:
        widest = max(widest, len(sample.labels))
        if batch and (len(batch) + 1) * widest**2 > _AT_ONCE:
            yield from _pair_batch(batch, relations)
            batch, widest = [], len(sample.labels)
        batch.append(sample)
    if batch:
        yield from _pair_batch(batch, relations)


def _pair_batch(samples: Sequence[Sample], relations: Sequence[ResolvedRelation]) -> Iterator[Pairing]:
    import torch

    from icr.relations import ambiguous, match_parents

    widest = max(len(sample.labels) for sample in samples)
    boxes, labels = np.zeros((len(samples), widest, 4)), np.full((len(samples), widest), -1, np.int64)
    for at, sample in enumerate(samples):
        boxes[at, : len(sample.labels)] = sample.boxes.reshape(-1, 4)
        labels[at, : len(sample.labels)] = sample.labels
    padded = torch.from_numpy(boxes), torch.from_numpy(labels)
    found = match_parents(*padded, relations).numpy()
    doubtful = ambiguous(*padded, relations).numpy()
    for at, sample in enumerate(samples):
        count = len(sample.labels)
        stated = children(sample, relations) & (sample.parents != UNSTATED)
        parents = found[at, :count].copy()
        if stated.any():
            parents[stated] = _allowed(sample, relations)[stated]
        yield Pairing(parents, doubtful[at, :count] & ~stated, stated)


def children(sample: Sample, relations: Sequence[ResolvedRelation]) -> npt.NDArray[np.bool_]:
    """Tell which boxes are of a class that some relation makes a child: bool (N,).

    Example:
        >>> from pathlib import Path
        >>> from icr.relations import ResolvedRelation
        >>> sample = Sample(Path("a.jpg"), 640, 480, np.zeros((2, 4)), np.array([0, 1]), np.array([UNSTATED, UNSTATED]))
        >>> children(sample, [ResolvedRelation(0, (1,))])
        array([ True, False])
    """
    return one_of(sample.labels, [relation.child for relation in relations])


def one_of(labels: npt.NDArray[np.int64], classes: Sequence[int]) -> npt.NDArray[np.bool_]:
    """Tell which labels are among a few classes: as `numpy.isin`, a tenth of its time for the boxes of one picture.

    Example:
        >>> one_of(np.array([0, 2, 1]), (0, 1))
        array([ True, False,  True])
    """
    return np.asarray((labels[:, None] == np.array(classes, np.int64)).any(1))


def _allowed(sample: Sample, relations: Sequence[ResolvedRelation]) -> npt.NDArray[np.int64]:
    """The stated parents, -1 where none is stated or its class is no parent of the child's class."""
    found = np.full(len(sample.labels), NO_PARENT, np.int64)
    for relation in relations:
        mine = np.flatnonzero((sample.labels == relation.child) & (sample.parents >= 0))
        above = sample.parents[mine]
        fits = one_of(sample.labels[above], relation.parents)
        found[mine[fits]] = above[fits]
    return found
