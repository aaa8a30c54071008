# SPDX-License-Identifier: AGPL-3.0-only
"""The trainer of architectures that are none of Ultralytics' own and that are trained as its detectors are."""

from __future__ import annotations

from typing import Any

from icr.ultralytics import architectures
from icr.ultralytics.tensor_checkpoints import TensorCheckpoints
from icr.ultralytics.training import DetectionTrainer


class ArchitectureTrainer(TensorCheckpoints, DetectionTrainer):
    """`DetectionTrainer` for the architectures in `icr.ultralytics.architectures`, by their names.

    Example:
        >>> overrides = {"model": "yolov9-t", "data": "data.yaml", "epochs": 100}
        >>> trainer(relations=["plate:vehicle"], of=ArchitectureTrainer)(overrides=overrides).train()  # doctest: +SKIP
    """

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
        """Build the architecture, and have it make our criterion."""
        model = architectures.build(cfg, self.data, weights)
        model.icr = self._box
        model.enlarge_tiny = self.loss_record()["enlarge_tiny"]
        return model

    def loss_record(self) -> dict[str, Any]:
        """As `DetectionTrainer.loss_record`; what is not said of tiny boxes is as the architecture has it."""
        said = self.architecture.enlarge_tiny if self.enlarge_tiny is None else self.enlarge_tiny
        return {**super().loss_record(), "enlarge_tiny": said}
