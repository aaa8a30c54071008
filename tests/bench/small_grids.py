"""A small grid on generated scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from icr.bench.grid import Grid, read

SCENES = {"preset": "close", "size": [160, 120], "train": 3, "val": 2, "test": 4}


def small_grid(**entries: Any) -> Grid:
    """A grid of a network that nobody trains."""
    content = {
        "name": "small",
        "data": {"scenes": {"synth": SCENES}},
        "models": ["yolo11n"],
        "seeds": 2,
        "train": {"imgsz": 64, "epochs": 2, "batch": 2, "workers": 0},
    }
    return read({**content, **entries}, "small", Path.cwd())
