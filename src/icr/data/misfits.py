"""Labels that are sound row by row and yet cannot be meant: classes exchanged in a file, a file copied to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from icr.data.dataset import Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.text import counted
from icr.data.pairs import Pairing, one_of
from icr.relations import HALF, ResolvedRelation

_INSIDE, _SMALLER = 0.9, 0.5
"""A box lies in another as a child does in its parent: the share inside, and its largest area in parts of the other."""

_RIGHT_WAY = 0.9
"""Share of the files that tell which way their classes stand that must stand the right way; else it is the relation
that stands the wrong way round."""

_MANY, _UNEVEN = 4, 6
"""Boxes, or edges at no whole thousandth of the picture's side, that are not the same in two pictures by chance."""

_FEWEST, _USUAL = 20, 0.95
"""Parents with children that a set must have, and the share of them with one child, before two are worth a word."""


@dataclass(frozen=True)
class Swapped:
    """A picture in whose labels two classes are exchanged: the child's and one parent's."""

    sample: Sample
    child: int
    parent: int


class Exchanged:
    """Finds, picture by picture, those whose boxes fit a relation only with the two classes exchanged.

    Such a picture has no child in a parent, but at least half of its boxes labelled as parents lie in boxes labelled as
    children, and are less than half as large.
    """

    def __init__(self, relations: Sequence[ResolvedRelation]) -> None:
        self._relations = relations
        self._right = [0] * len(relations)
        self._wrong: list[list[Swapped]] = [[] for _ in relations]

    def add(self, sample: Sample) -> None:
        """Take in one picture."""
        for at, relation in enumerate(self._relations):
            way = _way(sample, relation)
            self._right[at] += way == _RIGHT
            if isinstance(way, int):
                self._wrong[at].append(Swapped(sample, relation.child, way))

    def swapped(self) -> list[Swapped]:
        """The pictures found, where nearly all others of the set stand the right way."""
        both = zip(self._right, self._wrong, strict=True)
        return [each for right, wrong in both if right >= _RIGHT_WAY * (right + len(wrong)) for each in wrong]


_RIGHT, _UNTOLD = "right", "untold"


def _way(sample: Sample, relation: ResolvedRelation) -> int | str:
    """Whether the classes of a relation stand right in a picture, or that cannot be told; or the class exchanged."""
    children = sample.boxes[sample.labels == relation.child]
    is_parent = one_of(sample.labels, relation.parents)
    if not len(children) or not is_parent.any():
        return _UNTOLD
    parents = sample.boxes[is_parent]
    if (shares_inside(children, parents) >= HALF).any():
        return _RIGHT
    held = _fits(parents, children).any(1)
    classes = np.unique(sample.labels[is_parent])
    if len(classes) == 1 and held.sum() * 2 >= len(parents):
        return int(classes[0])
    return _UNTOLD


def _fits(inner: npt.NDArray[np.float64], outer: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    smaller = area(inner)[:, None] <= _SMALLER * area(outer)[None]
    return np.asarray((shares_inside(inner, outer) >= _INSIDE) & smaller)


def area(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The area of boxes: (..., 4) -> (...)."""
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def shares_inside(inner: npt.NDArray[np.float64], outer: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The share of each inner box that lies in each outer one: (N, 4), (M, 4) -> (N, M)."""
    corners = [np.maximum(inner[:, None, :2], outer[None, :, :2]), np.minimum(inner[:, None, 2:], outer[None, :, 2:])]
    return np.asarray(area(np.concatenate(corners, -1)) / np.maximum(area(inner)[:, None], 1e-12))


def report_swapped(swaps: Sequence[Swapped], names: Sequence[str]) -> Iterator[Finding]:
    """A finding for each picture whose classes are exchanged."""
    for each in swaps:
        child, parent = names[each.child], names[each.parent]
        how = (
            f"as labelled no {child} of {each.sample.image.name} lies in a {parent}; with the classes exchanged they do"
        )
        yield found("labels.swapped", each.sample.label_file or each.sample.image, how)


class Repeats:
    """Finds pictures that have, number for number, the boxes of another picture that shows something else."""

    def __init__(self) -> None:
        self._numbers = bytearray()

    def add(self, sample: Sample) -> None:
        """Take in one picture."""
        self._numbers += blake2b(sample.labels.tobytes() + _shares(sample).tobytes(), digest_size=16).digest()

    def report(self, dataset: Dataset, alike: Mapping[str, str]) -> Iterator[Finding]:
        """A finding for each such picture.

        Args:
            dataset: the set, whose pictures were taken in split by split.
            alike: pictures that show the same as another one, which may well have the same boxes.
        """
        numbers = np.frombuffer(self._numbers, "S16")
        _, first, of, count = np.unique(numbers, return_index=True, return_inverse=True, return_counts=True)
        again = count[of] > 1
        if not again.any():
            return
        others: dict[int, tuple[str, Path | None]] = {}
        every = (sample for samples in dataset.splits.values() for sample in samples)
        for at, sample in enumerate(every):
            if not again[at]:
                continue
            image = str(sample.image)
            other, labels = others.setdefault(int(first[of[at]]), (image, sample.label_file))
            if other == image or not _telling(_shares(sample)) or _root(image, alike) == _root(other, alike):
                continue
            message = f"the {counted(len(sample.labels), 'box', 'boxes')} stand exactly as in {labels}"
            yield found("labels.repeated", sample.label_file or sample.image, f"{message}, of another picture")


def _shares(sample: Sample) -> npt.NDArray[np.float64]:
    sides = np.array([sample.width, sample.height] * 2, np.float64)
    return np.asarray(np.round(sample.boxes / np.maximum(sides, 1), 6))


def _telling(shares: npt.NDArray[np.float64]) -> bool:
    """Whether boxes can hardly be the same by chance: one box can, and so can two that were typed in round numbers."""
    count = len(np.unique(shares, axis=0))
    uneven = np.abs(shares * 1000 - np.round(shares * 1000)) > 1e-3
    return count >= _MANY or (count > 1 and int(uneven.sum()) >= _UNEVEN)


def _root(image: str, alike: Mapping[str, str]) -> str:
    while image in alike:
        image = alike[image]
    return image


@dataclass
class Shared:
    """Counts, picture by picture, how many children of a class parents have, and keeps those with two or more.

    A child that geometry could as well have given to another parent counts for none.
    """

    relations: Sequence[ResolvedRelation]

    def __post_init__(self) -> None:
        self._single: dict[int, int] = {}
        self._several: list[tuple[Sample, int, int, list[int]]] = []

    def add(self, sample: Sample, pairing: Pairing) -> None:
        """Count the parents of one picture."""
        for relation in self.relations:
            mine = np.flatnonzero((sample.labels == relation.child) & (pairing.parents >= 0))
            if not len(mine):
                continue
            held = pairing.parents[mine]
            if len(set(held.tolist())) == len(held):
                self._single[relation.child] = self._single.get(relation.child, 0) + len(held)
                continue
            for parent, number in zip(*np.unique(held, return_counts=True), strict=True):
                if number == 1:
                    self._single[relation.child] = self._single.get(relation.child, 0) + 1
                    continue
                own = mine[held == parent]
                plain = [child for child in own.tolist() if self._plain(sample, pairing, child, relation)]
                if len(np.unique(sample.boxes[plain], axis=0)) > 1:  # repeated rows have a finding of their own
                    self._several.append((sample, relation.child, int(parent), plain))

    def _plain(self, sample: Sample, pairing: Pairing, child: int, relation: ResolvedRelation) -> bool:
        if pairing.stated[child]:
            return True
        allowed = one_of(sample.labels, relation.parents)
        allowed[child] = False
        return int((shares_inside(sample.boxes[[child]], sample.boxes[allowed])[0] >= HALF).sum()) == 1

    def unusual(self) -> Iterator[tuple[Sample, int, int, list[int], float]]:
        """Parents with two or more children where nearly every other has one.

        Yields:
            The picture, the child class, the parent and its children as places in the picture, and the share of
            parents in the set that have one child.
        """
        for sample, child, parent, children in self._several:
            single = self._single.get(child, 0)
            several = sum(each[1] == child for each in self._several)
            if single + several >= _FEWEST and single >= _USUAL * (single + several):
                yield sample, child, parent, children, single / (single + several)
