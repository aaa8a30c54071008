"""COCO JSON: one file, or a folder with one a split; the pair stands as `parent_id` on the child's annotation."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from icr.data.dataset import Dataset, Finding, Sample, UnreadableRelations
from icr.data.findings import found
from icr.data.formats.annotating import looks_like_tasks
from icr.data.formats.boxes import cut_circles, usable
from icr.data.formats.coco_annotations import Box, CocoFile, find_parents, read_annotations
from icr.data.formats.coco_parts import add_parts
from icr.data.formats.coco_write import write
from icr.data.formats.json_values import is_whole, load
from icr.data.formats.objects import picture_size
from icr.data.formats.registry import Format, register
from icr.data.formats.splits import fill
from icr.data.formats.text import counted, is_text, shown
from icr.data.formats.yolo_config import declared_relations
from icr.data.pictures import Header, exists
from icr.errors import InputError

SPLITS = ("train", "val", "test")
_LAYOUTS = ("{0}.json", "{0}/_annotations.coco.json", "annotations/{0}.json", "annotations/instances_{0}.json")
_ALIASES = {"val": ("val", "valid", "validation"), "train": ("train",), "test": ("test",)}
_HEAD = re.compile(rb'\s*\{.*?"(images|annotations|categories)"\s*:\s*\[', re.DOTALL)
_EXPECTED = "expected a COCO JSON: an object with images, annotations and categories"


def find_files(source: Path) -> dict[str, Path]:
    """The JSON file of each split: a file is its own, a folder holds one a split in one of the usual places.

    Where there is none, the files that begin as COCO does, if each speaks of another split: ``result.json``,
    ``annotations/instances_train2017.json``.
    """
    if source.is_file():
        return {_split_of(source): source} if source.suffix.lower() == ".json" else {}
    files = {}
    for split in SPLITS:
        for layout in _LAYOUTS:
            each = next((p for name in _ALIASES[split] if (p := source / layout.format(name)).is_file()), None)
            if each is not None:
                files[split] = each
                break
    return files or _of_any_name(source)


def _of_any_name(folder: Path) -> dict[str, Path]:
    if any(folder.glob("*.y*ml")):  # a YOLO set, which may have a manifest.json
        return {}
    for place in (folder, folder / "annotations"):
        own = [each for each in sorted(place.glob("*.json")) if _begins_as_coco(each)]
        own = [each for each in own if each.stem.startswith("instances")] or own
        files = {_split_of(each): each for each in own}
        if own:
            return {split: files[split] for split in SPLITS if split in files} if len(files) == len(own) else {}
    return {}


def _begins_as_coco(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return _HEAD.match(opened.read(1 << 16).removeprefix(b"\xef\xbb\xbf")) is not None
    except OSError:
        return False


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
    places = {split: Path(os.path.abspath(file)) for split, file in files.items()}  # noqa: PTH100 (links stay as they are)

    def read_split(split: str) -> list[Sample]:
        file = _open(places[split])
        _merge_classes(file, dataset)
        _merge_head(file, dataset)
        return _read_samples(file, findings)

    fill(dataset, places, splits, read_split)
    add_parts(dataset)
    return dataset


def _open(path: Path) -> CocoFile:
    content = load(path, _EXPECTED)
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
    return CocoFile(path, content, _picture_folders(path, content))


def _picture_folders(path: Path, content: dict[str, Any]) -> list[Path]:
    """Where file names may start: the folder that ``info.path`` names, the JSON's own, and images/ beside it."""
    folder = path.parent
    folders = [folder, folder / "images"]
    info = content.get("info")
    stated = info.get("path") if isinstance(info, dict) else None
    if isinstance(stated, str) and "\x00" not in stated and stated and is_text(stated):
        folders.insert(0, Path(os.path.normpath(folder / stated)))
    if folder.name == "annotations":
        split = path.stem.removeprefix("instances_")
        folders += [folder.parent, folder.parent / "images", folder.parent / split, folder.parent / "images" / split]
    return folders


def _merge_classes(file: CocoFile, dataset: Dataset) -> None:
    """Map the file's category ids to the data set's classes, by name; the first file sets the list."""
    first = not dataset.names
    for each in file.content["categories"]:
        category = each.get("id") if isinstance(each, dict) else None
        name = each.get("name") if isinstance(each, dict) else None
        if not is_whole(category) or not isinstance(name, str) or not name or not is_text(name):
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


def _merge_head(file: CocoFile, dataset: Dataset) -> None:
    info = file.content.get("info")
    info = info if isinstance(info, dict) else {}
    block = file.content.get("relations", info.get("relations"))
    declared = declared_relations(block, file.path, dataset.findings)
    known = dataset.relations
    if isinstance(declared, UnreadableRelations):
        dataset.relations = declared
    elif not isinstance(known, UnreadableRelations):
        dataset.relations = (*known, *(each for each in declared if each not in known))
    rest = {key: value for key, value in info.items() if key not in ("relations", "path")}
    if rest:
        dataset.attributes.setdefault("info", rest)
    if file.content.get("licenses"):
        dataset.attributes.setdefault("licenses", file.content["licenses"])


def _read_samples(file: CocoFile, findings: list[Finding]) -> list[Sample]:
    entries = _read_images(file, findings)
    by_image = read_annotations(file, entries, findings)
    located = {key: _locate(file, entry["file_name"]) for key, entry in entries.items()}
    absent = [key for key, path in located.items() if not exists(path) and not os.path.islink(path)]  # noqa: PTH114
    labels_only = len(absent) == len(entries) > 0
    if labels_only:
        message = f"none of the {counted(len(entries), 'picture')} is there; expected e.g. {located[absent[0]]}"
        findings.append(found("picture.none_found", file.path, message))
    samples = []
    for key, entry in entries.items():
        if labels_only:
            size: Header | None = _stated_size(entry)
        else:
            stated = (entry.get("width"), entry.get("height")) if entry.keys() & {"width", "height"} else None
            size = picture_size(located[key], findings, stated)
        if size is not None:
            samples.append(_sample(file, entry, located[key], size, by_image.get(key, []), findings))
    return samples


def _read_images(file: CocoFile, findings: list[Finding]) -> dict[int, dict[str, Any]]:
    """The usable entries of ``images``, by id."""
    entries: dict[int, dict[str, Any]] = {}
    names: set[str] = set()
    for place_, entry in enumerate(file.content["images"]):
        key = entry.get("id") if isinstance(entry, dict) else None
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not is_whole(key) or not isinstance(name, str) or not name or "\x00" in name or not is_text(name):
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


def _climbs(file: CocoFile, name: str) -> bool:
    path = Path(name)
    if path.is_absolute():
        normal = Path(os.path.normpath(path))
        return not any(normal.is_relative_to(each) for each in file.folders)
    return not Path(os.path.normpath(file.folders[0] / path)).is_relative_to(file.folders[0])


def _locate(file: CocoFile, name: str) -> Path:
    places = [Path(os.path.normpath(folder / name)) for folder in file.folders]
    return next((each for each in places if exists(each)), places[0])


def _stated_size(entry: dict[str, Any]) -> Header:
    width, height = entry.get("width"), entry.get("height")
    if is_whole(width) and is_whole(height) and 0 < width < 10**9 and 0 < height < 10**9:
        return Header(width, height, False)
    return Header(0, 0, False)


def _sample(
    file: CocoFile, entry: dict[str, Any], path: Path, size: Header, found_boxes: list[Box], findings: list[Finding]
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
        find_parents(file, entry, kept, found_boxes, findings),
        file.path,
        np.array([each.id for each in kept], np.int64),
        {"image_id": entry["id"], **attributes},
        [each.attributes for each in kept] if any(each.attributes for each in kept) else [],
    )
    cut_circles(sample, file.path, findings)
    return sample


FORMAT = register(
    Format(
        "coco",
        "a COCO .json, or a folder with one, or with train.json, val.json or test.json",
        lambda source: bool(files := find_files(source)) and not any(map(looks_like_tasks, files.values())),
        read,
        write,
    )
)
