"""COCO JSON: one file, or a folder with one a split; the pair stands as `parent_id` on the child's annotation."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.boxes import cut_circles, usable
from icr.data.formats.folders import place, relative_names
from icr.data.formats.registry import Format, Images, register
from icr.data.formats.text import counted, is_text, read_settings_text, shown
from icr.data.formats.yolo import relation_block
from icr.data.formats.yolo_config import requested
from icr.data.pictures import Header, PictureError, exists, header
from icr.errors import InputError
from icr.relations import read as read_relations

SPLITS = ("train", "val", "test")
_LAYOUTS = ("{0}.json", "{0}/_annotations.coco.json", "annotations/{0}.json", "annotations/instances_{0}.json")
_ALIASES = {"val": ("val", "valid", "validation"), "train": ("train",), "test": ("test",)}
_OWN_KEYS = frozenset(("id", "image_id", "category_id", "bbox", "parent_id"))
_EXPECTED = "expected a COCO JSON: an object with images, annotations and categories"


@dataclass
class _File:
    """One COCO file being read: where it is, where its pictures may be, and what is known of it so far."""

    path: Path
    content: dict[str, Any]
    folders: list[Path]
    classes: dict[int, int] = field(default_factory=dict)


def find_files(source: Path) -> dict[str, Path]:
    """The JSON file of each split: a file is its own, a folder holds one a split in one of the usual places."""
    if source.is_file():
        return {_split_of(source): source} if source.suffix.lower() == ".json" else {}
    files = {}
    for split in SPLITS:
        for layout in _LAYOUTS:
            each = next((p for name in _ALIASES[split] if (p := source / layout.format(name)).is_file()), None)
            if each is not None:
                files[split] = each
                break
    return files


def _split_of(file: Path) -> str:
    """The split that a file's name (or, for ``_annotations.coco.json``, its folder's) speaks of; else train."""
    name = file.parent.name if file.stem.startswith("_annotations") else file.stem
    return next((split for split in ("val", "test", "train") if split in name.lower()), "train")


def read(source: Path, splits: Sequence[str] | None = None) -> Dataset:
    """Read COCO JSON.

    Raises:
        InputError: there is no such file, or it is no COCO JSON.
    """
    files = find_files(source)
    if not files:
        raise InputError(f"{source} holds no COCO JSON; expected a .json file, or train.json, val.json or test.json")
    findings: list[Finding] = []
    dataset = Dataset(source, "coco", [], {}, findings=findings)
    for split in requested(list(files), splits, source):
        file = _open(files[split])
        _merge_classes(file, dataset)
        _merge_head(file, dataset)
        samples = _read_samples(file, findings)
        if not samples:
            findings.append(found("split.empty", file.path, f"{split} has no usable picture"))
        dataset.splits[split] = samples
    return dataset


def _open(path: Path) -> _File:
    text = read_settings_text(path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: no readable JSON ({error.msg}); {_EXPECTED}") from None
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits; nesting too deep
        raise InputError(f"{path}: no readable JSON ({type(error).__name__}); {_EXPECTED}") from None
    if isinstance(content, list):
        hint = " (a list is a results file: give it to icr eval in place of weights)"
        raise InputError(f"{path}: found a list; {_EXPECTED}{hint}")
    if not isinstance(content, dict):
        raise InputError(f"{path}: found {type(content).__name__}; {_EXPECTED}")
    for key in ("images", "categories"):
        if not isinstance(content.get(key), list):
            what = f"no {key}" if key not in content else f"{key} that is no list"
            raise InputError(f"{path}: found {what}; {_EXPECTED}")
    if not isinstance(content.get("annotations", []), list):
        raise InputError(f"{path}: found annotations that is no list; {_EXPECTED}")
    return _File(path, content, _picture_folders(path, content))


def _picture_folders(path: Path, content: dict[str, Any]) -> list[Path]:
    """Where file names may start: the folder that ``info.path`` names, the JSON's own, and images/ beside it."""
    folder = Path(os.path.abspath(path)).parent  # noqa: PTH100 (links stay as they are)
    folders = [folder, folder / "images"]
    info = content.get("info")
    stated = info.get("path") if isinstance(info, dict) else None
    if isinstance(stated, str) and "\x00" not in stated and stated and is_text(stated):
        folders.insert(0, Path(os.path.normpath(folder / stated)))
    if folder.name == "annotations":
        split = path.stem.removeprefix("instances_")
        folders += [folder.parent, folder.parent / "images", folder.parent / split, folder.parent / "images" / split]
    return folders


def _merge_classes(file: _File, dataset: Dataset) -> None:
    """Map the file's category ids to the data set's classes, by name; the first file sets the list."""
    first = not dataset.names
    for each in file.content["categories"]:
        category = each.get("id") if isinstance(each, dict) else None
        name = each.get("name") if isinstance(each, dict) else None
        if not _is_whole(category) or not isinstance(name, str) or not name or not is_text(name):
            message = f"category {shown(category)} has name {shown(name)}; expected a whole number and a text"
            dataset.findings.append(found("coco.category", file.path, message))
        elif category in file.classes:
            message = f"category id {category} stands twice; {shown(name)} is left out"
            dataset.findings.append(found("coco.category", file.path, message))
        elif not first and name in dataset.names:
            file.classes[category] = dataset.names.index(name)
        else:
            if not first:
                message = f"class {shown(name)} is not in the first file; it is added"
                dataset.findings.append(found("coco.categories_differ", file.path, message))
            elif name in dataset.names:
                message = f"category {category} has the name of another, {shown(name)}"
                dataset.findings.append(found("yaml.names_duplicate", file.path, message))
            file.classes[category] = len(dataset.names)
            dataset.names.append(name)
            dataset.category_ids.append(category)
    if not dataset.names:
        raise InputError(f"{file.path}: found no usable categories; expected e.g. {{'id': 1, 'name': 'plate'}}")


def _merge_head(file: _File, dataset: Dataset) -> None:
    info = file.content.get("info")
    info = info if isinstance(info, dict) else {}
    block = file.content.get("relations", info.get("relations"))
    declared = read_relations(block, str(file.path))
    dataset.relations = (*dataset.relations, *(each for each in declared if each not in dataset.relations))
    rest = {key: value for key, value in info.items() if key not in ("relations", "path")}
    if rest:
        dataset.attributes.setdefault("info", rest)
    if file.content.get("licenses"):
        dataset.attributes.setdefault("licenses", file.content["licenses"])


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _read_samples(file: _File, findings: list[Finding]) -> list[Sample]:
    entries = _read_images(file, findings)
    by_image = _read_annotations(file, entries, findings)
    located = {key: _locate(file, entry["file_name"]) for key, entry in entries.items()}
    absent = [key for key, path in located.items() if not exists(path) and not os.path.islink(path)]  # noqa: PTH114
    labels_only = len(absent) == len(entries) > 0
    if labels_only:
        message = f"none of the {counted(len(entries), 'picture')} is there; expected e.g. {located[absent[0]]}"
        findings.append(found("picture.none_found", file.path, message))
    samples = []
    for key, entry in entries.items():
        size = _stated_size(entry) if labels_only else _size(located[key], entry, findings)
        if size is not None:
            samples.append(_sample(file, entry, located[key], size, by_image.get(key, []), findings))
    return samples


def _read_images(file: _File, findings: list[Finding]) -> dict[int, dict[str, Any]]:
    """The usable entries of ``images``, by id."""
    entries: dict[int, dict[str, Any]] = {}
    names: set[str] = set()
    for place_, entry in enumerate(file.content["images"]):
        key = entry.get("id") if isinstance(entry, dict) else None
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not _is_whole(key) or not isinstance(name, str) or not name or "\x00" in name or not is_text(name):
            message = f"images[{place_}] has id {shown(key)} and file_name {shown(name)}"
            findings.append(found("coco.image", file.path, f"{message}; expected a whole number and a path"))
        elif key in entries:
            findings.append(found("coco.duplicate_image", file.path, f"picture id {key} stands twice ({shown(name)})"))
        elif _climbs(file, name):
            message = f"picture {key}: {shown(name)} leads out of the data set's folder; not read"
            findings.append(found("paths.climbs", file.path, message))
        else:
            if name in names:
                message = f"stands twice, the second time as picture {key} of {file.path.name}"
                findings.append(found("picture.listed_twice", _locate(file, name), message))
            names.add(name)
            entries[key] = entry
    return entries


def _climbs(file: _File, name: str) -> bool:
    path = Path(name)
    if path.is_absolute():
        normal = Path(os.path.normpath(path))
        return not any(normal.is_relative_to(each) for each in file.folders)
    return not Path(os.path.normpath(file.folders[0] / path)).is_relative_to(file.folders[0])


def _locate(file: _File, name: str) -> Path:
    places = [Path(os.path.normpath(folder / name)) for folder in file.folders]
    return next((each for each in places if exists(each)), places[0])


def _stated_size(entry: dict[str, Any]) -> Header:
    width, height = entry.get("width"), entry.get("height")
    if _is_whole(width) and _is_whole(height) and 0 < width < 10**9 and 0 < height < 10**9:
        return Header(width, height, False)
    return Header(0, 0, False)


def _size(path: Path, entry: dict[str, Any], findings: list[Finding]) -> Header | None:
    """The picture's own size, held against the stated one; None when the picture cannot be used."""
    try:
        size = header(path)
    except FileNotFoundError:
        findings.append(found("picture.missing", path, f"there is no such picture (id {entry['id']})"))
        return None
    except PictureError as error:
        findings.append(found("picture.unreadable", path, f"cannot be opened as a picture: {error}"))
        return None
    stated = _stated_size(entry)
    if ("width" in entry or "height" in entry) and (stated.width, stated.height) != (size.width, size.height):
        said = f"{shown(entry.get('width'))} x {shown(entry.get('height'))}"
        turned = " (EXIF turns it: it is stored the other way round)" if size.turned else ""
        message = f"is {size.width} x {size.height}{turned}, but the labels say {said}"
        findings.append(found("picture.size_mismatch", path, message))
    elif size.turned:
        findings.append(found("picture.turned", path, f"is shown as {size.width} x {size.height}, stored turned"))
    return size


@dataclass
class _Box:
    """One usable annotation."""

    id: int
    label: int
    corners: tuple[float, float, float, float]
    parent_id: Any
    attributes: dict[str, Any]


def _read_annotations(
    file: _File, entries: dict[int, dict[str, Any]], findings: list[Finding]
) -> dict[int, list[_Box]]:
    if not file.content.get("annotations"):
        findings.append(found("coco.no_annotations", file.path, "has no annotations"))
    known = {each.get("id") for each in file.content["images"] if isinstance(each, dict) and _is_whole(each.get("id"))}
    by_image: dict[int, list[_Box]] = {}
    seen_ids: set[int] = set()
    seen_boxes: set[tuple[Any, ...]] = set()
    for place_, each in enumerate(file.content.get("annotations", [])):
        if not isinstance(each, dict):
            message = f"annotations[{place_}] is {shown(each)}; expected an object"
            findings.append(found("labels.fields", file.path, message))
            continue
        own = each.get("id")
        called = f"annotation {own}" if _is_whole(own) else f"annotations[{place_}]"
        box = _read_annotation(each, called, file, findings)
        if box is None:
            continue
        image = each["image_id"]
        if not _is_whole(image) or image not in known:
            message = f"{called} is of picture {shown(image)}, which is not in images"
            findings.append(found("coco.unknown_image", file.path, message))
            continue
        if image not in entries:
            continue  # the picture's own finding says so
        if not _is_whole(own):
            findings.append(found("coco.id_missing", file.path, f"{called} has id {shown(own)}"))
        elif own in seen_ids:
            findings.append(found("coco.duplicate_id", file.path, f"annotation id {own} stands twice"))
        seen_ids.add(box.id)
        key = (image, box.label, box.corners)
        if key in seen_boxes:
            message = f"{called} repeats the class and box of another of picture {image}"
            findings.append(found("labels.duplicate", file.path, message))
        seen_boxes.add(key)
        by_image.setdefault(image, []).append(box)
    return by_image


def _read_annotation(each: dict[str, Any], called: str, file: _File, findings: list[Finding]) -> _Box | None:
    fault = _fault(each, file)
    if fault is not None:
        findings.append(found(fault[0], file.path, f"{called}: {fault[1]}"))
        return None
    x, y, width, height = map(float, each["bbox"])
    own = each.get("id")
    return _Box(
        own if _is_whole(own) and abs(own) < 2**63 else -1,
        file.classes[each["category_id"]],
        (x, y, x + width, y + height),
        NO_PARENT if each.get("parent_id", UNSTATED) is None else each.get("parent_id", UNSTATED),
        {key: value for key, value in each.items() if key not in _OWN_KEYS},
    )


def _fault(each: dict[str, Any], file: _File) -> tuple[str, str] | None:
    """What makes an annotation unusable, as a finding's id and message."""
    missing = [key for key in ("image_id", "category_id", "bbox") if key not in each]
    if missing:
        return ("labels.fields", f"{' and '.join(missing)} missing")
    bbox = each["bbox"]
    if not isinstance(bbox, list) or len(bbox) != 4:
        what = f"a list of {len(bbox)}" if isinstance(bbox, list) else shown(bbox)
        return ("labels.fields", f"bbox is {what}; expected [x, y, width, height]")
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in bbox):
        return ("labels.not_a_number", f"bbox holds {', '.join(map(shown, bbox))}; expected four numbers")
    try:
        finite = all(map(math.isfinite, bbox))
    except OverflowError:  # a whole number too large for a float
        finite = False
    if not finite:
        return ("labels.not_finite", "bbox has a number that is not finite")
    category, (width, height) = each["category_id"], bbox[2:]
    if not _is_whole(category) or category not in file.classes:
        return ("labels.class", f"category_id {shown(category)} is not in categories")
    if width < 0 or height < 0:
        return ("labels.negative_size", f"size {width:g} by {height:g} is negative")
    if width == 0 or height == 0:
        return ("labels.zero_size", f"size {width:g} by {height:g} is zero")
    return None


def _sample(
    file: _File, entry: dict[str, Any], path: Path, size: Header, found_boxes: list[_Box], findings: list[Finding]
) -> Sample:
    boxes = np.array([each.corners for each in found_boxes], np.float64).reshape(-1, 4)
    keep = np.ones(len(boxes), np.bool_)
    if size.width:

        def name(place_: int) -> tuple[Path, int | None, str]:
            return file.path, None, f"annotation {found_boxes[place_].id} of {entry['file_name']}"

        keep = usable(boxes, size.width, size.height, name, findings)
    kept = [each for each, usable_ in zip(found_boxes, keep.tolist(), strict=True) if usable_]
    attributes = {key: value for key, value in entry.items() if key not in ("id", "file_name", "width", "height")}
    sample = Sample(
        path,
        size.width,
        size.height,
        boxes[keep],
        np.array([each.label for each in kept], np.int64),
        _parents(file, entry, kept, found_boxes, findings),
        file.path,
        np.array([each.id for each in kept], np.int64),
        {"image_id": entry["id"], **attributes},
        [each.attributes for each in kept] if any(each.attributes for each in kept) else [],
    )
    cut_circles(sample, file.path, findings)
    return sample


def _parents(file: _File, entry: dict[str, Any], kept: list[_Box], every: list[_Box], findings: list[Finding]) -> Any:
    """Each kept box's parent among them, looked up by annotation id within the picture."""
    place_of: dict[int, int] = {}
    for index, each in enumerate(kept):
        place_of.setdefault(each.id, index)
    parents = np.full(len(kept), NO_PARENT, np.int64)
    for index, each in enumerate(kept):
        parent, called = each.parent_id, f"annotation {each.id} of {entry['file_name']}"
        if _is_whole(parent) and parent in (UNSTATED, NO_PARENT):  # -1 and -2 in a file mean what they mean here
            parents[index] = parent
        elif not _is_whole(parent) or parent not in place_of:
            lost = _is_whole(parent) and any(other.id == parent for other in every)
            kind = "pairs.lost" if lost else "pairs.unknown_parent"
            why = "cannot be used" if lost else "is no annotation of this picture"
            findings.append(found(kind, file.path, f"{called}: its parent_id {shown(parent)} {why}"))
        elif place_of[parent] == index:
            findings.append(found("pairs.self", file.path, f"{called} is named as its own parent"))
        else:
            parents[index] = place_of[parent]
    return parents


def write(dataset: Dataset, out: Path, images: Images = "copy") -> tuple[str, ...]:
    """Write a data set as COCO JSON, one file a split, into an empty folder.

    With ``reference`` the pictures stay where they are and ``info.path`` names their common folder, which this
    project's reader follows.

    Returns:
        What COCO could not hold: nothing.
    """
    ids = dataset.category_ids if len(dataset.category_ids) == len(dataset.names) else []
    ids = ids or list(range(1, len(dataset.names) + 1))
    every = [sample for samples in dataset.splits.values() for sample in samples]
    root = Path(os.path.commonpath([sample.image.parent for sample in every])) if every else Path()
    image_ids, box_ids = _ids(every, dataset.format)
    done = boxes_done = 0
    for split, samples in dataset.splits.items():
        names = _place_all(samples, out, split, root, images)
        entries = [
            {
                **{key: value for key, value in sample.attributes.items() if key != "image_id"},
                "id": image_ids[done + index],
                "file_name": name,
                "width": sample.width,
                "height": sample.height,
            }
            for index, (sample, name) in enumerate(zip(samples, names, strict=True))
        ]
        annotations: list[dict[str, Any]] = []
        for entry, sample in zip(entries, samples, strict=True):
            own = box_ids[boxes_done : boxes_done + len(sample.labels)]
            annotations += _annotations(sample, entry["id"], own, ids)
            boxes_done += len(own)
        done += len(samples)
        info = dict(dataset.attributes.get("info", {}))
        if images == "reference" and every:
            info["path"] = str(root)
        content = {
            **({"info": info} if info else {}),
            **({"licenses": dataset.attributes["licenses"]} if "licenses" in dataset.attributes else {}),
            **({"relations": relation_block(dataset.relations)} if dataset.relations else {}),
            "categories": [{"id": key, "name": name} for key, name in zip(ids, dataset.names, strict=True)],
            "images": entries,
            "annotations": annotations,
        }
        text = json.dumps(content, ensure_ascii=False)
        (out / f"{split}.json").write_text(f"{text}\n", encoding="utf-8")
    return ()


def _ids(samples: Sequence[Sample], format_: str) -> tuple[list[int], list[int]]:
    """Picture and annotation ids: those of the COCO files read where each is there once, else counted from 1."""
    pictures = [sample.attributes.get("image_id") for sample in samples]
    boxes = [each for sample in samples for each in sample.lines.tolist()] if format_ == "coco" else []
    total = sum(len(sample.labels) for sample in samples)
    own_pictures = all(map(_is_whole, pictures)) and len(set(pictures)) == len(pictures)
    own_boxes = len(boxes) == total and len(set(boxes)) == total and -1 not in boxes
    return (
        [each for each in pictures if each is not None] if own_pictures else list(range(1, len(samples) + 1)),
        boxes if own_boxes else list(range(1, total + 1)),
    )


def _place_all(samples: Sequence[Sample], out: Path, split: str, root: Path, images: Images) -> list[str]:
    if images == "reference":
        return [sample.image.relative_to(root).as_posix() for sample in samples]
    names = [Path("images", split, name) for name in relative_names(samples)]
    for sample, name in zip(samples, names, strict=True):
        place(sample.image, out / name, link=images == "link")
    return [name.as_posix() for name in names]


def _annotations(sample: Sample, image: int, own: Sequence[int], categories: Sequence[int]) -> list[dict[str, Any]]:
    written = []
    attributes = sample.box_attributes or [{}] * len(sample.labels)
    rows = zip(sample.boxes.tolist(), sample.labels.tolist(), sample.parents.tolist(), attributes, own, strict=True)
    for (x1, y1, x2, y2), label, parent, extra, key in rows:
        each = {
            "id": key,
            "image_id": image,
            "category_id": categories[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
            **extra,
        }
        if parent != UNSTATED:
            each["parent_id"] = own[parent] if parent >= 0 else None
        written.append(each)
    return written


FORMAT = register(
    Format(
        "coco",
        "a COCO .json, or a folder with train.json, val.json or test.json",
        lambda source: bool(find_files(source)),
        read,
        write,
    )
)
