# SPDX-License-Identifier: AGPL-3.0-only
"""Ultralytics' DETR criterion with another IoU term, and with the ICR loss in it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from ultralytics.models.utils.loss import RTDETRDetectionLoss
from ultralytics.utils.ops import xywh2xyxy

from icr.losses import Terms, box_loss
from icr.relations import match_parents
from icr.ultralytics.dataset import PARENT
from icr.ultralytics.detr.settings import DetrSettings
from icr.ultralytics.pairs import slots
from icr.ultralytics.settings import BoxLoss

STOCK = "giou"
"""The IoU term that Ultralytics computes itself."""


class DETRCriterion(RTDETRDetectionLoss):
    """`RTDETRDetectionLoss` whose IoU term has any base and is the ICR loss where it is asked to act.

    Matching (by plain GIoU), L1 and class terms are untouched. With base `giou` the stock term stays and only the
    difference that ICR makes is added to it, so a weight of 0 adds exactly 0 to value and gradient. Boxes are compared
    in pixels of the network's input, in float32 whatever autocast says.

    Args:
        nc: the number of classes.
        own: the base where there is no ICR.
        box: base, form and relations of the ICR loss; None leaves ICR out.
        settings: where ICR acts, and the class loss.

    Attributes:
        items: `icr_pairs`, `icr_containment`, `icr_factor` of the last decoder layer; empty without ICR.
    """

    def __init__(self, nc: int, own: str, box: BoxLoss | None, settings: DetrSettings) -> None:
        gains = {"class": 1.0, "bbox": 5.0, "giou": settings.giou_gain}
        super().__init__(nc, gains, use_vfl=True, gamma=settings.vfl_gamma, alpha=settings.vfl_alpha)
        self.own, self.box, self.terms = own, box, settings.icr_terms
        self.weights = torch.zeros(nc)
        for relation in () if box is None else box.relations:
            self.weights[relation.child] = relation.weight
        self.previous = {"icr_containment": torch.ones(()), "icr_factor": torch.ones(())}
        self.items: dict[str, Tensor] = {}

    def see(self, batch: dict[str, Any]) -> None:
        """Take the pairs of the batch that comes next; Ultralytics hands a criterion boxes and classes alone."""
        image = batch["img"]
        height, width = image.shape[-2:]
        self.size = torch.tensor([width, height, width, height], device=image.device, dtype=torch.float32)
        if self.box is None:
            return
        self.weights = self.weights.to(image.device)
        boxes = xywh2xyxy(batch["bboxes"].to(image.device).float()) * self.size
        stated = batch.get(PARENT)
        parents = self._by_geometry(batch, boxes) if stated is None else stated.to(image.device)
        self.has_parent = parents >= 0
        self.parents = self.box.held_to(boxes, boxes[parents.clamp(min=0)])
        self.previous = {name: each.to(image.device) for name, each in self.previous.items()}
        self.items = {"icr_pairs": self.has_parent.sum().float(), **self.previous}

    def _by_geometry(self, batch: dict[str, Any], boxes: Tensor) -> Tensor:
        assert self.box is not None
        picture = batch["batch_idx"].view(-1).to(boxes.device).long()
        if not len(boxes):
            return picture
        slot = slots(picture, len(batch["img"]))
        padded = boxes.new_zeros(len(batch["img"]), int(slot.max()) + 1, 4)
        labels = torch.full(padded.shape[:2], -1, dtype=torch.int64, device=boxes.device)
        rows = torch.zeros_like(labels)
        padded[picture, slot] = boxes
        labels[picture, slot] = batch["cls"].view(-1).to(boxes.device).long()
        rows[picture, slot] = torch.arange(len(boxes), device=boxes.device)
        found = match_parents(padded, labels, self.box.relations)[picture, slot]
        return torch.where(found >= 0, rows[picture, found.clamp(min=0)], -1)

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Compute all losses; `see` comes before."""
        self.calls = 0
        return super().forward(*args, **kwargs)

    def _term(self, postfix: str) -> str:
        """Which box loss this call is: the last layer comes first, then the encoder's queries, then layer by layer."""
        call, self.calls = self.calls, self.calls + 1
        return "denoising" if postfix else {0: "main", 1: "encoder"}.get(call, "auxiliary")

    def _get_loss(
        self,
        pred_bboxes: Tensor,
        pred_scores: Tensor,
        gt_bboxes: Tensor,
        gt_cls: Tensor,
        gt_groups: list[int],
        postfix: str = "",
        match_indices: Any = None,
    ) -> dict[str, Tensor]:
        term = self._term(postfix)
        if match_indices is None:
            match_indices = self.matcher(pred_bboxes, pred_scores, gt_bboxes, gt_cls, gt_groups)
        loss: dict[str, Tensor] = super()._get_loss(
            pred_bboxes, pred_scores, gt_bboxes, gt_cls, gt_groups, postfix=postfix, match_indices=match_indices
        )
        index, rows = self._get_index(match_indices)
        if len(rows):
            rows = rows.to(gt_bboxes.device)
            name, share = f"loss_giou{postfix}", self.loss_gain["giou"] / len(rows)
            pred, target = (xywh2xyxy(each.float()) * self.size for each in (pred_bboxes[index], gt_bboxes[rows]))
            loss[name] = self._iou_term(loss[name], share, pred, target, rows, gt_cls[rows], term)
        return loss

    def _iou_term(
        self, stock: Tensor, share: float, pred: Tensor, target: Tensor, rows: Tensor, classes: Tensor, term: str
    ) -> Tensor:
        base = self.own if self.box is None else self.box.base
        if self.box is None or term not in self.terms:
            return stock if base == STOCK else box_loss(pred, target, base=base).sum() * share
        terms = self.box.terms(pred, target, self.parents[rows], self.weights[classes], self.has_parent[rows])
        if term == "main":
            self._report(terms, self.has_parent[rows])
        return stock + (terms.loss - terms.base).sum() * share if base == STOCK else terms.loss.sum() * share

    def _report(self, terms: Terms, paired: Tensor) -> None:
        pairs = paired.sum()
        for name, values in (("icr_containment", terms.containment), ("icr_factor", terms.factor)):
            mean = torch.where(paired, values.detach(), 0.0).sum() / pairs.clamp(min=1)
            # A batch without a pair repeats the batch before, so that it does not pull the mean of the epoch.
            self.previous[name] = torch.where(pairs > 0, mean, self.previous[name])
        self.items.update(self.previous)
