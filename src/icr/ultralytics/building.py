# SPDX-License-Identifier: AGPL-3.0-only
"""Build any detector of this engine by its name, with new weights."""

from __future__ import annotations

from typing import Any

from ultralytics.nn.tasks import DetectionModel, RTDETRDetectionModel

from icr.ultralytics import architectures


def build(name: str, nc: int) -> Any:
    """Build a detector for `nc` classes.

    Args:
        name: of the registry: one of Ultralytics' own or of `icr.ultralytics.architectures`.

    Example:
        >>> sum(each.numel() for each in build("yolo11n", 2).parameters())
        2590230
    """
    architecture = architectures.find(name)
    if architecture is not None:
        return architecture.build(nc)
    kind = RTDETRDetectionModel if name.startswith("rtdetr") else DetectionModel
    return kind(f"{name}.yaml", nc=nc, verbose=False)
