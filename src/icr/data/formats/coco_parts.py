"""Persons in COCO JSON that carry their head and face in keys of their own: each becomes a box with its parent."""

from __future__ import annotations

from typing import Any

import numpy as np

from icr.data.dataset import Dataset, Finding, Sample, UnreadableRelations
from icr.data.findings import found
from icr.data.formats.boxes import usable
from icr.data.formats.json_values import are_finite, described
from icr.relations import Relation

PARTS = {"h_bbox": "head", "f_bbox": "face"}
"""The class of the box that a key of an annotation holds, ``[x, y, width, height]`` like ``bbox`` itself."""


def add_parts(dataset: Dataset) -> None:
    """Turn ``h_bbox`` and ``f_bbox``, in place, into boxes of classes ``head`` and ``face``, children of their persons.

    A class of that name is used where there is one. A relation to the classes that carry parts is declared where the
    data set declares none for the part. Null, empty, and numbers of which none is above zero say that there is no such
    part; what else cannot be used is a finding.
    """
    samples = [sample for split in dataset.splits.values() for sample in split]
    carriers: dict[str, set[int]] = {}
    for sample in samples:
        for label, said in zip(sample.labels.tolist(), sample.box_attributes, strict=False):
            for key in PARTS:
                if key in said:
                    carriers.setdefault(key, set()).add(label)
    for key, name in PARTS.items():
        if key not in carriers:
            continue
        if name not in dataset.names:
            dataset.names.append(name)
            dataset.category_ids.append(max(dataset.category_ids, default=0) + 1)
        label = dataset.names.index(name)
        parents = [dataset.names[each] for each in sorted(carriers[key] - {label})]
        readable = not isinstance(dataset.relations, UnreadableRelations)
        declared = {each.child for each in dataset.relations} if readable else set()
        if readable and parents and not declared & {name, label}:
            relation = Relation(name, parents[0] if len(parents) == 1 else tuple(parents))
            dataset.relations = (*dataset.relations, relation)
        for sample in samples:
            _add(sample, key, label, dataset.findings)


def _add(sample: Sample, key: str, label: int, findings: list[Finding]) -> None:
    corners: list[tuple[float, float, float, float]] = []
    persons: list[int] = []
    for person, said in enumerate(sample.box_attributes):
        box = _corners(said.pop(key, None), key, sample, person, findings)
        if box is not None:
            corners.append(box)
            persons.append(person)
    if not corners:
        if not any(sample.box_attributes):
            sample.box_attributes = []
        return
    boxes = np.array(corners, np.float64)
    file = sample.label_file or sample.image
    keep = np.ones(len(boxes), np.bool_)
    if sample.width:
        keep = usable(
            boxes,
            sample.width,
            sample.height,
            lambda place: (file, None, _called(key, sample, persons[place])),
            findings,
        )
    parents = np.array(persons, np.int64)[keep]
    sample.boxes = np.concatenate([sample.boxes, boxes[keep]])
    sample.labels = np.concatenate([sample.labels, np.full(len(parents), label, np.int64)])
    sample.parents = np.concatenate([sample.parents, parents])
    sample.lines = np.concatenate([sample.lines, np.full(len(parents), -1, np.int64)])
    sample.box_attributes = [*sample.box_attributes, *({} for _ in parents)]
    if not any(sample.box_attributes):
        sample.box_attributes = []


def _corners(
    value: Any, key: str, sample: Sample, person: int, findings: list[Finding]
) -> tuple[float, float, float, float] | None:
    """A part's box as x1 y1 x2 y2; None when there is none or, which is a finding, it cannot be used."""
    if value is None or value == []:
        return None
    file, called = sample.label_file or sample.image, _called(key, sample, person)
    if not isinstance(value, list) or len(value) != 4:
        message = f"{called} is {described(value)}; expected [x, y, width, height]"
        findings.append(found("labels.fields", file, message))
        return None
    if not are_finite(value, called, file, findings):
        return None
    x, y, width, height = map(float, value)
    if max(value) <= 0:
        return None
    if width <= 0 or height <= 0:
        kind = "labels.zero_size" if width >= 0 and height >= 0 else "labels.negative_size"
        findings.append(found(kind, file, f"{called} has size {width:g} by {height:g}"))
        return None
    return x, y, x + width, y + height


def _called(key: str, sample: Sample, person: int) -> str:
    return f"{key} of annotation {sample.lines[person]} of {sample.image.name}"
