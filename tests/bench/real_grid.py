"""A grid of real trainings, as small as they can be: the demo's network on a few small pictures."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import yaml

TRAIN_SETTINGS = {"imgsz": 96, "epochs": 3, "batch": 8, "workers": 0, "overrides": {"plots": False, "nbs": 8}}


def write_grid(folder: Path, **entries: object) -> Path:
    """Write the grid's file; returns it."""
    content = {
        "data": {"scenes": {"synth": {"preset": "close", "size": [160, 128], "train": 16, "val": 4, "test": 6}}},
        "models": {"small": str(files("icr.demo") / "small.yaml")},
        "arms": ["baseline", "icr"],
        "seeds": 1,
        "train": TRAIN_SETTINGS,
    }
    file = folder / "tiny.yaml"
    file.write_text(yaml.safe_dump({**content, **entries}))
    return file
