"""Generated pictures of a few pixels, and a detector of a few thousand weights: enough to train for a second."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageDraw

SIZE = 96
NAMES = ["plate", "vehicle"]
TINY: dict[str, Any] = {
    "queries": 20,
    "denoising": 8,
    "config": {
        "decoder_layers": 2,
        "d_model": 32,
        "encoder_hidden_dim": 32,
        "encoder_ffn_dim": 32,
        "decoder_ffn_dim": 32,
        "decoder_in_channels": [32, 32, 32],
        "encoder_in_channels": [16, 24, 32],
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "backbone_config": {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    },
}
"""Settings of the engine that make `rtdetrv2-r18` tiny."""


def write_pictures(root: Path, pictures: dict[str, int], seed: int = 0, empty: bool = False) -> Path:
    """Dark vehicles, most with a white plate on them, in the form that `prepare_yolo` leaves; its `data.yaml`."""
    chance = np.random.default_rng(seed)
    for split, count in pictures.items():
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            picture = Image.new("RGB", (SIZE, SIZE), tuple(int(each) for each in chance.integers(90, 140, 3)))
            draw, rows = ImageDraw.Draw(picture), []
            for _ in range(0 if empty else int(chance.integers(1, 4))):
                width, height = (int(each) for each in chance.integers(30, 60, 2))
                x, y = int(chance.integers(0, SIZE - width)), int(chance.integers(0, SIZE - height))
                draw.rectangle((x, y, x + width, y + height), fill=(20, 30, 60))
                rows.append(_row(1, x, y, width, height))
                if chance.random() < 0.8:
                    left, top = x + int(chance.integers(0, width - 14)), y + int(chance.integers(0, height - 8))
                    draw.rectangle((left, top, left + 14, top + 8), fill="white")
                    rows.append(_row(0, left, top, 14, 8))
            picture.save(root / "images" / split / f"{index:03d}.png")
            (root / "labels" / split / f"{index:03d}.txt").write_text("".join(rows))
    settings = {"path": str(root), "train": "images/train", "val": "images/val", "names": NAMES}
    settings["relations"] = [{"child": "plate", "parent": "vehicle"}]
    (root / "data.yaml").write_text(yaml.safe_dump(settings))
    return root / "data.yaml"


def _row(label: int, x: int, y: int, width: int, height: int) -> str:
    shares = ((x + width / 2) / SIZE, (y + height / 2) / SIZE, width / SIZE, height / SIZE)
    return f"{label} {' '.join(f'{share:.6f}' for share in shares)}\n"


def table(run: Path, name: str = "results.csv") -> list[dict[str, str]]:
    with (run / name).open() as file:
        return list(csv.DictReader(file))
