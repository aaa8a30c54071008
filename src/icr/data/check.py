"""Checking a data set: what its reader found, pictures decoded to their end, pairs held against geometry."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from icr.data.dataset import Dataset, Finding, Sample
from icr.data.findings import KINDS, found
from icr.data.formats.text import counted
from icr.data.pairs import Pairing, children, pair
from icr.data.pictures import decode_all, exists
from icr.errors import InputError
from icr.relations import HALF, Chosen, Relation, ResolvedRelation, choose, resolve

_ORDER = {"error": 0, "warning": 1, "info": 2}


def check(
    dataset: Dataset,
    relations: Sequence[Relation] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Check a data set; nothing on disk is changed.

    Args:
        dataset: the data set as read.
        relations: what to hold the pairs against; None: what the data set declares. Without any, pairs are not checked.
        progress: called with the number of pictures decoded and their total.

    Returns:
        The reader's findings and those made here, errors first, then warnings, then remarks; within an id as found.

    Raises:
        InputError: a relation names a class that the set does not have.
    """
    resolved = resolve(dataset.relations if relations is None else relations, dataset.names)
    findings = [*dataset.findings, *_classes(dataset), *_pictures(dataset, progress)]
    if resolved:
        findings += _pairs(dataset, resolved)
    else:
        message = "no relation is given or declared, so pairs are not checked; pass --relation child:parent"
        findings.append(found("relations.unknown", dataset.source, message))
    ranks = {kind: rank for rank, kind in enumerate(KINDS)}
    return sorted(findings, key=lambda each: (_ORDER[each.severity], ranks[each.id]))


def relations_to_check(given: Sequence[str], dataset: Dataset) -> Chosen:
    """The relations for a check: as `icr.relations.choose`, but where none is given, declared or obvious there is none.

    Raises:
        InputError: a given or declared relation is wrong.
    """
    try:
        return choose(given, dataset)
    except InputError as error:
        if given or dataset.relations:
            raise
        return Chosen((), f"pairs are not checked: {error}")


def _every(dataset: Dataset) -> Iterator[tuple[str, Sample]]:
    return ((split, sample) for split, samples in dataset.splits.items() for sample in samples)


def _classes(dataset: Dataset) -> Iterator[Finding]:
    used = {label for _, sample in _every(dataset) for label in np.unique(sample.labels).tolist()}
    for label, name in enumerate(dataset.names):
        if label not in used:
            yield found("classes.unused", dataset.source, f"class {label} {name} has no box")


def _pictures(dataset: Dataset, progress: Callable[[int, int], None] | None) -> Iterator[Finding]:
    """Pictures that do not decode, and those that stand in two places."""
    splits: dict[Path, list[str]] = {}
    for split, sample in _every(dataset):
        known = splits.setdefault(sample.image, [])
        if split not in known:
            known.append(split)
    paths = [path for path in splits if exists(path)]
    tell = None if progress is None else lambda done: progress(done, len(paths))
    first: dict[bytes, Path] = {}
    for path, decoded in zip(paths, decode_all(paths, tell), strict=True):
        if decoded.failure is not None:
            yield found("picture.truncated", path, f"cannot be decoded to its end: {decoded.failure}")
        if len(splits[path]) > 1:
            yield found("splits.shared", path, f"stands in {' and '.join(splits[path])}")
        other = first.setdefault(decoded.digest, path) if decoded.digest else path
        if other == path:
            continue
        own, others = splits[path][0], splits[other][0]
        kind = "picture.duplicate" if own == others else "splits.shared"
        yield found(kind, path, f"of {own} is the same file as {other} of {others}")


def _pairs(dataset: Dataset, relations: Sequence[ResolvedRelation]) -> Iterator[Finding]:
    totals: Counter[str] = Counter()
    for split, sample in _every(dataset):
        pairing = pair(sample, relations)
        is_child = children(sample, relations)
        totals[f"{split} children"] += int(is_child.sum())
        totals[f"{split} pairs"] += int((pairing.parents >= 0).sum())
        for child in np.flatnonzero(is_child).tolist():
            yield from _pair(dataset, sample, child, pairing, relations)
    trained = "train" if dataset.splits.get("train") else next(iter(dataset.splits), "")
    if dataset.splits.get(trained) and not totals[f"{trained} pairs"]:
        seen = counted(totals[f"{trained} children"], "child box", "child boxes")
        yield found("pairs.none", dataset.source, f"{trained} has {seen} and not one pair")


def _pair(
    dataset: Dataset, sample: Sample, child: int, pairing: Pairing, relations: Sequence[ResolvedRelation]
) -> Iterator[Finding]:
    """What there is to say of one child box."""
    relation = next(each for each in relations if each.child == sample.labels[child])
    file, line, called = _called(dataset, sample, child)
    parent, stated = int(pairing.parents[child]), int(sample.parents[child])
    wanted = " or ".join(dataset.names[each] for each in relation.parents)
    shares = _shares(sample.boxes[child], sample.boxes)
    if stated >= 0 and parent < 0:
        name = dataset.names[sample.labels[stated]]
        yield found("pairs.class", file, f"{called} has a {name} as its stated parent, expected {wanted}", line)
    elif parent < 0:
        allowed = np.isin(sample.labels, relation.parents)
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
    if _area(sample.boxes[child]) > _area(sample.boxes[parent]):
        yield found("pairs.larger", file, f"{called} is larger than its {dataset.names[sample.labels[parent]]}", line)


def _called(dataset: Dataset, sample: Sample, box: int) -> tuple[Path, int | None, str]:
    """File and line of a box, and what to call it in a message."""
    name = dataset.names[sample.labels[box]]
    file = sample.label_file or sample.image
    number = int(sample.lines[box]) if len(sample.lines) else None
    if file.suffix.lower() == ".json":
        return file, None, f"{name} (annotation {number} of {sample.image.name})"
    return file, number, name


def _area(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def _shares(child: npt.NDArray[np.float64], boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The share of one box that lies in each of the others: (4,), (N, 4) -> (N,)."""
    shared = np.concatenate([np.maximum(child[:2], boxes[:, :2]), np.minimum(child[2:], boxes[:, 2:])], 1)
    return np.asarray(_area(shared) / max(float(_area(child)), 1e-12))


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
