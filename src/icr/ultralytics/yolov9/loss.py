# SPDX-License-Identifier: AGPL-3.0-only
"""YOLOv9's criterion: the same loss on both branches, each with an assignment of its own."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from ultralytics.utils.loss import v8DetectionLoss

from icr.ultralytics.loss import DetectionLoss

AUXILIARY = 0.25
"""Share of the auxiliary branch's loss in the total; the main branch has 1."""


class DualLoss:
    """0.25 · auxiliary + main, for box, class and DFL terms alike; ICR acts in both where the model has it.

    Each branch is assigned by its own predictions: 10 candidates a box, alpha 0.5, beta 6. In evaluation mode the
    model gives the main branch alone, and so does this. The reported items are the main branch's, in training and in
    validation, so that the two can be compared.

    Args:
        model: a `YOLOv9` with `args`; its `icr` (None: off) is the box loss of both branches.
    """

    def __init__(self, model: Any) -> None:
        make = v8DetectionLoss if getattr(model, "icr", None) is None else DetectionLoss
        self.main, self.auxiliary = make(model), make(model)

    @property
    def branches(self) -> tuple[v8DetectionLoss, v8DetectionLoss]:
        """The criteria of the main and of the auxiliary branch."""
        return self.main, self.auxiliary

    def __call__(self, preds: Any, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss (3,): box, class and DFL terms, gains applied, times the batch size; and its items."""
        preds = self.main.parse_output(preds)
        total, items = self.main.loss(preds, batch)
        if "aux" in preds:
            total = total + AUXILIARY * self.auxiliary.loss(preds["aux"], batch)[0]
        return total, items
