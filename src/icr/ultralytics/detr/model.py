# SPDX-License-Identifier: AGPL-3.0-only
"""Ultralytics' RT-DETR model with our criterion, wherever a criterion is made, and with the pairs brought to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from ultralytics.nn.tasks import RTDETRDetectionModel

from icr.ultralytics.detr.criterion import STOCK, DETRCriterion
from icr.ultralytics.detr.settings import DetrSettings
from icr.ultralytics.settings import BoxLoss


class RelatedDETR(RTDETRDetectionModel):
    """`RTDETRDetectionModel` that makes our criterion: in training, in the EMA copy that is validated, after a resume.

    Attributes:
        icr: base, form and relations of the ICR loss; None leaves ICR out.
        settings: where ICR acts, and the class loss.
        own_base: the IoU term of the detector itself.
    """

    icr: BoxLoss | None = None
    icr_record: dict[str, Any] | None
    settings = DetrSettings()
    own_base = STOCK

    def init_criterion(self) -> DETRCriterion:
        """Make the criterion."""
        return DETRCriterion(self.model[-1].nc, self.own_base, self.icr, self.settings)

    def loss(self, batch: dict[str, Any], preds: Any = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss as Ultralytics does, and report the pairs beside its items."""
        if getattr(self, "criterion", None) is None:
            self.criterion = self.init_criterion()
        self.criterion.see(batch)
        total, items = super().loss(batch, preds)
        return total, {**items, **self.criterion.items}


def related(model: RTDETRDetectionModel, box: BoxLoss | None, settings: DetrSettings) -> RelatedDETR:
    """Give a model of the RT-DETR kind our criterion, in place."""
    if not isinstance(model, RelatedDETR):
        model.__class__ = RelatedDETR
    model.icr, model.settings = box, settings
    return model


@contextmanager
def stock_form(model: RelatedDETR, record: dict[str, Any]) -> Iterator[None]:
    """Make the model Ultralytics' own while it is saved, so that its file loads where this package is not installed.

    Args:
        record: what its loss is made of, which stays in the file as `icr_record`.
    """
    if type(model) is not RelatedDETR:
        yield
        return
    box, settings = model.icr, model.settings
    model.__class__ = RTDETRDetectionModel
    del model.icr, model.settings
    model.icr_record = record
    try:
        yield
    finally:
        related(model, box, settings)
