# SPDX-License-Identifier: AGPL-3.0-only
"""Train Ultralytics' detectors with the ICR loss: YOLOv8, v9, v10, 11, 12 and 26, and RT-DETR.

This room subclasses AGPL-3.0 code and is under that licence itself; the rest of the package does not import it. Its
names load on first use, so that the engine can settle how Ultralytics behaves before Ultralytics is imported.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from icr.ultralytics.detr.trainer import DETRTrainer
    from icr.ultralytics.training import DetectionTrainer, trainer

__all__ = ["DETRTrainer", "DetectionTrainer", "trainer"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        place = "detr.trainer" if name == "DETRTrainer" else "training"
        return getattr(importlib.import_module(f"icr.ultralytics.{place}"), name)
    raise AttributeError(f"module 'icr.ultralytics' has no attribute {name!r}")
