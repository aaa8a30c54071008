"""Relations that a data set does not declare, found by the geometry of its boxes."""

from __future__ import annotations

import math
import random
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from icr.data.dataset import Dataset, Sample
from icr.data.remembered import samples_at
from icr.relations import HALF

if TYPE_CHECKING:
    import torch

    _Boxes: TypeAlias = tuple[torch.Tensor, torch.Tensor]

MIN_CHILDREN, MIN_PICTURES, MIN_INSIDE, MAX_SIZE = 20, 5, 0.9, 0.75
_NULL_PICTURES, _NULL_ROUNDS = 400, 4


@dataclass(frozen=True)
class Evidence:
    """What the boxes of a data set say about one ordered pair of classes.

    Attributes:
        child, parent: class names.
        children: boxes of the child class.
        inside: share of them, 0..1, that lie at least half inside some box of the parent class in the same picture.
        chance: the same share when the parents are taken from other pictures: what geometry without a relation gives.
        size: median area of a child inside, as a share of its parent's area; 0 when none is inside.
        recommended: whether the evidence is good enough to propose the relation.
    """

    child: str
    parent: str
    children: int
    inside: float
    chance: float
    size: float
    recommended: bool


def discover(dataset: Dataset) -> list[Evidence]:
    """Weigh every ordered pair of classes as a possible relation, from the geometry of the boxes alone.

    A relation is recommended on good evidence: at least 20 children in 5 pictures, at least 90 % of them at least half
    inside a parent, their median area at most three quarters of the parent's, and clearly more inside than chance: with
    the parents of other pictures in place of their own (positions relative to the picture), at least twice as many must
    be left outside, and the difference must exceed three standard errors over the pictures. Of a chain, only the steps
    are recommended: helmet in rider and rider in motorcycle, but not helmet in motorcycle, which follows from them.

    Returns:
        The pairs with at least one child inside, the recommended ones first, then by share inside, falling.
    """
    inside = _Inside()
    places = array("q")
    every = (sample for split in dataset.splits.values() for sample in split)
    for place, sample in enumerate(every):  # of which none is kept: a set that is skimmed is not in memory
        if len(sample.labels):
            places.append(place)
            relative = _relative(sample)
            inside.add(relative, relative)
    chances = _chances(dataset, places)
    totals, pictures = inside.totals, inside.pictures
    found = []
    for (child, parent), ratios in inside.sizes.items():
        share, chance = len(ratios) / totals[child], chances.get((child, parent), 0.0)
        size = sorted(ratios)[len(ratios) // 2]
        # Children of one picture are not independent, so pictures are what is counted; a chance of exactly 0 or 1 is a
        # matter of few draws.
        spread = math.sqrt(max(chance * (1 - chance), 1 / totals[child]) / pictures[child])
        recommended = (
            totals[child] >= MIN_CHILDREN
            and pictures[child] >= MIN_PICTURES
            and share >= MIN_INSIDE
            and size <= MAX_SIZE
            and (1 - share) <= (1 - chance) / 2
            and share - chance > 3 * spread
        )
        names = dataset.names
        found.append(Evidence(names[child], names[parent], totals[child], share, chance, size, recommended))
    found = _without_shortcuts(found)
    return sorted(found, key=lambda each: (not each.recommended, -each.inside, each.child, each.parent))


def _without_shortcuts(found: Sequence[Evidence]) -> list[Evidence]:
    """Along a chain keep each class in the next one: a helmet in a rider, not in the motorcycle that holds both."""
    direct = {(each.child, each.parent) for each in found if each.recommended}
    between = {each for pair in direct for each in pair}
    return [
        replace(each, recommended=False)
        if any((each.child, middle) in direct and (middle, each.parent) in direct for middle in between)
        else each
        for each in found
    ]


def _relative(sample: Sample) -> _Boxes:
    """Boxes as shares of the picture's sides, so that one picture's can be laid over another's."""
    import torch

    boxes, labels = torch.tensor(sample.boxes), torch.tensor(sample.labels)
    far = boxes.amax(0)
    width, height = sample.width or float(far[2]), sample.height or float(far[3])
    return boxes / boxes.new_tensor([width, height, width, height]).clamp(min=1e-9), labels


class _Inside:
    """Counts, picture by picture, how many children of a class lie at least half inside a parent of another.

    Attributes:
        totals, pictures: by child class: how many there are, and in how many pictures.
        sizes: by child and parent class: the area of each child inside as a share of its parent's.
    """

    def __init__(self) -> None:
        self.totals: Counter[int] = Counter()
        self.pictures: Counter[int] = Counter()
        self.sizes: dict[tuple[int, int], array[float]] = {}

    def add(self, children: _Boxes, parents: _Boxes) -> None:
        """Hold the children of one picture against parents, its own or those of another."""
        import torch

        from icr.boxes import area, intersection

        (low, low_labels), (high, high_labels) = children, parents
        self.totals.update(low_labels.tolist())
        self.pictures.update(set(low_labels.tolist()))
        low_area, high_area = area(low), area(high)
        holds = (intersection(low[:, None], high) >= HALF * low_area[:, None]) & (low_area[:, None] > 0)
        for parent in torch.unique(high_labels).tolist():
            areas = torch.where(holds & (high_labels == parent), high_area, math.inf).amin(1)
            held = areas.isfinite() & (low_labels != parent)
            for child, ratio in zip(low_labels[held].tolist(), (low_area / areas)[held].tolist(), strict=True):
                self.sizes.setdefault((child, parent), array("d")).append(ratio)


def _chances(dataset: Dataset, places: Sequence[int]) -> dict[tuple[int, int], float]:
    """The share of children inside when each picture's parents come from another picture drawn at random.

    Args:
        dataset: the data set.
        places: the places of its pictures that have boxes, counted through its splits.
    """
    draw = random.Random(0)
    chosen = draw.sample(range(len(places)), min(len(places), _NULL_PICTURES))
    if len(chosen) < 2:
        return {}
    drawn = sorted(chosen)
    boxes = dict(zip(drawn, map(_relative, samples_at(dataset, [places[at] for at in drawn])), strict=True))
    inside = _Inside()
    for _ in range(_NULL_ROUNDS):
        # Turning a shuffled circle by one gives every picture another one's parents.
        draw.shuffle(chosen)
        for own, other in zip(chosen, chosen[1:] + chosen[:1], strict=True):
            inside.add(boxes[own], boxes[other])
    return {(child, parent): len(each) / inside.totals[child] for (child, parent), each in inside.sizes.items()}
