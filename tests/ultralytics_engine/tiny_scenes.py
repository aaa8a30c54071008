# SPDX-License-Identifier: AGPL-3.0-only
"""Generated pictures of a few pixels and a network of a few thousand weights: enough to train for a second."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml

from icr.relations import Relation
from icr.training import TrainSettings
from icr.ultralytics.dataset import PARENT

FAST = {"optimizer": "AdamW", "plots": False, "nbs": 4, "warmup_epochs": 0}
SIZE = 96
NET = """nc: 2
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [24, 3, 2]]
  - [-1, 1, Conv, [32, 3, 2]]
head:
  - [[2, 3], 1, Detect, [nc]]
"""


def write_set(root: Path, pictures: dict[str, int], seed: int = 0, **keys: Any) -> Path:
    """Vehicles as dark boxes, each with a white plate on it; every vehicle follows its plate in the label file."""
    chance = np.random.default_rng(seed)
    for split, count in pictures.items():
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            canvas = chance.integers(90, 130, (SIZE, SIZE, 3), dtype=np.uint8)
            lines = []
            for _ in range(chance.integers(1, 4)):
                width, height = chance.integers(30, 50), chance.integers(24, 40)
                x, y = chance.integers(0, SIZE - width), chance.integers(0, SIZE - height)
                plate_width, plate_height = chance.integers(10, 16), chance.integers(5, 8)
                plate_x = x + chance.integers(0, width - plate_width)
                plate_y = y + chance.integers(0, height - plate_height)
                paint(canvas, (x, y, width, height), chance.integers(0, 80, 3))
                paint(canvas, (plate_x, plate_y, plate_width, plate_height), np.array([250, 250, 250]))
                lines += [row(0, plate_x, plate_y, plate_width, plate_height), row(1, x, y, width, height)]
            cv2.imwrite(str(root / "images" / split / f"{index:03d}.png"), canvas)
            (root / "labels" / split / f"{index:03d}.txt").write_text("".join(lines))
    settings = {"path": str(root), "train": "images/train", "val": "images/val", "names": ["plate", "vehicle"]}
    settings |= {"relations": [{"child": "plate", "parent": "vehicle"}]} | keys
    (root / "data.yaml").write_text(yaml.safe_dump(settings))
    return root / "data.yaml"


def paint(canvas: np.ndarray, box: tuple[int, int, int, int], colour: np.ndarray) -> None:
    x, y, width, height = (int(each) for each in box)
    canvas[y : y + height, x : x + width] = colour


def row(label: int, x: float, y: float, width: float, height: float) -> str:
    return (
        f"{label} {(x + width / 2) / SIZE:.6f} {(y + height / 2) / SIZE:.6f} {width / SIZE:.6f} {height / SIZE:.6f}\n"
    )


def results(run: Path) -> list[dict[str, str]]:
    with (run / "results.csv").open() as file:
        return list(csv.DictReader(file))


DETR = """nc: 2
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [24, 3, 2]]
head:
  - [[2, 3], 1, RTDETRDecoder, [nc, 32, 20, 2, 2, 3, 64]]
"""
"""A network of the RT-DETR kind: 20 queries, three decoder layers."""


def settings(data: Path, out: Path, model: Any, **others: Any) -> TrainSettings:
    """A training of two epochs."""
    given: dict[str, Any] = {"imgsz": SIZE, "epochs": 2, "batch": 4, "workers": 0, "overrides": FAST, **others}
    return TrainSettings(str(model), data, (Relation("plate", "vehicle"),), out, **given)


def batch(size: int = SIZE) -> dict[str, Any]:
    """Two pictures: plates partly outside their vehicles, one vehicle without a plate, one plate without a vehicle."""
    torch.manual_seed(1)
    table = torch.tensor(
        [
            (0, 0, 0.30, 0.30, 0.20, 0.12),
            (0, 1, 0.40, 0.40, 0.30, 0.30),
            (0, 0, 0.80, 0.80, 0.20, 0.12),
            (1, 1, 0.50, 0.50, 0.60, 0.60),
            (1, 0, 0.55, 0.25, 0.25, 0.16),
            (1, 1, 0.20, 0.80, 0.20, 0.20),
        ]
    )
    return {
        "img": torch.rand(2, 3, size, size),
        "batch_idx": table[:, 0],
        "cls": table[:, 1:2],
        "bboxes": table[:, 2:],
        PARENT: torch.tensor([1, -1, -1, -1, 3, -1]),
    }
