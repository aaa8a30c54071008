"""A repaired data set: the same one without what `icr data check` found and what can be mended without looking."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from icr.data.check import Examined
from icr.data.dataset import Dataset, Finding, Sample
from icr.data.formats.boxes import OVERHANG, first_of_equals, keep_boxes

_KEEPS = {"test": 2, "val": 1}
"""Of pictures that stand in two splits the one for evaluation keeps them; training can best do without."""


@dataclass(frozen=True)
class Repair:
    """A repaired data set, in memory.

    Attributes:
        dataset: the set as it is to be written.
        done: what was mended, by the id of the finding: how many times.
    """

    dataset: Dataset
    done: Counter[str] = field(default_factory=Counter)


HOW = {
    "picture.truncated": "pictures that do not decode left out",
    "picture.listed_twice": "entries of pictures listed twice left out",
    "picture.duplicate": "copies of pictures of the same split left out",
    "splits.shared": "pictures of another split left out, of training rather than of val, of val rather than of test",
    "splits.alike": "pictures that show the same as one of another split left out, of training first",
    "labels.swapped": "pictures whose two classes are exchanged back",
    "labels.duplicate": "repeated boxes left out",
    "boxes.partly_outside": "boxes cut off at their picture's edge",
}
"""What is mended, for the finding of each id. Whatever a reader cannot use is left out besides."""


def repaired(dataset: Dataset, examined: Examined) -> Repair:
    """Mend what can be mended without looking at the pictures; the given data set is left as it is.

    Of pictures that stand in two splits, or show the same in two, the evaluation keeps one: they are left out of
    training rather than of val, and of val rather than of test. Copies in one split are left out where their boxes are
    the same. Classes are exchanged back, repeated boxes left out, boxes cut off at the edge of their picture. Rows and
    pictures that the reader could not use are not in the data set to begin with.

    Args:
        dataset: what was read.
        examined: what `icr.data.check.examine` found in it.
    """
    done: Counter[str] = Counter()
    out = _left_out(dataset, examined)
    swaps = {id(each.sample): each for each in examined.swaps}
    splits: dict[str, list[Sample]] = {}
    for split, samples in dataset.splits.items():
        splits[split] = kept = []
        listed: set[str] = set()
        for sample in samples:
            image = str(sample.image)
            why = "picture.listed_twice" if image in listed else out.get((split, image))
            listed.add(image)
            if why is not None:
                done[why] += 1
                continue
            swap = swaps.get(id(sample))
            labels = sample.labels
            if swap is not None:
                done["labels.swapped"] += 1
                labels = np.where(
                    labels == swap.child, swap.parent, np.where(labels == swap.parent, swap.child, labels)
                ).astype(np.int64)
            kept.append(_boxes_mended(dataclasses.replace(sample, labels=labels), done))
    faulty = any(each.id == "relations.invalid" for each in examined.findings)
    relations = () if faulty else dataset.relations
    return Repair(dataclasses.replace(dataset, splits=splits, relations=relations, findings=[]), done)


def left(before: list[Finding], after: list[Finding]) -> Iterator[tuple[str, int, int]]:
    """How often each id was found in a data set and is found in its repaired copy, for those found in either."""
    old, new = Counter(each.id for each in before), Counter(each.id for each in after)
    for kind in dict.fromkeys([*(each.id for each in before), *(each.id for each in after)]):
        yield kind, old[kind], new[kind]


def _left_out(dataset: Dataset, examined: Examined) -> dict[tuple[str, str], str]:
    """The split and path of the pictures to leave out, and the id of the finding for which they are."""
    looked = examined.looked
    out: dict[tuple[str, str], str] = {}
    held = looked.splits
    same: dict[str, list[str]] = {path: [path] for path, splits in held.items() if len(splits) > 1}
    for path, root in looked.equal.items():
        group = same.setdefault(root, [])
        if path not in group:
            group.append(path)
    for group in same.values():
        everywhere = [split for path in group for split in held[path]]
        keeper = _keeper(everywhere)
        for path in group:
            out.update({(split, path): "splits.shared" for split in held[path] if split != keeper})
    for one, other in looked.alike:
        keeper = _keeper([*held[one], *held[other]])
        if all((keeper, path) in out for path in (one, other) if keeper in held[path]):
            continue  # the one for whose sake the other would go is itself left out
        both = (looked.equal.get(each, each) for each in (one, other))
        for path in (path for each in both for path in same.get(each, [each])):
            for split in held[path]:
                if split != keeper:
                    out.setdefault((split, path), "splits.alike")
    samples = {(split, str(each.image)): each for split, split_ in dataset.splits.items() for each in split_}
    for (split, path), sample in samples.items():
        root = looked.equal.get(path, path)
        for other in same.get(root, ()):
            if other == path:
                break
            twin = samples.get((split, other))
            if twin is not None and (split, other) not in out and _same_labels(sample, twin):
                out.setdefault((split, path), "picture.duplicate")
    for path in looked.failures:
        out.update({(split, path): "picture.truncated" for split in held[path]})
    return out


def _keeper(splits: list[str]) -> str:
    return max(splits, key=lambda split: _KEEPS.get(split, 0))


def _same_labels(one: Sample, other: Sample) -> bool:
    def rows(sample: Sample) -> list[tuple[float, ...]]:
        return sorted(zip(sample.labels.tolist(), *np.round(sample.boxes, 1).T.tolist(), strict=True))

    return rows(one) == rows(other)


def _boxes_mended(sample: Sample, done: Counter[str]) -> Sample:
    """Boxes cut off at the edge, and those that repeat another left out; their children go to the one that stays."""
    if not len(sample.labels) or sample.width < 1:
        return sample
    boxes = np.clip(sample.boxes, 0, np.array([sample.width, sample.height] * 2, np.float64))
    cut = int((np.abs(boxes - sample.boxes) > OVERHANG).any(1).sum())
    if cut:
        done["boxes.partly_outside"] += cut
    same = first_of_equals(np.concatenate([sample.labels[:, None], sample.boxes.round(6)], 1))
    keep: npt.NDArray[np.bool_] = same == np.arange(len(same))
    if not keep.all():
        done["labels.duplicate"] += int((~keep).sum())
    return keep_boxes(sample, boxes, keep, same)
