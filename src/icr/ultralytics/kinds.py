# SPDX-License-Identifier: AGPL-3.0-only
"""Which trainer a detector has."""

from __future__ import annotations

from icr.ultralytics import architectures
from icr.ultralytics.training import DetectionTrainer
from icr.ultralytics.weights import head_of


def kind_of(model: str, trust: bool = False) -> type[DetectionTrainer]:
    """The trainer class of a detector."""
    architecture = architectures.of(model)
    if architecture is None:
        if head_of(model, trust) != "RTDETRDecoder":
            return DetectionTrainer
        from icr.ultralytics.detr.trainer import DETRTrainer

        return DETRTrainer
    if architecture.trainer == "detr":
        from icr.ultralytics.detr.trainer import DETRArchitectureTrainer

        return DETRArchitectureTrainer
    from icr.ultralytics.architecture_trainer import ArchitectureTrainer

    return ArchitectureTrainer
