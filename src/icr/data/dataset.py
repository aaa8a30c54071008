"""The one in-memory form of a data set, pairs included; every reader makes it and every writer takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from icr.errors import InputError
from icr.relations import Relation

NO_PARENT = -1
"""In `Sample.parents`: the data says that this box has no parent."""

UNSTATED = -2
"""In `Sample.parents`: the data says nothing about this box's parent, so geometry decides."""

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """One fault or remark about a data set.

    Severity means: ``error``, the thing named cannot be used and training would lose or spoil it; ``warning``, it is
    used but is probably not what was meant; ``info``, worth knowing.

    Attributes:
        id: stable dotted name, such as ``labels.out_of_range``.
        severity: see above.
        file: path of the file at fault.
        line: line in that file, from 1; None where lines mean nothing.
        message: what was found, what was expected, what to do; one line.
    """

    id: str
    severity: Severity
    file: str
    line: int | None
    message: str


@dataclass
class Sample:
    """One picture with its boxes and pairs.

    Attributes:
        image: absolute path of the picture file.
        width, height: size in pixels of the picture as shown, EXIF orientation applied (0 where it could not be read).
        boxes: float64 (N, 4), xyxy, pixels of the original picture.
        labels: int64 (N,), index into `Dataset.names`.
        parents: int64 (N,), index of each box's parent in this sample, or `NO_PARENT`, or `UNSTATED`.
        label_file: the file the boxes came from, None when there is none.
        lines: int64 (N,), line in `label_file` from 1 (the annotation id for COCO); empty when unknown.
        attributes: whatever else the data says of the picture (``{"light": "night"}``).
        box_attributes: the same for each box; empty, or N dicts.
    """

    image: Path
    width: int
    height: int
    boxes: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    parents: npt.NDArray[np.int64]
    label_file: Path | None = None
    lines: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    attributes: dict[str, Any] = field(default_factory=dict)
    box_attributes: list[dict[str, Any]] = field(default_factory=list)


class UnreadableRelations(tuple[Relation, ...]):
    """What stands in `Dataset.relations` where the data set declares them in a way that cannot be read.

    Whoever uses them gets the fault as an `InputError`, so that no command takes "wrongly declared" for "none
    declared"; `icr.data.check` alone goes on without them.

    Example:
        >>> try:
        ...     bool(UnreadableRelations("data.yaml: relations is a mapping"))
        ... except InputError as error:
        ...     print(error)
        data.yaml: relations is a mapping
    """

    fault: str

    def __new__(cls, fault: str) -> UnreadableRelations:
        made = super().__new__(cls)
        made.fault = fault
        return made

    def _refuse(self, *_: object) -> NoReturn:
        raise InputError(self.fault)

    __bool__ = __len__ = __iter__ = _refuse


@dataclass
class Dataset:
    """A data set in memory.

    Attributes:
        source: what was read: a `data.yaml`, a JSON file, a folder.
        format: the reader's name, ``yolo`` or ``coco``.
        names: class names; a label is an index into them.
        splits: pictures by split (``train``, ``val``, ``test``), in the order of the files.
        relations: the relations that the data set itself declares, unresolved, or `UnreadableRelations`.
        findings: what the reader could not use or found odd; nothing is dropped without one.
        category_ids: the id of each class in COCO files, where it had one; empty otherwise.
        attributes: whatever else the data says of the whole set (COCO's ``info`` and ``licenses``).
    """

    source: Path
    format: str
    names: list[str]
    splits: Mapping[str, Sequence[Sample]]
    relations: tuple[Relation, ...] = ()
    findings: list[Finding] = field(default_factory=list)
    category_ids: list[int] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def faulty_entries(self) -> int:
        """How many entries the reader could not use; that nothing of a split is labelled yet is no such entry."""
        return sum(each.severity == "error" and each.id != "labels.none" for each in self.findings)
