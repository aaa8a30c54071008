# SPDX-License-Identifier: AGPL-3.0-only
"""Ultralytics' detection criterion with the ICR loss in its box term, and the model that brings the criterion along."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import E2ELoss, v8DetectionLoss

from icr.losses import Terms
from icr.relations import match_parents
from icr.ultralytics.dataset import PARENT
from icr.ultralytics.pairs import padded_parents, slots
from icr.ultralytics.settings import BoxLoss

COLUMNS = ("icr_pairs", "icr_containment", "icr_factor")
"""What the criterion adds to `results.csv`: pairs in the batch; mean R and mean factor over their assigned anchors."""


class DetectionLoss(v8DetectionLoss):
    """`v8DetectionLoss` whose IoU term is the ICR loss; assignment, class, DFL and L1 terms are untouched.

    Two forward hooks do it: one on the assigner, which tells the ground truth of each anchor, one on the box loss,
    which returns the altered term. With base `ciou` the stock term stays and only the difference that ICR makes is
    added to it, so a weight of 0 adds exactly 0 to value and gradient. Boxes are compared in pixels of the network's
    input, in float32 whatever autocast says.
    """

    def __init__(self, model: Any, tal_topk: int = 10, tal_topk2: int | None = None) -> None:
        super().__init__(model, tal_topk, tal_topk2)
        self.box: BoxLoss = model.icr
        self.weights = torch.zeros(self.nc, device=self.device)
        for relation in self.box.relations:
            self.weights[relation.child] = relation.weight
        self.last = {"icr_containment": self.weights.new_ones(()), "icr_factor": self.weights.new_ones(())}
        self.items: dict[str, Tensor] = {}
        # Bound methods: a copy of the criterion (the EMA model's, a checkpoint's) gets hooks on itself.
        self.assigner.register_forward_hook(self._keep_assignment)
        self.bbox_loss.register_forward_hook(self._alter)

    def loss(self, preds: dict[str, Tensor], batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss as Ultralytics does, and report `COLUMNS` beside its items."""
        self._batch = batch
        total, items = super().loss(preds, batch)
        del self._batch, self._family
        return total, {**items, **self.items}

    def _keep_assignment(self, assigner: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        boxes = inputs[4]
        pictures, most = boxes.shape[:2]
        picture = self._batch["batch_idx"].view(-1).to(boxes.device).long()
        classes = self._batch["cls"].view(-1).to(boxes.device).long()
        parent = self._batch.get(PARENT)
        if parent is None:
            padded = self._by_geometry(boxes, picture, classes)
        else:
            padded = padded_parents(picture, parent.to(boxes.device), pictures, most)
        weight = boxes.new_zeros(pictures, most)
        weight[picture, slots(picture, pictures)] = self.weights.to(boxes)[classes]
        at = padded.clamp(min=0).unsqueeze(-1).expand(-1, -1, 4)
        held_to = self.box.held_to(boxes, boxes.gather(1, at))
        self._family = output[4].long(), held_to, padded >= 0, weight

    def _by_geometry(self, boxes: Tensor, picture: Tensor, classes: Tensor) -> Tensor:
        labels = torch.full(boxes.shape[:2], -1, dtype=torch.int64, device=boxes.device)
        labels[picture, slots(picture, len(boxes))] = classes
        return match_parents(boxes, labels, self.box.relations)

    def _alter(self, module: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        _, pred, _, target, target_scores, target_scores_sum, foreground, _, stride = inputs
        loss_iou, other = output
        ground_truth, parents, has, weights = self._family
        picture, anchor = foreground.nonzero(as_tuple=True)
        if parents.shape[1] == 0:
            self.items = {"icr_pairs": loss_iou.new_zeros(()), **self.last}
            return output
        row = ground_truth[picture, anchor]
        pixels = stride[anchor].float()
        paired = has[picture, row]
        terms = self.box.terms(
            pred[picture, anchor].float() * pixels,
            target[picture, anchor].float() * pixels,
            parents[picture, row],
            weights[picture, row],
            paired,
        )
        self._report(terms, paired, has)
        share = target_scores[picture, anchor].sum(-1)
        if self.box.base == "ciou":
            loss_iou = loss_iou + ((terms.loss - terms.base) * share).sum() / target_scores_sum
        else:
            loss_iou = (terms.loss * share).sum() / target_scores_sum
        return loss_iou, other

    def _report(self, terms: Terms, paired: Tensor, has: Tensor) -> None:
        anchors = paired.sum()
        seen = {"icr_containment": terms.containment, "icr_factor": terms.factor}
        for name, values in seen.items():
            mean = torch.where(paired, values.detach(), 0.0).sum() / anchors.clamp(min=1)
            # A batch without a pair repeats the batch before, so that it does not pull the mean of the epoch.
            self.last[name] = torch.where(anchors > 0, mean, self.last[name])
        self.items = {"icr_pairs": has.sum().float(), **self.last}


def branches(criterion: Any) -> tuple[Any, ...]:
    """The single criteria that a criterion is made of: those of both heads where there are two, or itself."""
    if isinstance(criterion, E2ELoss):
        return criterion.one2many, criterion.one2one
    return getattr(criterion, "branches", (criterion,))


Criterion = TypeVar("Criterion")


def settle_assigners(criterion: Criterion, enlarge_tiny: bool) -> Criterion:
    """Have the assigners of a criterion enlarge tiny boxes, as Ultralytics does since 8.4, or not.

    Args:
        enlarge_tiny: True lets a box with a side below 16 px draw its candidates from 16 px about its centre; False
            takes only places inside the box itself, as YOLOv9's original and Ultralytics before 8.4 do.
    """
    if not enlarge_tiny:
        for branch in branches(criterion):
            # Sides below the second stride (in some versions the first) are raised to it; none is below 0.
            branch.assigner.stride, branch.assigner.stride_val = [0.0] * len(branch.assigner.stride), 0.0
    return criterion


class RelatedModel(DetectionModel):
    """`DetectionModel` that makes the criterion above, wherever a criterion is made: in training, in the EMA copy that
    is validated, after a resume. It adds no weights; `icr` holds the settings of its box loss, None for Ultralytics'
    own, and `enlarge_tiny` is as in `settle_assigners`.
    """

    icr: BoxLoss | None
    icr_record: dict[str, Any] | None
    enlarge_tiny: bool

    def init_criterion(self) -> Any:
        """Make the criterion, for both branches of an end-to-end head."""
        stock = super().init_criterion()
        if self.icr is None:
            return settle_assigners(stock, self.enlarge_tiny)
        made = E2ELoss(self, loss_fn=DetectionLoss) if isinstance(stock, E2ELoss) else DetectionLoss(self)
        return settle_assigners(made, self.enlarge_tiny)


def related(model: DetectionModel, box: BoxLoss | None, enlarge_tiny: bool = True) -> RelatedModel:
    """Make a stock model a `RelatedModel` in place."""
    model.__class__ = RelatedModel
    model.icr = box
    model.enlarge_tiny = enlarge_tiny
    return model


@contextmanager
def stock_form(model: DetectionModel) -> Iterator[None]:
    """Make the model Ultralytics' own while it is saved, so that its file loads where this package is not installed."""
    if not isinstance(model, RelatedModel):
        yield
        return
    box = model.icr
    model.__class__ = DetectionModel
    del model.icr
    model.icr_record = None if box is None else box.record()
    try:
        yield
    finally:
        related(model, box, model.enlarge_tiny)
