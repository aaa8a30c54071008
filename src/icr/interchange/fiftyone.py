"""To and from FiftyOne samples, children linked to their parents.

A child and its parent share an `Instance`, so that FiftyOne's App lights up one with the other; in a chain (helmet,
rider, motorcycle) all of its boxes share one. What the pair is stands in fields of the labels: ``box_id``, a number of
the box in its picture, and ``parent_id``, that of its parent, -1 where the data says that it has none; no ``parent_id``
where it says nothing. (FiftyOne's own ids change when a sample is copied.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.pictures import PictureError, header
from icr.errors import InputError

if TYPE_CHECKING:
    import fiftyone  # type: ignore[import-not-found,import-untyped]

FIELD = "ground_truth"
TOLD = "told"
"""The field of samples and labels for what the data says of them besides."""


def to_samples(dataset: Dataset, field: str = FIELD) -> list[fiftyone.Sample]:
    """The pictures of a data set as samples in memory, for `fiftyone.Dataset.add_samples`; tagged with their splits.

    Lines of label files, relations and findings are not carried over.

    Args:
        dataset: what to hand over; sizes of pictures must be known, for FiftyOne's boxes are shares of the sides.
        field: the field for the boxes.

    Raises:
        InputError: the size of a picture is not known.
    """
    return [
        _to_sample(sample, split, dataset.names, field)
        for split, samples in dataset.splits.items()
        for sample in samples
    ]


def _to_sample(sample: Sample, split: str, names: Sequence[str], field: str) -> Any:
    import fiftyone

    if sample.width <= 0 or sample.height <= 0:
        raise InputError(f"{sample.image}: its size is not known, and FiftyOne's boxes are shares of the sides")
    sides = np.array([sample.width, sample.height] * 2)
    shares = np.concatenate([sample.boxes[:, :2], sample.boxes[:, 2:] - sample.boxes[:, :2]], 1) / sides
    families = _families(sample.parents)
    instances = {family: fiftyone.Instance() for family in set(families) if families.count(family) > 1}
    labels = []
    for box, (share, label, parent) in enumerate(
        zip(shares.tolist(), sample.labels.tolist(), sample.parents.tolist(), strict=True)
    ):
        fields: dict[str, Any] = {"box_id": box}
        if parent != UNSTATED:
            fields["parent_id"] = parent
        if families[box] in instances:
            fields["instance"] = instances[families[box]]
        if sample.box_attributes:
            fields[TOLD] = dict(sample.box_attributes[box])
        labels.append(fiftyone.Detection(label=names[label], bounding_box=share, **fields))
    told = {TOLD: dict(sample.attributes)} if sample.attributes else {}
    size = fiftyone.ImageMetadata(width=sample.width, height=sample.height)
    boxes = {field: fiftyone.Detections(detections=labels)}
    return fiftyone.Sample(filepath=str(sample.image), tags=[split], metadata=size, **boxes, **told)


def _families(parents: npt.NDArray[np.int64]) -> list[int]:
    """The box at the head of each box's chain of parents; a faulty chain that goes round in a circle ends within it."""
    heads = []
    for box in range(len(parents)):
        seen = {box}
        head = box
        while parents[head] >= 0 and int(parents[head]) not in seen:
            head = int(parents[head])
            seen.add(head)
        heads.append(head)
    return heads


def from_samples(
    samples: Iterable[fiftyone.Sample],
    names: Sequence[str] | None = None,
    *,
    field: str = FIELD,
    splits: Sequence[str] = ("train", "val", "test"),
    source: Path = Path("fiftyone"),
) -> Dataset:
    """A data set from samples, a view or a whole `fiftyone.Dataset`.

    A parent that a view filters out leaves its child without one (`NO_PARENT`). Labels without ``parent_id`` say
    nothing of parents (`UNSTATED`).

    Args:
        samples: of pictures.
        names: class names in their order; None: those that occur, sorted.
        field: the field that holds the boxes.
        splits: tags that are splits; a sample without one of them is of the first.
        source: what to call the data set.

    Raises:
        InputError: a label is not in `names`, a ``box_id`` stands twice in a picture, or no splits are given.
    """
    if not splits:
        raise InputError("splits is empty; expected the tags that are splits, such as train and val")
    held = list(samples)
    if names is None:
        names = sorted({each.label for sample in held for each in _labels(sample, field)})
    findings: list[Finding] = []
    made: dict[str, list[Sample]] = {}
    for sample in held:
        split = next((tag for tag in sample.tags if tag in splits), splits[0])
        made.setdefault(split, []).append(_from_sample(sample, names, field, findings))
    ordered = {split: made[split] for split in splits if split in made}
    return Dataset(source, "fiftyone", list(names), ordered, findings=findings)


def _labels(sample: Any, field: str) -> list[Any]:
    held = sample[field] if sample.has_field(field) else None
    return [] if held is None else list(held.detections)


def _from_sample(sample: Any, names: Sequence[str], field: str, findings: list[Finding]) -> Sample:
    path = Path(sample.filepath)
    size = _size(sample, path, findings)
    labels = _labels(sample, field) if min(size) > 0 else []
    for each in labels:
        if each.label not in names:
            raise InputError(f"{path}: label {each.label!r} is none of the names: {', '.join(names)}")
    shares = np.array([each.bounding_box for each in labels], np.float64).reshape(-1, 4)
    corners = np.concatenate([shares[:, :2], shares[:, :2] + shares[:, 2:]], 1)
    told = [_field(each, TOLD) for each in labels]
    return Sample(
        path,
        *size,
        corners * np.array([*size, *size]),
        np.array([names.index(each.label) for each in labels], np.int64),
        np.array(_parents(labels, path), np.int64),
        attributes=_plain(_field(sample, TOLD) or {}),
        box_attributes=[_plain(each or {}) for each in told] if any(each is not None for each in told) else [],
    )


def _parents(labels: Sequence[Any], path: Path) -> list[int]:
    """The row of each label's parent; labels that were drawn by hand have no number of their own."""
    row_of: dict[int, int] = {}
    for row, each in enumerate(labels):
        own = _field(each, "box_id")
        if own is not None and row_of.setdefault(int(own), row) != row:
            raise InputError(f"{path}: box_id {int(own)} stands twice; a label that was copied needs another, or none")
    parents = []
    for row, each in enumerate(labels):
        said = _field(each, "parent_id")
        parent = UNSTATED if said is None else row_of.get(int(said), NO_PARENT)
        parents.append(NO_PARENT if parent == row else parent)
    return parents


def _field(held: Any, name: str) -> Any:
    return held[name] if held.has_field(name) else None


def _plain(held: Any) -> Any:
    """Lists and mappings of their own: those of a database report changes to their sample, which may be gone."""
    if isinstance(held, Mapping):
        return {key: _plain(each) for key, each in held.items()}
    return [_plain(each) for each in held] if isinstance(held, list | tuple) else held


def _size(sample: Any, path: Path, findings: list[Finding]) -> tuple[int, int]:
    metadata = sample.metadata
    if metadata is not None and metadata.width and metadata.height:
        return int(metadata.width), int(metadata.height)
    try:
        seen = header(path)
    except FileNotFoundError:
        findings.append(found("picture.missing", path, "there is no such picture, so its boxes have no size"))
    except PictureError as error:
        findings.append(found("picture.unreadable", path, f"cannot be opened as a picture: {error}"))
    else:
        return seen.width, seen.height
    return 0, 0
