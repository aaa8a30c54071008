"""Writing COCO JSON, one file a split, with `parent_id` and `relations`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icr.data.dataset import UNSTATED, Dataset, Sample
from icr.data.formats.folders import place, relative_names
from icr.data.formats.json_values import is_whole
from icr.data.formats.registry import Images
from icr.data.formats.yolo_write import relation_block


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
    own_pictures = all(map(is_whole, pictures)) and len(set(pictures)) == len(pictures)
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
