"""Labels that are sound row by row and yet cannot be meant: classes exchanged in a file, a file copied to another."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from icr.data.compact import repeated
from icr.data.dataset import Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.text import counted
from icr.data.pairs import Pairing, one_of
from icr.data.remembered import samples_at
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
        self._taken = 0
        self._right = [0] * len(relations)
        self._wrong = [array("q") for _ in relations]

    def add(self, sample: Sample) -> None:
        """Take in one picture."""
        for at, relation in enumerate(self._relations):
            way = _way(sample, relation)
            self._right[at] += way == _RIGHT
            if isinstance(way, int):
                self._wrong[at].extend((self._taken, way))
        self._taken += 1

    def swapped(self, dataset: Dataset) -> list[Swapped]:
        """The pictures found in a set, taken in split by split, where nearly all others stand the right way."""
        return [
            Swapped(sample, relation.child, way)
            for relation, right, wrong in zip(self._relations, self._right, self._wrong, strict=True)
            if right >= _RIGHT_WAY * (right + len(wrong) // 2)
            for sample, way in zip(samples_at(dataset, wrong[::2]), wrong[1::2], strict=True)
        ]


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
        boxes = sample.labels.tobytes() + _shares(sample).tobytes()
        several = len(sample.labels) > 1  # one box can be the same by chance, and no box says nothing
        self._numbers += blake2b(boxes, digest_size=8).digest() if several else bytes(8)

    def report(self, dataset: Dataset, alike: Mapping[str, str]) -> Iterator[Finding]:
        """A finding for each such picture.

        Args:
            dataset: the set, whose pictures were taken in split by split.
            alike: pictures that show the same as another one, which may well have the same boxes.
        """
        numbers = np.frombuffer(self._numbers, np.int64)
        places = repeated(numbers)
        places = places[numbers[places] != 0]
        others: dict[int, tuple[str, Path | None]] = {}
        for number, sample in zip(numbers[places].tolist(), samples_at(dataset, places.tolist()), strict=True):
            image = str(sample.image)
            other, labels = others.setdefault(number, (image, sample.label_file))
            if other == image or not _telling(_shares(sample)) or _root(image, alike) == _root(other, alike):
                continue
            boxes = f"the {counted(len(sample.labels), 'box', 'boxes')}"
            message = f"{boxes} stand exactly as in {labels}, of another picture"
            if labels == sample.label_file:  # one file for many pictures
                message = f"{boxes} of {sample.image} stand exactly as those of another picture, {other}"
            yield found("labels.repeated", sample.label_file or sample.image, message)


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


class Shared:
    """Counts, picture by picture, how many children of a class parents have, and keeps which have two or more.

    A child that geometry could as well have given to another parent counts for none.
    """

    def __init__(self, relations: Sequence[ResolvedRelation]) -> None:
        self._relations = relations
        self._taken = 0
        self._single: Counter[int] = Counter()
        self._several: Counter[int] = Counter()
        self._places = array("q")
        self._held = array("q")

    def add(self, sample: Sample, pairing: Pairing) -> None:
        """Count the parents of one picture."""
        for relation in self._relations:
            mine = np.flatnonzero((sample.labels == relation.child) & (pairing.parents >= 0))
            if not len(mine):
                continue
            held = pairing.parents[mine]
            if len(set(held.tolist())) == len(held):
                self._single[relation.child] += len(held)
                continue
            for parent, number in zip(*np.unique(held, return_counts=True), strict=True):
                if number == 1:
                    self._single[relation.child] += 1
                    continue
                own = mine[held == parent]
                plain = [child for child in own.tolist() if self._plain(sample, pairing, child, relation)]
                if len(np.unique(sample.boxes[plain], axis=0)) > 1:  # repeated rows have a finding of their own
                    self._several[relation.child] += 1
                    self._places.append(self._taken)
                    self._held.extend((relation.child, int(parent), len(plain), *plain))
        self._taken += 1

    def _plain(self, sample: Sample, pairing: Pairing, child: int, relation: ResolvedRelation) -> bool:
        if pairing.stated[child]:
            return True
        allowed = one_of(sample.labels, relation.parents)
        allowed[child] = False
        return int((shares_inside(sample.boxes[[child]], sample.boxes[allowed])[0] >= HALF).sum()) == 1

    def unusual(
        self, dataset: Dataset, one_to_one: Collection[int] = ()
    ) -> Iterator[tuple[Sample, int, int, list[int], float]]:
        """Parents with two or more children where nearly every other has one, or where the relation is one to one.

        Args:
            dataset: the set, whose pictures were taken in split by split.
            one_to_one: the child classes of which a parent is declared to hold one at most.

        Yields:
            The picture, the child class, the parent and its children as places in the picture, and the share of
            parents in the set that have one child.
        """
        totals = {child: self._single[child] + several for child, several in self._several.items()}
        shares = {
            child: self._single[child] / total
            for child, total in totals.items()
            if child in one_to_one or (total >= _FEWEST and self._single[child] >= _USUAL * total)
        }
        entries = [entry for entry in self._entries() if entry[1] in shares]
        for sample, entry in zip(samples_at(dataset, [place for place, *_ in entries]), entries, strict=True):
            _, child, parent, plain = entry
            yield sample, child, parent, plain, shares[child]

    def _entries(self) -> Iterator[tuple[int, int, int, list[int]]]:
        """The place of the picture, the child class, the parent and its children."""
        at = 0
        for place in self._places:
            child, parent, count = self._held[at : at + 3]
            at += 3 + count
            yield place, child, parent, self._held[at - count : at].tolist()
