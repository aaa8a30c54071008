"""Writing YOLO: pictures with their attributes, labels, pairs and `data.yaml`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from icr.data.dataset import UNSTATED, Dataset, Sample
from icr.data.formats.folders import place, relative_names
from icr.data.formats.registry import Images
from icr.data.formats.text import counted
from icr.data.manifest import write_manifest
from icr.errors import InputError
from icr.relations import Relation


def write(dataset: Dataset, out: Path, images: Images = "copy") -> tuple[str, ...]:
    """Write a data set as YOLO into an empty folder.

    Returns:
        What YOLO text labels could not hold, in words.

    Raises:
        InputError: `images` is ``reference`` (YOLO finds labels from the picture's path), or a picture has no size.
    """
    if images == "reference":
        raise InputError(
            "YOLO finds a label by its picture's path, so pictures cannot stay where they are; use --images link"
        )
    for split, samples in dataset.splits.items():
        write_split(samples, out, split, link=images == "link")
    write_manifest(out, _attributes(dataset))
    keys: dict[str, Any] = {split: f"images/{split}" for split in dataset.splits}
    write_config(out / "data.yaml", keys, dataset.names, dataset.relations, dataset.category_ids)
    return _not_held(dataset)


def _attributes(dataset: Dataset) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each picture, as it lies below the folder written, with its attributes; COCO's number of it is none."""
    for split, samples in dataset.splits.items():
        for sample, name in zip(samples, relative_names(samples), strict=True):
            said = {key: value for key, value in sample.attributes.items() if key != "image_id"}
            yield f"images/{split}/{name.as_posix()}", said


def write_split(samples: Sequence[Sample], out: Path, split: str, *, link: bool) -> None:
    """Write pictures, labels and pairs of one split below ``images/``, ``labels/`` and ``pairs/`` of a folder."""
    folders = {kind: out / kind / split for kind in ("images", "labels")}
    for each in folders.values():
        each.mkdir(parents=True, exist_ok=True)
    for sample, name in zip(samples, relative_names(samples), strict=True):
        if sample.width < 1 or sample.height < 1:
            raise InputError(f"{sample.image}: the size of the picture is unknown, so its boxes cannot be written")
        place(sample.image, folders["images"] / name, link=link)
        text = name.with_suffix(".txt")
        _write_text(folders["labels"] / text, label_rows(sample))
        if (sample.parents != UNSTATED).any():
            _write_text(out / "pairs" / split / text, pair_rows(sample))


def label_rows(sample: Sample) -> list[str]:
    """The rows of a label file, good to 1e-14 of a side.

    Example:
        >>> box = np.array([[10.0, 20, 30, 60]])
        >>> label_rows(Sample(Path("a.jpg"), 100, 200, box, np.array([1]), np.array([-2])))
        ['1 0.2 0.2 0.2 0.2']
    """
    sides = np.array([sample.width, sample.height], np.float64)
    centres = (sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2 / sides
    sizes = (sample.boxes[:, 2:] - sample.boxes[:, :2]) / sides
    numbers = np.concatenate([centres, sizes], 1).tolist()
    return [
        f"{label} {' '.join(map(_written, row))}" for label, row in zip(sample.labels.tolist(), numbers, strict=True)
    ]


def _written(value: float) -> str:
    # Without the last digits, in which 0.1 comes back as 0.10000000000000007, sets do not drift from copy to copy.
    return repr(round(value, 14) or value)


def pair_rows(sample: Sample) -> list[str]:
    """The lines of a pairs file: each child with its parent, and -2 for boxes of which nothing is stated.

    Example:
        >>> pair_rows(Sample(Path("a.jpg"), 9, 9, np.zeros((3, 4)), np.array([0, 1, 0]), np.array([1, -1, -2])))
        ['0 1', '2 -2']
    """
    return [f"{row} {parent}" for row, parent in enumerate(sample.parents.tolist()) if parent != -1]


def write_config(
    file: Path,
    keys: dict[str, Any],
    names: Sequence[str],
    relations: Sequence[Relation],
    category_ids: Sequence[int] = (),
) -> None:
    """Write a `data.yaml`: `keys` first, then names and relations."""
    content = {**keys, "names": dict(enumerate(names))}
    if relations:
        content["relations"] = relation_block(relations)
    if category_ids and list(category_ids) != list(range(1, len(names) + 1)):
        content["category_ids"] = list(category_ids)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    file.write_text(text, encoding="utf-8")


def relation_block(relations: Sequence[Relation]) -> list[dict[str, Any]]:
    """Relations as they stand in a file.

    Example:
        >>> relation_block([Relation("plate", ("car", "bus"))])
        [{'child': 'plate', 'parent': ['car', 'bus'], 'weight': 2.5}]
    """
    return [
        {
            "child": each.child,
            "parent": list(each.parent) if isinstance(each.parent, tuple) else each.parent,
            "weight": each.weight,
            **({"one_to_one": True} if each.one_to_one else {}),
        }
        for each in relations
    ]


def _write_text(file: Path, rows: Sequence[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def _not_held(dataset: Dataset) -> tuple[str, ...]:
    boxes = [each for split in dataset.splits.values() for sample in split for each in sample.box_attributes]
    outlines = sum("segmentation" in each for each in boxes)
    crowds = sum(bool(each.get("iscrowd")) for each in boxes)
    others = {key for each in boxes for key in each} - {"segmentation", "iscrowd", "area"}
    said = []
    if outlines:
        said.append(f"{counted(outlines, 'outline')} (segmentation): only the boxes are written")
    if crowds:
        said.append(f"the crowd mark of {counted(crowds, 'box', 'boxes')}: they become ordinary boxes")
    if others:
        said.append(f"attributes: {', '.join(sorted(map(str, others)))}")
    return tuple(said)
