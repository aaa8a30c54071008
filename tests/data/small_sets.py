"""Small data sets on disk, for the tests of reading, checking and writing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from icr.data.dataset import Finding, Sample

WIDTH, HEIGHT = 100, 80

PLATE, CAR = "0 0.5 0.5 0.1 0.05", "1 0.5 0.5 0.6 0.5"
YAML = """\
train: images/train
val: images/val
names: [plate, car]
relations: [{child: plate, parent: car}]
"""


def picture(file: Path, size: tuple[int, int] = (WIDTH, HEIGHT), *, shade: int | None = None) -> Path:
    """Write a picture, one no other test picture equals unless `shade` says so."""
    file.parent.mkdir(parents=True, exist_ok=True)
    shade = sum(str(file).encode()) * 31 + len(str(file)) if shade is None else shade
    image = np.random.default_rng(shade).integers(0, 255, (size[1] // 4, size[0] // 4, 3), np.uint8)
    Image.fromarray(image).resize(size).save(file)
    return file


def yolo_set(
    root: Path, train: Mapping[str, Sequence[str] | bytes] | None = None, *, yaml: str = YAML, suffix: str = ".png"
) -> Path:
    """Write a YOLO set: a val picture without fault, and one train picture for each entry, rows or raw bytes."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(yaml)
    sets = {"train": train or {"a": [PLATE, CAR]}, "val": {"v": [PLATE, CAR]}}
    for split, pictures in sets.items():
        for stem, rows in pictures.items():
            picture(root / "images" / split / f"{stem}{suffix}")
            label = root / "labels" / split / f"{stem}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_bytes(rows if isinstance(rows, bytes) else "".join(f"{row}\n" for row in rows).encode())
    return root


def coco_content(**changed: Any) -> dict[str, Any]:
    """A COCO file of one picture with a plate in a car; keyword arguments replace its parts."""
    return {
        "images": [{"id": 7, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 3, "name": "plate"}, {"id": 9, "name": "car"}],
        "annotations": [
            {"id": 11, "image_id": 7, "category_id": 3, "bbox": [45, 38, 10, 4], "parent_id": 12},
            {"id": 12, "image_id": 7, "category_id": 9, "bbox": [20, 20, 60, 40], "parent_id": None},
        ],
        **changed,
    }


def annotation(**changed: Any) -> dict[str, Any]:
    """An annotation without fault; keyword arguments replace its parts, None takes one out."""
    whole = {"id": 11, "image_id": 7, "category_id": 3, "bbox": [45, 38, 10, 4], **changed}
    return {key: value for key, value in whole.items() if value is not None}


def coco_set(root: Path, content: Any = None, *, name: str = "train.json") -> Path:
    """Write a COCO file with its one picture; `content` may be text."""
    picture(root / "images" / "a.png")
    content = coco_content() if content is None else content
    (root / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return root / name


def ids(findings: Sequence[Finding]) -> list[str]:
    """The ids of findings, sorted."""
    return sorted(each.id for each in findings)


def same_boxes(one: Sample, other: Sample) -> None:
    """Assert that two samples hold the same boxes, labels and pairs in the same order."""
    np.testing.assert_allclose(one.boxes, other.boxes, rtol=1e-12, atol=1e-9)
    assert one.labels.tolist() == other.labels.tolist()
    assert one.parents.tolist() == other.parents.tolist()
    assert (one.width, one.height) == (other.width, other.height)
