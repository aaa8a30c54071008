"""Checking a data set: what its reader found, pictures decoded and held against each other, labels against geometry."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import tee
from pathlib import Path

import numpy as np
import numpy.typing as npt

from icr.data import leaks, shifted
from icr.data.choosing import Chosen, choose
from icr.data.dataset import Dataset, Finding, Sample, UnreadableRelations
from icr.data.findings import KINDS, found
from icr.data.formats.text import counted
from icr.data.formats.yolo_config import find_config
from icr.data.leaks import Looked, Seen, look
from icr.data.misfits import Exchanged, Repeats, Shared, Swapped, area, report_swapped, shares_inside
from icr.data.pairs import Pairing, children, one_of, pair_all
from icr.errors import InputError
from icr.relations import HALF, Relation, ResolvedRelation, resolve

_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Examined:
    """What a check came to.

    Attributes:
        findings: errors first, then warnings, then remarks; within an id as found.
        looked: what the pictures showed.
        swaps: pictures whose classes are exchanged.
        boxes: how many boxes there are of each class, by class name.
    """

    findings: list[Finding]
    looked: Looked
    swaps: list[Swapped]
    boxes: dict[str, int]


def check(
    dataset: Dataset,
    relations: Sequence[Relation] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    fresh: bool = False,
) -> list[Finding]:
    """Check a data set; nothing in it is changed.

    Args:
        dataset: the data set as read.
        relations: what to hold the pairs against; None: what the data set declares. Without any, pairs are not checked.
        progress: called with the number of pictures looked at and their total.
        fresh: decode every picture, also those that are known from an earlier check and have not changed since.

    Returns:
        The reader's findings and those made here, errors first, then warnings, then remarks; within an id as found.

    Raises:
        InputError: a relation names a class that the set does not have.
    """
    return examine(dataset, relations, progress=progress, fresh=fresh).findings


def examine(
    dataset: Dataset,
    relations: Sequence[Relation] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    fresh: bool = False,
) -> Examined:
    """As `check`, with what `icr.data.repair` needs beside the findings."""
    fault = _declared_fault(dataset)
    known: Sequence[Relation] = () if fault else dataset.relations
    asked = known if relations is None else relations
    resolved = resolve(asked, dataset.names)
    # One pass over the samples, which may have to be fetched.
    single = {mine.child for mine, each in zip(resolved, asked, strict=True) if each.one_to_one}
    seen, exchanged, repeats, pairs = Seen(), Exchanged(resolved), Repeats(), _Pairs(dataset, resolved, single)
    boxes = np.zeros(len(dataset.names), np.int64)
    for split, samples in dataset.splits.items():
        for sample, pairing in _with_pairs(samples, resolved):
            seen.add(split, sample)
            exchanged.add(sample)
            repeats.add(sample)
            boxes += np.bincount(sample.labels, minlength=len(boxes))
            if pairing is not None:
                pairs.add(split, sample, pairing)
    looked = look(seen, progress, fresh=fresh)
    swaps = exchanged.swapped(dataset)
    same = {each.path: each.of for each in looked.copies}
    findings = [
        *dataset.findings,
        *_unknown_classes(dataset, fault),
        *_unused(dataset, boxes.tolist()),
        *leaks.report(looked),
        *shifted.report(looked.shifted),
        *seen.in_two_splits(),
        *repeats.report(dataset, same),
        *report_swapped(swaps, dataset.names),
    ]
    if resolved:
        findings += pairs.report()
    elif not fault:
        message = "no relation is given or declared, so pairs are not checked; pass --relation child:parent"
        if len(dataset.names) == 1:
            message = "the set has one class, so there are no pairs to check"
        findings.append(found("relations.unknown", dataset.source, message))
    ranks = {kind: rank for rank, kind in enumerate(KINDS)}
    findings.sort(key=lambda each: (_ORDER[each.severity], ranks[each.id]))
    return Examined(findings, looked, swaps, dict(zip(dataset.names, boxes.tolist(), strict=True)))


def _with_pairs(
    samples: Sequence[Sample], relations: Sequence[ResolvedRelation]
) -> Iterator[tuple[Sample, Pairing | None]]:
    if not relations:
        return ((sample, None) for sample in samples)
    own, ahead = tee(samples)
    return zip(own, pair_all(ahead, relations), strict=True)


def relations_to_check(given: Sequence[str], dataset: Dataset) -> Chosen:
    """The relations for a check: as `choose`, but where none is given, declared or obvious there is none.

    Nor is there where those declared are faulty, which is a finding of the check.

    Raises:
        InputError: a given relation is wrong.
    """
    if not given and (fault := _declared_fault(dataset)):
        return Chosen((), f"pairs are not checked: {fault}")
    try:
        return choose(given, dataset)
    except InputError as error:
        if given:
            raise
        return Chosen((), f"pairs are not checked: {error}")


def _declared_fault(dataset: Dataset) -> str:
    """Why the relations that a data set declares cannot be used; empty where they can."""
    try:
        resolve(dataset.relations, dataset.names)
    except InputError as error:
        return str(error)
    return ""


def _unknown_classes(dataset: Dataset, fault: str) -> Iterator[Finding]:
    """A finding for relations that can be read, but not used; those that cannot be read are a finding of the reader."""
    if fault and not isinstance(dataset.relations, UnreadableRelations):
        file = find_config(dataset.source) if dataset.format == "yolo" else None
        yield found("relations.invalid", file or dataset.source, f"relations: {fault}")


def _unused(dataset: Dataset, boxes: Sequence[int]) -> Iterator[Finding]:
    for label, (name, count) in enumerate(zip(dataset.names, boxes, strict=True)):
        if not count:
            yield found("classes.unused", dataset.source, f"class {label} {name} has no box")


class _Pairs:
    """Takes in the pairs of a set, picture by picture, and what there is to say of them."""

    def __init__(self, dataset: Dataset, relations: Sequence[ResolvedRelation], one_to_one: Collection[int]) -> None:
        self._dataset, self._relations, self._one_to_one = dataset, relations, one_to_one
        self._totals: Counter[str] = Counter()
        self._shared = Shared(relations)
        self._findings: list[Finding] = []

    def add(self, split: str, sample: Sample, pairing: Pairing) -> None:
        is_child = children(sample, self._relations)
        self._totals[f"{split} children"] += int(is_child.sum())
        self._totals[f"{split} pairs"] += int((pairing.parents >= 0).sum())
        self._shared.add(sample, pairing)
        places = np.flatnonzero(is_child).tolist()
        self._findings += _children(self._dataset, sample, places, pairing, self._relations)

    def report(self) -> Iterator[Finding]:
        yield from self._findings
        dataset, totals = self._dataset, self._totals
        trained = "train" if dataset.splits.get("train") else next(iter(dataset.splits), "")
        if dataset.splits.get(trained) and not totals[f"{trained} pairs"]:
            seen = counted(totals[f"{trained} children"], "child box", "child boxes")
            yield found("pairs.none", dataset.source, f"{trained} has {seen} and not one pair")
        for sample, label, parent, several, share in self._shared.unusual(dataset, self._one_to_one):
            file, line, called = _called(dataset, sample, parent)
            name = dataset.names[label]
            lines = ", ".join(str(sample.lines[each]) for each in several) if len(sample.lines) else ""
            where = f" ({'annotations' if line is None else 'lines'} {lines})" if lines else ""
            why = f"{share:.0%} of those that hold any hold one"
            if label in self._one_to_one:
                why = "the relation is declared one to one"
            yield found("pairs.several", file, f"{called} holds {len(several)} of {name}{where}; {why}", line)


def _children(
    dataset: Dataset, sample: Sample, places: Sequence[int], pairing: Pairing, relations: Sequence[ResolvedRelation]
) -> Iterator[Finding]:
    """What there is to say of the child boxes of a picture."""
    if not places:
        return
    shares = shares_inside(sample.boxes[places], sample.boxes)
    areas = area(sample.boxes)
    parents = pairing.parents[places]
    inside = shares[np.arange(len(places)), parents]
    larger = areas[places] > areas[parents]
    dull = (parents >= 0) & ~pairing.ambiguous[places] & (inside >= HALF) & ~larger
    for at in np.flatnonzero(~dull).tolist():
        yield from _child(dataset, sample, places[at], shares[at], bool(larger[at]), pairing, relations)


def _child(
    dataset: Dataset,
    sample: Sample,
    child: int,
    shares: npt.NDArray[np.float64],
    larger: bool,
    pairing: Pairing,
    relations: Sequence[ResolvedRelation],
) -> Iterator[Finding]:
    """What there is to say of one child box; `shares`: how much of it lies in each box of its picture."""
    relation = next(each for each in relations if each.child == sample.labels[child])
    file, line, called = _called(dataset, sample, child)
    parent, stated = int(pairing.parents[child]), int(sample.parents[child])
    wanted = " or ".join(dataset.names[each] for each in relation.parents)
    if stated >= 0 and parent < 0:
        name = dataset.names[sample.labels[stated]]
        yield found("pairs.class", file, f"{called} has a {name} as its stated parent, expected {wanted}", line)
    elif parent < 0:
        allowed = one_of(sample.labels, relation.parents)
        allowed[child] = False
        best = float(shares[allowed].max()) if allowed.any() else -1
        why = f"the nearest to one holds {best:.0%} of it" if best > 0 else f"no {wanted} touches it"
        if pairing.stated[child]:
            why = "the data says that it has no parent"
        yield found("pairs.orphan", file, f"{called} has no {wanted}: {why}", line)
    elif pairing.ambiguous[child]:
        message = f"{called} lies alike in two or more boxes of {wanted}; the smallest is taken"
        yield found("pairs.ambiguous", file, message, line)
    if parent < 0:
        return
    if pairing.stated[child] and shares[parent] < HALF:
        message = f"{called} lies {shares[parent]:.0%} inside its stated parent"
        yield found("pairs.outside", file, message, line)
    if larger:
        yield found("pairs.larger", file, f"{called} is larger than its {dataset.names[sample.labels[parent]]}", line)


def _called(dataset: Dataset, sample: Sample, box: int) -> tuple[Path, int | None, str]:
    """File and line of a box, and what to call it in a message."""
    name = dataset.names[sample.labels[box]]
    file = sample.label_file or sample.image
    number = int(sample.lines[box]) if len(sample.lines) else None
    if file.suffix.lower() == ".json":
        return file, None, f"{name} (annotation {number} of {sample.image.name})"
    return file, number, name


def report(findings: Sequence[Finding], source: Path, *, every: bool = False, shown: int = 3) -> str:
    """Findings as text: by id, errors first, the first few of each, and a closing line of totals.

    Args:
        findings: from `check`, in its order.
        source: the data set; paths below its folder are shown relative to it.
        every: show each finding.
        shown: how many of each id are shown otherwise.

    Example:
        >>> fault = Finding("labels.class", "error", "/d/labels/a.txt", 2, "class 9 is out of range")
        >>> print(report([fault], Path("/d")))
        error    labels.class  1
          The class is no whole number or lies outside the class list; the row is left out.
            labels/a.txt:2  class 9 is out of range
        <BLANKLINE>
        1 error, 0 warnings, 0 remarks
    """
    groups: dict[str, list[Finding]] = {}
    for each in findings:
        groups.setdefault(each.id, []).append(each)
    folder = source if source.is_dir() or not source.suffix else source.parent
    root = Path(os.path.abspath(folder))  # noqa: PTH100 (links stay as they are)
    lines = []
    for kind, group in groups.items():
        lines.append(f"{group[0].severity:<8} {kind}  {len(group)}")
        if kind in KINDS:
            lines.append(f"  {KINDS[kind].meaning}.")
        for each in group if every else group[:shown]:
            where = Path(each.file).relative_to(root) if Path(each.file).is_relative_to(root) else each.file
            lines.append(f"    {where}{f':{each.line}' if each.line else ''}  {each.message}")
        if not every and len(group) > shown:
            lines.append(f"    … and {len(group) - shown:,} more (--all prints each)")
        lines.append("")
    totals = Counter[str](each.severity for each in findings)
    names = (("error", "error"), ("warning", "warning"), ("info", "remark"))
    lines.append(", ".join(counted(totals[severity], word) for severity, word in names))
    return "\n".join(lines)
