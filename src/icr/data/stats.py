"""The figures of a data set: those of the paper's Table 1 and section 2.2, for any set, and several side by side."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import tee
from typing import Any

import numpy as np
import numpy.typing as npt

from icr.data.dataset import Dataset, Sample
from icr.data.light import lights
from icr.data.pairs import Pairing, children, pair_all
from icr.relations import Relation, resolve

Floats = npt.NDArray[np.float64]

SMALL, MEDIUM = 32.0**2, 96.0**2
"""COCO's bins in px²: small below the first, medium below the second, large from there on."""

PERCENTILES = (0, 5, 50, 95, 100)


@dataclass(frozen=True)
class Boxes:
    """Every box of one class.

    Attributes:
        areas: float64 (N,), px² of the original picture: width by height, whatever outline the box has.
        shares: float64 (N,), the same as a share of the picture's area, 0..1; NaN where its size is unknown.
        centres: float64 (N, 2), centres as shares of the picture's sides, 0..1; NaN where its size is unknown.
    """

    areas: Floats
    shares: Floats
    centres: Floats

    def bins(self) -> dict[str, int]:
        """Boxes by COCO's bins of area.

        Example:
            >>> areas = np.array([1023.0, 1024, 9215, 9216])
            >>> Boxes(areas, areas, np.zeros((4, 2))).bins()
            {'small': 1, 'medium': 2, 'large': 1}
        """
        small, medium = int((self.areas < SMALL).sum()), int((self.areas < MEDIUM).sum())
        return {"small": small, "medium": medium - small, "large": len(self.areas) - medium}


@dataclass(frozen=True)
class Stats:
    """The figures of one data set.

    Attributes:
        name: what to call it: its source.
        format: the reader's name.
        splits: pictures by split.
        relations: what counts as child and parent.
        boxes: by class name, in the order of the classes.
        child_classes: the classes whose boxes are children.
        children: children in each picture, int64 (pictures,).
        child_areas: px² of every child.
        child_sides: square root of every child's share of its picture, NaN where the picture's size is unknown.
        resolutions: pictures by width and height.
        light: pictures by ``day``, ``night`` and ``unknown``.
        pairs, orphans, ambiguous: children with a parent, without one, and with two or more that hold them alike.
    """

    name: str
    format: str
    splits: dict[str, int]
    relations: tuple[Relation, ...]
    boxes: dict[str, Boxes]
    child_classes: tuple[str, ...]
    children: npt.NDArray[np.int64]
    child_areas: Floats
    child_sides: Floats
    resolutions: Counter[tuple[int, int]]
    light: Counter[str]
    pairs: int
    orphans: int
    ambiguous: int

    @property
    def images(self) -> int:
        """All pictures, those without a box too."""
        return sum(self.splits.values())

    @property
    def smallest_child_area(self) -> float:
        """The area of the smallest child in px², -1 when there is none."""
        return float(self.child_areas.min()) if len(self.child_areas) else -1.0

    @property
    def per_image(self) -> tuple[int, float, int]:
        """Least, mean and most children in a picture, pictures without one counted; -1 when nothing is a child."""
        if not len(self.children) or not self.child_classes:
            return -1, -1.0, -1
        return int(self.children.min()), float(self.children.mean()), int(self.children.max())

    @property
    def size_range(self) -> float:
        """How far children stand apart in distance: the side of a large child over that of a small one.

        Sides are square roots of shares of the picture; large and small are the 95th and 5th percentile. -1 when there
        is no child.
        """
        sides = self.child_sides[np.isfinite(self.child_sides) & (self.child_sides > 0)]
        if not len(sides):
            return -1.0
        low, high = np.percentile(sides, (5, 95))
        return float(high / low)

    def as_json(self) -> dict[str, Any]:
        """The figures as JSON; -1 stands for what there is not."""
        least, mean, most = self.per_image
        return {
            "source": self.name,
            "format": self.format,
            "images": self.images,
            "splits": self.splits,
            "objects": {name: len(each.areas) for name, each in self.boxes.items()},
            "relations": [str(each) for each in self.relations],
            "children": int(self.children.sum()),
            "children_per_image": mean,
            "children_per_image_min": least,
            "children_per_image_max": most,
            "smallest_child_area": self.smallest_child_area,
            "child_size_range": self.size_range,
            "bins": {name: each.bins() for name, each in self.boxes.items()},
            "areas": {name: percentiles(each.areas) for name, each in self.boxes.items()},
            "image_shares": {name: percentiles(each.shares) for name, each in self.boxes.items()},
            "resolutions": [
                {"width": width, "height": height, "images": number}
                for (width, height), number in self.resolutions.most_common()
            ],
            "light": dict(self.light),
            "pairs": self.pairs,
            "orphans": self.orphans,
            "ambiguous": self.ambiguous,
        }


def percentiles(values: Floats) -> dict[str, float]:
    """The least, 5 %, median, 95 % and greatest of values, those that are not finite aside; -1 where there are none."""
    names = ("least", "p5", "median", "p95", "most")
    known = values[np.isfinite(values)]
    if not len(known):
        return dict.fromkeys(names, -1.0)
    return dict(zip(names, np.percentile(known, PERCENTILES).tolist(), strict=True))


def measure(dataset: Dataset, relations: Sequence[Relation] = (), *, light: bool = False) -> Stats:
    """Take the figures of a data set.

    Without relations, the boxes of a set of one class count as children (of parents that are not labelled); in other
    sets nothing is a child.

    Args:
        dataset: the data set as read.
        relations: which classes are children of which.
        light: tell day from night by brightness where the data does not say.

    Raises:
        InputError: a relation names a class that the set does not have.
    """
    resolved = resolve(relations, dataset.names)
    alone = not resolved and len(dataset.names) == 1
    child_classes = [0] if alone else sorted({each.child for each in resolved})
    taken = _Taken()
    for samples in dataset.splits.values():  # each only once: a set that is skimmed is not in memory
        if not resolved:
            for sample in samples:
                taken.add(sample)
            continue
        own, ahead = tee(samples)
        for sample, pairing in zip(own, pair_all(ahead, resolved), strict=True):
            taken.add(sample)
            taken.add_pairs(pairing, children(sample, resolved))
    labels, boxes, sides, counts = taken.arrays()
    is_child = np.isin(labels, child_classes)
    ends = np.cumsum(counts)
    until = np.concatenate([[0], np.cumsum(is_child)])
    each_child = until[ends] - until[ends - counts]
    sides[(sides <= 0).any(1)] = np.nan
    of = np.repeat(np.arange(len(counts), dtype=np.int32), counts)

    def measured(which: npt.NDArray[np.bool_]) -> Boxes:
        own, inside = boxes[which], sides[of[which]]
        # To a millionth of a px², so that 32 by 32 read from shares of the sides is not a hair below the edge of a bin.
        areas = (own[:, 2:] - own[:, :2]).prod(1).round(6)
        return Boxes(areas, areas / inside.prod(1), (own[:, :2] + own[:, 2:]) / 2 / inside)

    of_children = measured(is_child)
    return Stats(
        str(dataset.source),
        dataset.format,
        {split: len(each) for split, each in dataset.splits.items()},
        tuple(relations),
        {name: measured(labels == label) for label, name in enumerate(dataset.names)},
        tuple(dataset.names[label] for label in child_classes),
        each_child,
        of_children.areas,
        np.sqrt(of_children.shares),
        taken.resolutions,
        lights(dataset, measure=light),
        taken.pairs,
        int(is_child.sum()) if alone else taken.orphans,
        taken.ambiguous,
    )


@dataclass
class _Taken:
    """The numbers of the samples taken in so far, and not the samples: an array of theirs may hold on to much more."""

    labels: array[int] = field(default_factory=lambda: array("q"))
    boxes: array[float] = field(default_factory=lambda: array("d"))
    sides: array[int] = field(default_factory=lambda: array("q"))
    counts: array[int] = field(default_factory=lambda: array("q"))
    resolutions: Counter[tuple[int, int]] = field(default_factory=Counter)
    pairs: int = 0
    orphans: int = 0
    ambiguous: int = 0

    def add(self, sample: Sample) -> None:
        self.labels.frombytes(sample.labels.astype(np.int64).tobytes())
        self.boxes.frombytes(sample.boxes.astype(np.float64).tobytes())
        self.sides.extend((sample.width, sample.height))
        self.resolutions[sample.width, sample.height] += 1
        self.counts.append(len(sample.labels))

    def add_pairs(self, pairing: Pairing, is_child: npt.NDArray[np.bool_]) -> None:
        paired = pairing.parents >= 0
        self.pairs += int(paired.sum())
        self.orphans += int((is_child & ~paired).sum())
        self.ambiguous += int(pairing.ambiguous.sum())

    def arrays(self) -> tuple[npt.NDArray[np.int64], Floats, Floats, npt.NDArray[np.int64]]:
        """Labels (N,), boxes (N, 4), sides of each picture (P, 2) and the number of its boxes (P,)."""
        labels, counts = np.frombuffer(self.labels, np.int64), np.frombuffer(self.counts, np.int64)
        boxes = np.frombuffer(self.boxes, np.float64).reshape(-1, 4)
        return labels, boxes, np.array(self.sides, np.float64).reshape(-1, 2), counts
