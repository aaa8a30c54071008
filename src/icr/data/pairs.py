"""Which box is whose parent in one picture: as the data says where it says so, by geometry elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from icr.data.dataset import NO_PARENT, UNSTATED, Sample
from icr.relations import ResolvedRelation


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
    import torch

    from icr.relations import ambiguous, match_parents

    is_child = children(sample, relations)
    stated = is_child & (sample.parents != UNSTATED)
    boxes, labels = torch.tensor(sample.boxes).reshape(-1, 4), torch.tensor(sample.labels)
    parents = match_parents(boxes, labels, relations).numpy()
    parents[stated] = _allowed(sample, relations)[stated]
    doubtful = ambiguous(boxes, labels, relations).numpy() & ~stated
    return Pairing(parents, doubtful, stated)


def children(sample: Sample, relations: Sequence[ResolvedRelation]) -> npt.NDArray[np.bool_]:
    """Tell which boxes are of a class that some relation makes a child: bool (N,).

    Example:
        >>> from pathlib import Path
        >>> from icr.relations import ResolvedRelation
        >>> sample = Sample(Path("a.jpg"), 640, 480, np.zeros((2, 4)), np.array([0, 1]), np.array([UNSTATED, UNSTATED]))
        >>> children(sample, [ResolvedRelation(0, (1,))])
        array([ True, False])
    """
    return np.isin(sample.labels, [relation.child for relation in relations])


def _allowed(sample: Sample, relations: Sequence[ResolvedRelation]) -> npt.NDArray[np.int64]:
    """The stated parents, -1 where none is stated or its class is no parent of the child's class."""
    found = np.full(len(sample.labels), NO_PARENT, np.int64)
    for relation in relations:
        mine = np.flatnonzero((sample.labels == relation.child) & (sample.parents >= 0))
        above = sample.parents[mine]
        fits = np.isin(sample.labels[above], relation.parents)
        found[mine[fits]] = above[fits]
    return found
