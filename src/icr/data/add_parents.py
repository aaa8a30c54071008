"""Parents for a set that has none: boxes from a detector, marked as machine-made, and the children paired with them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from icr.data.dataset import UNSTATED, Dataset, Sample
from icr.data.pairing import propose, shares_inside
from icr.data.pairs import children
from icr.drawing import Picture, read_picture
from icr.errors import InputError, nearest
from icr.predictions import Predictions, Predictor
from icr.relations import HALF, Relation, ResolvedRelation

SOURCE, MACHINE = "source", "machine"
"""What marks a box as machine-made: this attribute with this value, beside its `score`."""

_SAME = 0.5
"""Intersection over union from which a detection counts as the box that is there already."""

_BATCH = 8

_Boxes: TypeAlias = "npt.NDArray[np.float64]"


@dataclass(frozen=True)
class Settings:
    """How parents are looked for.

    Attributes:
        conf: least score of a detection, 0..1.
        inside: least share of a child that must lie in its parent, 0.5..1.
        holding: whether to add only boxes that hold a child.
        imgsz: input size in pixels; None: the size the detector was trained at.
    """

    conf: float = 0.5
    inside: float = HALF
    holding: bool = False
    imgsz: int | None = None


@dataclass
class Added:
    """What came of it.

    Attributes:
        dataset: the set with the boxes and pairs.
        boxes: machine-made boxes by class.
        pairs: children paired that had no parent before; of them `by_machine` with a machine-made box.
        open: children that have no parent still, and those of which two boxes may be the parent (`ambiguous`).
        unreadable: one line for each picture that could not be read; it is kept as it was.
    """

    dataset: Dataset
    boxes: dict[str, int]
    pairs: int = 0
    by_machine: int = 0
    open: int = 0
    ambiguous: int = 0
    unreadable: list[str] = field(default_factory=list)


def with_parent_classes(dataset: Dataset, relations: Sequence[Relation]) -> tuple[Dataset, list[str]]:
    """The set with the parent classes that it lacks, and the names of these.

    Example:
        >>> from pathlib import Path
        >>> bare = Dataset(Path("d"), "crpd", ["plate"], {})
        >>> made, new = with_parent_classes(bare, [Relation("plate", ("car", "bus"))])
        >>> made.names, new
        (['plate', 'car', 'bus'], ['car', 'bus'])
    """
    named = [
        each for relation in relations for each in relation.parents if isinstance(each, str) and not each.isdigit()
    ]
    new = [each for each in dict.fromkeys(named) if each not in dataset.names]
    ids = list(dataset.category_ids)
    if len(ids) == len(dataset.names) and ids:
        ids += range(max(ids) + 1, max(ids) + 1 + len(new))
    return dataclasses.replace(dataset, names=[*dataset.names, *new], category_ids=ids), new


def class_map(given: Sequence[str], known: Sequence[str], parents: Mapping[str, int]) -> dict[int, int]:
    """Which class of the detector stands for which parent class.

    Args:
        given: ``car,bus,truck=vehicle`` each; none: classes of the same name, whatever the case.
        known: the detector's class names.
        parents: the parent classes, by name.

    Returns:
        The index in the data set by the index in the detector.

    Raises:
        InputError: a class is unknown, is mapped twice, or nothing is mapped.

    Example:
        >>> class_map(["car,truck=vehicle"], ["person", "car", "truck"], {"vehicle": 1})
        {1: 1, 2: 1}
    """
    found: dict[int, int] = {}
    for text in given:
        classes, equals, parent = (part.strip() for part in text.rpartition("="))
        if not equals or not classes:
            raise InputError(f"--map {text}: expected detector classes = parent class, as in car,bus,truck=vehicle")
        if parent not in parents:
            raise InputError(
                f"--map {text}: {parent!r} is no parent class of the relation; expected {', '.join(parents)}"
                f"{nearest(parent, parents)}"
            )
        for name in (each.strip() for each in classes.split(",")):
            same = [index for index, own in enumerate(known) if own.lower() == name.lower()]
            if not same:
                raise InputError(
                    f"--map {text}: the detector has no class {name!r}; it has {_listed(known)}{nearest(name, known)}"
                )
            for index in same:
                if found.setdefault(index, parents[parent]) != parents[parent]:
                    raise InputError(f"--map gives {name} of the detector to two classes; give it to one")
    if not given:
        lower = {name.lower(): index for name, index in parents.items()}
        found = {index: lower[name.lower()] for index, name in enumerate(known) if name.lower() in lower}
    if not found:
        raise InputError(
            f"the detector has no class {' or '.join(parents)}; it has {_listed(known)}; say which of them stand for "
            f"it, as in --map {known[0] if known else 'car'}={next(iter(parents))}"
        )
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:80]) + (f", … ({len(names)} in all)" if len(names) > 80 else "")


def add_parents(
    dataset: Dataset,
    relations: Sequence[ResolvedRelation],
    predictor: Predictor,
    classes: Mapping[int, int],
    settings: Settings = Settings(),
    *,
    one_to_one: Collection[int] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Added:
    """Add a detector's boxes of the parent classes to a set, and pair the children that have no parent.

    A detection that meets a box of its class that is there already (IoU 0.5) is left out, and of detections that meet
    each other the surest stays, since classes that differ for the detector may be one here. Each box added has the
    attributes ``{"source": "machine", "score": …}``. Pairs follow `icr.data.pairing.propose`; children that several
    boxes hold alike stay unstated, for ``icr data pair`` to list. A pair that the data states is kept; where it states
    that there is no parent, that is taken for "none is labelled" and looked into.

    Args:
        dataset: the set; it is left as it is.
        relations: resolved relations.
        predictor: a loaded detector.
        classes: from `class_map`.
        settings: thresholds.
        one_to_one: the child classes of which a parent holds one.
        progress: told how many pictures are done, of how many.
    """
    added = Added(dataset, {})
    total = sum(map(len, dataset.splits.values()))
    ids = _free_ids(dataset)
    counts: Counter[int] = Counter()
    before: dict[str, list[Sample]] = {split: list(samples) for split, samples in dataset.splits.items()}
    done = 0
    splits: dict[str, list[Sample]] = {}
    for split, samples in before.items():
        splits[split] = []
        for sample, found in _predicted(samples, predictor, settings, added.unreadable):
            made = sample if found is None else _with_boxes(sample, found, classes, relations, settings, ids)
            counts.update(made.labels[len(sample.labels) :].tolist())
            splits[split].append(_opened(made, relations))
            done += 1
            progress(done, total)
    proposal = propose(dataclasses.replace(dataset, splits=splits), relations, one_to_one=one_to_one)
    for split, proposed in proposal.dataset.splits.items():
        pairs = zip(proposed, before[split], strict=True)
        splits[split] = [_settled(made, sample, relations, settings, added) for made, sample in pairs]
    added.dataset = dataclasses.replace(dataset, splits=splits)
    added.boxes = {dataset.names[label]: counts[label] for label in sorted(set(classes.values()))}
    added.ambiguous = len(proposal.doubts)
    return added


def _predicted(
    samples: Sequence[Sample], predictor: Predictor, settings: Settings, unreadable: list[str]
) -> Iterator[tuple[Sample, Predictions | None]]:
    waiting = iter(samples)
    while together := list(islice(waiting, _BATCH)):
        pictures: list[Picture | None] = []
        for sample in together:
            try:
                pictures.append(read_picture(sample.image, (sample.width, sample.height)))
            except InputError as error:
                unreadable.append(str(error))
                pictures.append(None)
        readable = [picture for picture in pictures if picture is not None]
        found = predictor.predict(readable, conf=settings.conf, imgsz=settings.imgsz, batch=_BATCH)
        for sample, picture in zip(together, pictures, strict=True):
            yield sample, None if picture is None else next(found)


def _with_boxes(
    sample: Sample,
    found: Predictions,
    classes: Mapping[int, int],
    relations: Sequence[ResolvedRelation],
    settings: Settings,
    ids: Iterator[int] | None,
) -> Sample:
    """The picture with the detections that are new to it."""
    kept = np.flatnonzero((found.scores >= settings.conf) & np.isin(found.labels, list(classes)))
    labels = np.array([classes[label] for label in found.labels[kept].tolist()], np.int64)
    limits = np.array([sample.width, sample.height] * 2, np.float64)
    boxes = np.clip(found.boxes[kept], 0, limits if limits.all() else np.inf)
    new: list[int] = []
    for place in np.argsort(-found.scores[kept], kind="stable").tolist():
        others = [
            *sample.boxes[sample.labels == labels[place]],
            *(boxes[each] for each in new if labels[each] == labels[place]),
        ]
        wide, high = boxes[place, 2:] - boxes[place, :2]
        if wide >= 1 and high >= 1 and not _meets(boxes[place], np.array(others).reshape(-1, 4)):
            new.append(place)
    if settings.holding:
        new = [place for place in new if _holds(boxes[place], int(labels[place]), sample, relations, settings.inside)]
    marks: list[dict[str, Any]] = [
        {SOURCE: MACHINE, "score": round(float(found.scores[kept[place]]), 4)} for place in new
    ]
    own = sample.box_attributes or [{} for _ in sample.labels]
    numbers = [next(ids) for _ in new] if ids is not None else [-1] * len(new)
    numbered = ids is not None or len(sample.lines) > 0
    return dataclasses.replace(
        sample,
        boxes=np.concatenate([sample.boxes.reshape(-1, 4), boxes[new]]),
        labels=np.concatenate([sample.labels, labels[new]]),
        parents=np.concatenate([sample.parents, np.full(len(new), UNSTATED, np.int64)]),
        lines=np.concatenate([sample.lines, np.array(numbers, np.int64)]) if numbered else sample.lines,
        box_attributes=[*own, *marks] if marks else sample.box_attributes,
    )


def _meets(box: _Boxes, others: _Boxes) -> bool:
    """Whether a box (4,) is about the same as one of others (N, 4)."""
    import torch

    from icr.boxes import iou

    return bool((iou(torch.tensor(box).expand(len(others), 4), torch.tensor(others)) >= _SAME).any())


def _holds(box: _Boxes, label: int, sample: Sample, relations: Sequence[ResolvedRelation], least: float) -> bool:
    wanted = [each.child for each in relations if label in each.parents]
    mine = sample.boxes[np.isin(sample.labels, wanted)]
    return bool((shares_inside(mine, box[None]) >= least).any())


def _opened(sample: Sample, relations: Sequence[ResolvedRelation]) -> Sample:
    """The picture with nothing stated of children that have no parent."""
    parents = sample.parents.copy()
    parents[children(sample, relations) & (parents < 0)] = UNSTATED
    return dataclasses.replace(sample, parents=parents)


def _settled(
    made: Sample, before: Sample, relations: Sequence[ResolvedRelation], settings: Settings, added: Added
) -> Sample:
    """The picture with its pairs; of children without a parent it says what it said before."""
    parents, count = made.parents.copy(), len(before.labels)
    for child in np.flatnonzero(children(before, relations) & (before.parents < 0)).tolist():
        parent = int(parents[child])
        if parent >= 0 and shares_inside(made.boxes[[child]], made.boxes[[parent]])[0, 0] >= settings.inside:
            added.pairs += 1
            added.by_machine += parent >= count
        else:
            added.open += 1
            if parent != UNSTATED:
                parents[child] = before.parents[child]
    return dataclasses.replace(made, parents=parents)


def _free_ids(dataset: Dataset) -> Iterator[int] | None:
    """Annotation ids that are free in a COCO set, so that the others keep theirs; None for other formats."""
    if dataset.format != "coco":
        return None
    taken = [int(sample.lines.max()) for samples in dataset.splits.values() for sample in samples if len(sample.lines)]
    start = max([0, *taken]) + 1
    return iter(range(start, start + 2**53))
