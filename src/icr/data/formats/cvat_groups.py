"""Boxes in groups, as CVAT has them, read as pairs of children and parents, and pairs as groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from icr.data.dataset import NO_PARENT, UNSTATED, Sample
from icr.data.formats.notes import Allowed

_ALIKE = 1e-3


def contained(boxes: npt.NDArray[np.float64], child: int, parents: Sequence[int]) -> npt.NDArray[np.float64]:
    """The share of one box that lies in each of others."""
    own, others = boxes[child], boxes[list(parents)]
    sides = np.minimum(own[2:], others[:, 2:]) - np.maximum(own[:2], others[:, :2])
    shared: npt.NDArray[np.float64] = np.clip(sides, 0, None).prod(1) / max(float((own[2:] - own[:2]).prod()), 1e-12)
    return shared


def best_parent(boxes: npt.NDArray[np.float64], child: int, parents: Sequence[int]) -> tuple[int, bool]:
    """The possible parent that holds most of the child, of equals the smallest; and whether there are equals."""
    shares = contained(boxes, child, parents)
    areas = (boxes[list(parents), 2:] - boxes[list(parents), :2]).prod(1)
    alike = np.flatnonzero(shares >= shares.max() - _ALIKE)
    return parents[int(alike[areas[alike].argmin()])], len(alike) > 1


def parents_by_group(
    boxes: npt.NDArray[np.float64], labels: Sequence[int], groups: Sequence[int], allowed: Allowed
) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Read the groups of one picture as pairs.

    A child in a group belongs to the box of the group that is of a parent's class, the one that holds most of it where
    there are several; without such a box it has no parent. A child in no group is left to geometry. A box of a class
    that is nobody's child has no parent wherever the picture has groups.

    Args:
        boxes: float64 (N, 4), xyxy.
        labels: class of each box.
        groups: of each box, 0 for none.
        allowed: which classes may be a child's parent.

    Returns:
        Parents, int64 (N,), and the places of children of which two possible parents hold as much.
    """
    parents = np.full(len(labels), UNSTATED, np.int64)
    doubtful = []
    members: dict[int, list[int]] = {}
    for index, group in enumerate(groups):
        if group:
            members.setdefault(group, []).append(index)
    for index, (label, group) in enumerate(zip(labels, groups, strict=True)):
        if not group:
            parents[index] = NO_PARENT if members and label not in allowed else UNSTATED
            continue
        possible = [each for each in members[group] if each != index and labels[each] in allowed.get(label, ())]
        parents[index] = NO_PARENT
        if possible:
            parents[index], guess = best_parent(boxes, index, possible)
            if guess:
                doubtful.append(index)
    return parents, doubtful


def discovered_pairs(
    pictures: Iterable[tuple[npt.NDArray[np.float64], Sequence[str], Sequence[int]]],
) -> list[tuple[str, str]]:
    """Which class is whose child, from boxes that people put into groups, where nothing else says so.

    In most groups that hold both, the smaller is the child and lies at least half in the other; of a chain the single
    steps are told, not its ends.

    Args:
        pictures: boxes (N, 4), class names and groups of each.
    """
    votes: dict[tuple[str, str], list[bool]] = {}
    for boxes, labels, groups in pictures:
        areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        members: dict[int, list[int]] = {}
        for index, group in enumerate(groups):
            if group:
                members.setdefault(group, []).append(index)
        for group_members in members.values():
            for one in group_members:
                for other in group_members:
                    if labels[one] != labels[other]:
                        inside = areas[one] < areas[other] and contained(boxes, one, [other])[0] >= 0.5
                        votes.setdefault((labels[one], labels[other]), []).append(bool(inside))
    edges = {pair for pair, said in votes.items() if 2 * sum(said) > len(said)}
    steps = {
        (child, parent)
        for child, parent in edges
        if not any((child, middle) in edges and (middle, parent) in edges for _, middle in edges)
    }
    return sorted(steps)


def groups_of(sample: Sample, allowed: Allowed, first: int) -> list[int]:
    """Number the groups of a picture from `first`: boxes bound by stated pairs, and children stated to have no parent.

    Returns:
        The group of each box, 0 for none.
    """
    root = list(range(len(sample.labels)))

    def top(index: int) -> int:
        while root[index] != index:
            index = root[index]
        return index

    grouped = set()
    for index, parent in enumerate(sample.parents.tolist()):
        if parent >= 0:
            root[top(index)] = top(parent)
            grouped |= {index, parent}
        elif parent == NO_PARENT and int(sample.labels[index]) in allowed:
            grouped.add(index)
    numbers: dict[int, int] = {}
    return [
        numbers.setdefault(top(index), first + len(numbers)) if index in grouped else 0
        for index in range(len(sample.labels))
    ]
