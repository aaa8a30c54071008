# SPDX-License-Identifier: AGPL-3.0-only
"""A dozen generated pictures, two tiny networks, and one short training of each kind that many tests look at."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

os.environ.setdefault("YOLO_OFFLINE", "1")

# This folder is not called `ultralytics`: lying on the path, it would pass for that package where it is not installed.
if find_spec("ultralytics") is None:
    collect_ignore_glob = ["*.py"]
else:
    from tiny_scenes import NET, SIZE, write_set


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `data.yaml` of 12 pictures for training and 4 for validation."""
    return write_set(tmp_path_factory.mktemp("scenes"), {"train": 12, "val": 4})


@pytest.fixture(scope="session")
def nets(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Plans of two tiny networks: one with DFL and NMS, one end to end with two branches, as YOLO26."""
    folder = tmp_path_factory.mktemp("nets")
    (folder / "plain.yaml").write_text(NET)
    (folder / "end2end.yaml").write_text(f"end2end: True\nreg_max: 1\n{NET}")
    return SimpleNamespace(plain=folder / "plain.yaml", end2end=folder / "end2end.yaml")


@pytest.fixture(scope="session")
def arguments(scenes: Path) -> Callable[..., dict[str, Any]]:
    """Ultralytics' settings of a training of two epochs, with every augmentation that mixes pictures."""

    def settings(out: Path, **others: Any) -> dict[str, Any]:
        return {
            "data": str(scenes),
            "epochs": 2,
            "imgsz": SIZE,
            "batch": 4,
            "device": "cpu",
            "workers": 0,
            "plots": False,
            "optimizer": "AdamW",
            "lr0": 0.01,
            "nbs": 4,
            "warmup_epochs": 0,
            "close_mosaic": 0,
            "mosaic": 0.7,
            "mixup": 0.5,
            "cutmix": 0.5,
            "degrees": 5.0,
            "project": str(out.parent),
            "name": out.name,
            "exist_ok": True,
            **others,
        }

    return settings


@pytest.fixture(scope="session")
def trained(
    tmp_path_factory: pytest.TempPathFactory, nets: SimpleNamespace, arguments: Callable[..., dict[str, Any]]
) -> Callable[..., Path]:
    """Train once for each kind of trainer, and give the run folder."""
    from ultralytics.models.yolo.detect import DetectionTrainer as Stock

    from icr.ultralytics import trainer

    kinds = {
        "stock": lambda: Stock,
        "off": lambda: trainer(enabled=False),
        "weight 0": lambda: trainer(weight=0.0),
        "icr": trainer,
    }
    runs: dict[tuple[str, str], Path] = {}

    def run(kind: str, net: str = "plain") -> Path:
        if (kind, net) not in runs:
            out = tmp_path_factory.mktemp("runs") / f"{kind}-{net}".replace(" ", "-")
            kinds[kind]()(overrides=arguments(out, model=str(getattr(nets, net)))).train()
            runs[kind, net] = out
        return runs[kind, net]

    return run
