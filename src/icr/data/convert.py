"""From one format to another, and into the form that Ultralytics trains on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from icr.data.dataset import Dataset, Sample
from icr.data.formats.boxes import first_of_equals, keep_boxes
from icr.data.formats.text import counted
from icr.data.formats.yolo import label_file
from icr.data.formats.yolo_config import find_config, read_config
from icr.data.formats.yolo_write import write_config, write_split
from icr.data.pictures import is_picture
from icr.errors import InputError
from icr.relations import Relation

_TOLERATED = 0.01
"""How far, in shares of a side, a number of a label row may leave 0..1 before Ultralytics drops the whole picture."""

_SMALLEST = 10
"""Pictures with a side of fewer pixels are dropped by Ultralytics."""


def prepare_yolo(
    dataset: Dataset,
    out: Path,
    *,
    relations: Sequence[Relation] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write ``data.yaml`` into a run folder, such that Ultralytics trains on every usable row and on nothing else.

    A YOLO set that Ultralytics reads as this project does is used where it lies: ``data.yaml`` names its pictures in
    lists. Anything else gets a tree of its own below ``data/``, pictures linked, pairs in sidecar files: other formats,
    and YOLO sets with faults for which Ultralytics would drop whole pictures, reorder rows or rewrite pictures in
    place. In that tree faulty rows are left out, repeated rows and crowds too, and boxes are cut off at the picture's
    edge.

    Args:
        dataset: a data set with pictures in train and val.
        out: the run folder.
        relations: what to declare in place of the data set's own relations.
        say: told, one sentence each, what is left out or changed.

    Returns:
        The path of the ``data.yaml``. It has no ``download:``.

    Raises:
        InputError: train or val has no usable picture.
    """
    for split in ("train", "val"):
        if not dataset.splits.get(split):
            raise InputError(f"{dataset.source}: the {split} split has no usable picture; training needs train and val")
    out = Path(os.path.abspath(out))  # noqa: PTH100 (links stay as they are)
    declared = dataset.relations if relations is None else tuple(relations)
    data = out / "data"
    if data.exists():
        shutil.rmtree(data)
    data.mkdir(parents=True)
    reason = _why_not_in_place(dataset)
    if reason:
        say(f"the labels are written anew to {data}: {reason}")
        keys = _write_tree(dataset, data, say)
    else:
        keys = _write_lists(dataset, data)
    _say_faults(dataset, say)
    file = out / "data.yaml"
    scratch = out / ".data.yaml.part"
    write_config(scratch, {"path": str(data), **keys}, dataset.names, declared)
    scratch.replace(file)
    return file


def _why_not_in_place(dataset: Dataset) -> str:
    """Why Ultralytics cannot read the set where it lies as this project does; empty when it can."""
    if dataset.format != "yolo":
        return f"the set is {dataset.format.upper()}, training reads YOLO"
    ids = {each.id for each in dataset.findings}
    errors = {
        each.id for each in dataset.findings if each.severity == "error" and each.id.startswith(("labels.", "pairs."))
    } - {"labels.no_picture", "labels.none"}
    if errors or "boxes.outside" in ids:
        kinds = ", ".join(sorted(errors | ids & {"boxes.outside"}))
        return f"for a faulty row Ultralytics would drop the whole picture ({kinds})"
    if "labels.duplicate" in ids:
        return "Ultralytics sorts the rows of files with repeated rows (labels.duplicate)"
    if "labels.polygon" in ids:
        return "Ultralytics drops pictures whose labels mix outlines and boxes (labels.polygon)"
    samples = [sample for split in dataset.splits.values() for sample in split]
    if any(map(_out_of_range, samples)):
        return "Ultralytics would drop pictures for boxes that stick out (boxes.partly_outside)"
    if any(_lacks_end(sample.image) for sample in samples):
        return "Ultralytics would rewrite JPEG files that lack their end mark"
    return ""


def _out_of_range(sample: Sample) -> bool:
    if not len(sample.boxes):
        return False
    sides = np.array([sample.width, sample.height], np.float64)
    centres = (sample.boxes[:, :2] + sample.boxes[:, 2:]) / 2 / sides
    sizes = (sample.boxes[:, 2:] - sample.boxes[:, :2]) / sides
    return bool(max(centres.max(), sizes.max()) > 1 + _TOLERATED or centres.min() < -_TOLERATED)


def _lacks_end(image: Path) -> bool:
    """Whether a JPEG does not end as one should."""
    if image.suffix.lower() not in (".jpg", ".jpeg"):
        return False
    try:
        with image.open("rb") as file:
            if file.read(2) != b"\xff\xd8":
                return False
            file.seek(-2, os.SEEK_END)
            return file.read() != b"\xff\xd9"
    except OSError:
        return False


def _write_lists(dataset: Dataset, data: Path) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    for split, samples in dataset.splits.items():
        if samples:
            file = data / f"{split}.txt"
            file.write_text("".join(f"{sample.image}\n" for sample in samples), encoding="utf-8")
            keys[split] = str(file)
    config = find_config(dataset.source)
    if config is not None and read_config(config, []).ordered:
        keys["pairs"] = "order"
    return keys


def _write_tree(dataset: Dataset, data: Path, say: Callable[[str], None]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    changed: dict[str, int] = {}
    for split, samples in dataset.splits.items():
        if samples:
            write_split([_trainable(sample, changed) for sample in samples], data, split, link=True)
            keys[split] = str(data / "images" / split)
    sentences = {
        "crowd": "marked as a crowd, left out of training",
        "repeated": "repeating another, left out of training",
        "cut": "sticking out of the picture, cut off at its edge",
    }
    for key, sentence in sentences.items():
        if key in changed:
            say(f"{counted(changed[key], 'box', 'boxes')} {sentence}")
    return keys


def _trainable(sample: Sample, changed: dict[str, int]) -> Sample:
    """A picture's boxes as they may be trained on: no crowds, no repeats, nothing beyond the edge."""
    crowd = np.zeros(len(sample.labels), np.bool_)
    for index, each in enumerate(sample.box_attributes):
        crowd[index] = bool(each.get("iscrowd"))
    edges = np.array([sample.width, sample.height] * 2, np.float64)
    boxes = np.clip(sample.boxes, 0, edges)
    # Ultralytics compares in float32, normalised.
    rows = np.concatenate([sample.labels[:, None], boxes / edges], 1).astype(np.float32)
    same = first_of_equals(rows)
    repeated = ~crowd & (same != np.arange(len(same)))
    keep = ~crowd & ~repeated
    for key, mask in (
        ("crowd", crowd),
        ("repeated", repeated),
        ("cut", keep & (np.abs(boxes - sample.boxes) > 0.1).any(1)),
    ):
        if mask.any():
            changed[key] = changed.get(key, 0) + int(mask.sum())
    return keep_boxes(sample, boxes, keep, same)


def _say_faults(dataset: Dataset, say: Callable[[str], None]) -> None:
    """Say how many rows and pictures the reader had to leave out."""
    errors = [each for each in dataset.findings if each.severity == "error"]
    rows = sum(each.id.startswith(("labels.", "boxes.")) and each.id != "labels.none" for each in errors)
    pictures = sum(each.id.startswith(("picture.", "paths.", "text.")) for each in errors)
    if rows:
        say(f"{counted(rows, 'faulty row')} of labels left out; icr data check names each")
    if pictures:
        say(f"{counted(pictures, 'picture')} or files cannot be used; icr data check names each")
    small = [s for split in dataset.splits.values() for s in split if min(s.width, s.height) < _SMALLEST]
    if small:
        say(f"{counted(len(small), 'picture')} below {_SMALLEST} pixels a side, which Ultralytics leaves out")
    strange = [s for split in dataset.splits.values() for s in split if s.label_file is None and is_picture(s.image)]
    if strange:
        say(f"{counted(len(strange), 'picture')} without a label file ({label_file(strange[0].image)}), taken as empty")
