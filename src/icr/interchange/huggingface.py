"""To and from Hugging Face `datasets`, in the layout that object-detection sets have there, and a parent for each box.

A row is ``image``, ``image_id``, ``width``, ``height`` and ``objects``, a dict of lists of one length: ``id``, ``bbox``
(x, y, width, height in pixels, as COCO), ``area``, ``category`` (a `ClassLabel`) and ``parent``: the place of the box's
parent in the same lists, -1 where it has none, -2 where nothing is said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.folders import new_folder
from icr.data.formats.yolo_write import relation_block
from icr.data.pictures import PictureError, header
from icr.errors import InputError
from icr.relations import Relation
from icr.relations import read as read_relations

if TYPE_CHECKING:
    import datasets  # type: ignore[import-not-found,import-untyped]

BoxFormat = Literal["xywh", "xyxy"]

_RELATIONS = re.compile(r"^icr relations: (\[.*\])$", re.MULTILINE)


def to_huggingface(dataset: Dataset) -> datasets.DatasetDict:
    """A data set as Hugging Face `datasets`, one for each split, pairs included.

    Pictures are referred to by path; `datasets` takes them in when it pushes a set to the hub. What the data says of
    pictures and boxes besides stands as JSON in columns ``attributes``, where there is any; relations stand in the
    description (`DatasetInfo`). Lines of label files and findings are not carried over.
    """
    import datasets

    described = ""
    if dataset.relations:
        described = f"icr relations: {json.dumps(relation_block(dataset.relations), ensure_ascii=False)}"
    told = [sample for samples in dataset.splits.values() for sample in samples]
    features = _features(
        dataset.names, any(each.attributes for each in told), any(each.box_attributes for each in told)
    )
    splits = {}
    for split, samples in dataset.splits.items():
        rows = [_row(number, sample, features) for number, sample in enumerate(samples)]
        columns = {name: [row[name] for row in rows] for name in features}
        info = datasets.DatasetInfo(description=described, features=features)
        splits[split] = datasets.Dataset.from_dict(columns, features=features, info=info)
    return datasets.DatasetDict(splits)


def _features(names: Sequence[str], pictures_told: bool, boxes_told: bool) -> datasets.Features:
    from datasets import ClassLabel, Features, Image, Sequence, Value

    objects = {
        "id": Sequence(Value("int64")),
        "bbox": Sequence(Sequence(Value("float64"), length=4)),
        "area": Sequence(Value("float64")),
        "category": Sequence(ClassLabel(names=list(names))),
        "parent": Sequence(Value("int64")),
    }
    told = {"attributes": Value("string")} if pictures_told else {}
    if boxes_told:
        objects["attributes"] = Sequence(Value("string"))
    whole = Value("int64")
    return Features({"image": Image(), "image_id": whole, "width": whole, "height": whole, "objects": objects, **told})


def _row(number: int, sample: Sample, features: Mapping[str, Any]) -> dict[str, Any]:
    sides = sample.boxes[:, 2:] - sample.boxes[:, :2]
    objects: dict[str, Any] = {
        "id": list(range(len(sample.labels))),
        "bbox": np.concatenate([sample.boxes[:, :2], sides], 1).tolist(),
        "area": sides.prod(1).tolist(),
        "category": sample.labels.tolist(),
        "parent": sample.parents.tolist(),
    }
    if "attributes" in features["objects"]:
        told = sample.box_attributes or [{}] * len(sample.labels)
        objects["attributes"] = [json.dumps(each, ensure_ascii=False) for each in told]
    row = {
        "image": str(sample.image),
        "image_id": number,
        "width": sample.width,
        "height": sample.height,
        "objects": objects,
    }
    if "attributes" in features:
        row["attributes"] = json.dumps(sample.attributes, ensure_ascii=False)
    return row


def from_huggingface(
    given: datasets.DatasetDict | datasets.Dataset,
    *,
    images: Path | None = None,
    names: Sequence[str] | None = None,
    relations: Sequence[Relation] | None = None,
    box_format: BoxFormat = "xywh",
    source: Path = Path("huggingface"),
) -> Dataset:
    """A data set from Hugging Face `datasets` of the usual object-detection layout, with or without ``parent``.

    Without ``parent`` nothing is said of pairs (`UNSTATED`), so geometry decides. What cannot be used is left out and
    is a finding that names split, picture and place. Pictures are taken one by one, however large the set.

    Args:
        given: one for each split, or a single one, which counts as ``train``.
        images: a new folder for pictures that lie within the set and not in files of their own; needed if any does.
        names: class names; None: those of the set's `ClassLabel`.
        relations: None: those that `to_huggingface` wrote, if it did.
        box_format: how ``bbox`` is meant; ``xyxy`` for the sets that store corners.
        source: what to call it.

    Raises:
        InputError: a column is missing, no class names are known, or pictures need a folder and none is given.
    """
    import datasets

    splits = given if isinstance(given, Mapping) else {"train": given}
    for split, each in splits.items():
        missing = [name for name in ("image", "objects") if name not in each.column_names]
        if missing:
            raise InputError(
                f"split {split} has no column {' and no column '.join(missing)}, but {', '.join(each.column_names)}; "
                "expected image and objects (bbox, category); rename_column of datasets helps"
            )
    first = next(iter(splits.values()), None)
    called = list(names) if names is not None else _names(first)
    if relations is None:
        relations = _relations("" if first is None else first.info.description or "")
    findings: list[Finding] = []
    made: dict[str, list[Sample]] = {}
    with ExitStack() as opened:
        pictures = _Pictures(images, opened)
        for split, each in splits.items():
            made[split] = []
            for number, row in enumerate(each.cast_column("image", datasets.Image(decode=False))):
                where = f"{split}[{number}]"
                path = pictures.path(row["image"] or {}, split, number)
                if path is None:
                    findings.append(found("picture.missing", source, f"{where} has no picture"))
                else:
                    sample = _sample(row, path, called, box_format, where, findings)
                    if not (sample.width > 0 and sample.height > 0):
                        sample.width, sample.height = _size(pictures.at(path), path, where, findings)
                    made[split].append(sample)
    return Dataset(source, "huggingface", called, made, tuple(relations), findings)


def _names(given: Any) -> list[str]:
    """The class names of the `ClassLabel` of ``objects.category``; objects are lists in a dict, or dicts in a list."""
    feature: Any = None if given is None else given.features["objects"]
    for _ in range(4):
        if isinstance(feature, Mapping):
            feature = feature.get("category")
        elif isinstance(feature, list):
            feature = feature[0]
        elif hasattr(feature, "feature"):
            feature = feature.feature
    if not getattr(feature, "names", None):
        raise InputError("objects.category is no ClassLabel with names, so the classes are unknown; pass names")
    return list(feature.names)


def _relations(description: str) -> tuple[Relation, ...]:
    written = _RELATIONS.search(description)
    if written is None:
        return ()
    try:
        block = json.loads(written[1])
    except ValueError as error:
        raise InputError(f"the relations in the set's description cannot be read: {error}; pass relations") from None
    return read_relations(block, "the set's description")


class _Pictures:
    """Where the pictures lie; those that have no file of their own are written into a folder, opened for the first."""

    def __init__(self, images: Path | None, opened: ExitStack) -> None:
        self._images = None if images is None else Path(images).absolute()
        self._opened = opened
        self._folder: Path | None = None
        self._taken: set[Path] = set()

    def path(self, stored: Mapping[str, Any], split: str, number: int) -> Path | None:
        """The file of a picture, at its final place; None when the set holds neither file nor bytes."""
        content, name = stored.get("bytes"), stored.get("path")
        if not content:
            return Path(name) if name else None
        if self._images is None:
            raise InputError(
                f"the picture of {split}[{number}] lies within the set and not in a file; "
                "give a new folder for such pictures: images=Path(…)"
            )
        if self._folder is None:
            self._folder = self._opened.enter_context(new_folder(self._images))
        inside = Path(_folder_name(split)) / _file_name(name, content, number)
        if inside in self._taken:
            inside = inside.with_name(f"{inside.stem}-{number}{inside.suffix}")
        self._taken.add(inside)
        (self._folder / inside).parent.mkdir(exist_ok=True)
        (self._folder / inside).write_bytes(content)
        return self._images / inside

    def at(self, path: Path) -> Path:
        """Where a picture lies for now: the folder has its name only when all are written."""
        if self._folder is None or self._images is None or not path.is_relative_to(self._images):
            return path
        return self._folder / path.relative_to(self._images)


def _file_name(path: str | None, content: bytes, number: int) -> str:
    """A plain file name, whatever the set says: nothing in it may lead out of the folder."""
    name = PurePosixPath((path or "").replace("\\", "/")).name.replace("\0", "")
    suffix = ".png" if content.startswith(b"\x89PNG") else ".webp" if content[8:12] == b"WEBP" else ".jpg"
    return name if name not in ("", ".", "..") else f"{number:06d}{suffix}"


def _folder_name(split: str) -> str:
    return re.sub(r"[^\w.-]", "_", split).strip(".") or "split"


def _sample(
    row: Mapping[str, Any], path: Path, names: Sequence[str], form: BoxFormat, where: str, findings: list[Finding]
) -> Sample:
    objects = row["objects"] or {}
    if isinstance(objects, list):  # the other layout: a list of dicts
        keys = dict.fromkeys(key for each in objects for key in each)
        objects = {key: [each.get(key) for each in objects] for key in keys}
    given = objects.get("bbox") or []
    categories = [_index(each, names) for each in objects.get("category") or []]
    if len(given) != len(categories):
        raise InputError(f"{where}: objects has {len(given)} bbox and {len(categories)} category; expected one of each")
    kept, boxes = [], []
    for place, (box, category) in enumerate(zip(given, categories, strict=True)):
        corners = _corners(box, form)
        fault = _fault(corners, category, names)
        if fault is None:
            kept.append(place)
            boxes.append(corners)
        else:
            findings.append(found(fault[0], path, f"{where}, object {place}: {fault[1]}"))
    told = objects.get("attributes")
    return Sample(
        path,
        int(row.get("width") or 0),
        int(row.get("height") or 0),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array([categories[place] for place in kept], np.int64),
        np.array(_parents(objects.get("parent"), len(given), kept, path, where, findings), np.int64),
        attributes=json.loads(row.get("attributes") or "{}"),
        box_attributes=[json.loads(told[place] or "{}") for place in kept] if told else [],
    )


def _index(category: Any, names: Sequence[str]) -> Any:
    """Sets without a `ClassLabel` may call classes by name."""
    return names.index(category) if isinstance(category, str) and category in names else category


def _corners(box: Sequence[float] | None, form: BoxFormat) -> list[float]:
    if box is None or len(box) != 4 or any(each is None for each in box):
        return []
    x, y, third, fourth = map(float, box)
    return [x, y, third, fourth] if form == "xyxy" else [x, y, x + third, y + fourth]


def _fault(corners: Sequence[float], category: Any, names: Sequence[str]) -> tuple[str, str] | None:
    if not corners:
        return "labels.fields", "bbox is not four numbers"
    if not np.isfinite(corners).all():
        return "labels.not_finite", "bbox holds a number that is not finite"
    wide, high = corners[2] - corners[0], corners[3] - corners[1]
    if wide <= 0 or high <= 0:
        kind = "labels.negative_size" if min(wide, high) < 0 else "labels.zero_size"
        return kind, f"bbox has size {wide:g} by {high:g}"
    if not isinstance(category, int) or not 0 <= category < len(names):
        return "labels.class", f"category is {category!r}; expected 0 to {len(names) - 1}"
    return None


def _parents(
    given: Sequence[int | None] | None,
    number: int,
    kept: Sequence[int],
    path: Path,
    where: str,
    findings: list[Finding],
) -> Iterable[int]:
    """The parents of the boxes kept, as places among them."""
    if given is None:
        return [UNSTATED] * len(kept)
    place_of = {place: index for index, place in enumerate(kept)}
    parents = []
    for place in kept:
        parent = given[place] if place < len(given) else None
        if parent is None or parent == UNSTATED:
            parents.append(UNSTATED)
        elif parent != NO_PARENT and (parent == place or parent not in place_of):
            lost = 0 <= parent < number and parent != place
            why = "is an object that cannot be used" if lost else "is no other object of the picture"
            message = f"{where}, object {place}: its parent {parent} {why}"
            findings.append(found("pairs.lost" if lost else "pairs.unknown_parent", path, message))
            parents.append(NO_PARENT)
        else:
            parents.append(NO_PARENT if parent == NO_PARENT else place_of[parent])
    return parents


def _size(file: Path, path: Path, where: str, findings: list[Finding]) -> tuple[int, int]:
    try:
        seen = header(file)
    except FileNotFoundError:
        findings.append(found("picture.missing", path, f"{where}: there is no such picture"))
    except PictureError as error:
        findings.append(found("picture.unreadable", path, f"{where}: cannot be opened as a picture: {error}"))
    else:
        return seen.width, seen.height
    return 0, 0
