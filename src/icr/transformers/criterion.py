"""Transformers' criterions with ICR in their one box term; matching, class, L1 and FGL/DDF terms are untouched."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from transformers.loss.loss_d_fine import DFineForObjectDetectionLoss, DFineLoss
from transformers.loss.loss_deimv2 import Deimv2ForObjectDetectionLoss, Deimv2Loss
from transformers.loss.loss_lw_detr import LwDetrForObjectDetectionLoss, LwDetrImageLoss
from transformers.loss.loss_rt_detr import RTDetrForObjectDetectionLoss, RTDetrLoss

from icr.transformers.truth import Indices, Labels

if TYPE_CHECKING:
    from icr.transformers.loss import LossFunction

PARTS = ("main", "auxiliary", "encoder", "denoising")
"""Where a detector of this kind computes its box loss: last decoder layer, earlier ones, encoder output, denoising."""


class RelationalBoxes:
    """Mixed into a criterion of Transformers: computes its box term pair by pair, with ICR.

    Upstream builds all N·N GIoUs of the matched boxes and keeps the diagonal; here only the N pairs are computed.
    """

    icr: LossFunction
    """Set by whoever makes the criterion."""

    def forward(self, outputs: dict[str, Any], targets: Labels) -> dict[str, Tensor]:
        """Find the parents once for all parts, then go on as upstream does."""
        self._parts = parts(outputs)
        self._truth = self.icr.truth(targets)
        self._share = self.icr.share_of_rank(targets)
        return super().forward(outputs, targets)  # type: ignore[misc, no-any-return]

    def get_loss(
        self, loss: str, outputs: dict[str, Any], targets: Labels, indices: Indices, num_boxes: float
    ) -> dict[str, Tensor]:
        """Dispatch as upstream does, normalised by the mean number of boxes of a rank where that was asked for."""
        return super().get_loss(loss, outputs, targets, indices, num_boxes * self._share)  # type: ignore[misc, no-any-return]

    def loss_boxes(
        self, outputs: dict[str, Any], targets: Labels, indices: Indices, num_boxes: float
    ) -> dict[str, Tensor]:
        """L1 as upstream has it, and the IoU term, which keeps its name `loss_giou` whatever the base."""
        pred = outputs["pred_boxes"][self._get_source_permutation_idx(indices)]  # type: ignore[attr-defined]
        rows = self._truth.rows(indices)
        l1 = functional.l1_loss(pred, self._truth.boxes[rows], reduction="none")
        iou = self.icr.box_term(pred, self._truth, rows, self._parts[id(outputs)])
        return {"loss_bbox": l1.sum() / num_boxes, "loss_giou": iou.sum() / num_boxes}


def parts(outputs: dict[str, Any]) -> dict[int, str]:
    """Tell which part each of the dicts is that upstream hands to `loss_boxes`, by the dict's identity.

    RT-DETR and its kin append the encoder's output to the auxiliary layers; LW-DETR and RF-DETR keep it apart.
    """
    auxiliary = list(outputs.get("auxiliary_outputs") or ())
    encoder = [outputs["enc_outputs"]] if "enc_outputs" in outputs else auxiliary[-1:]
    groups = {
        "auxiliary": auxiliary,
        "encoder": encoder,
        "denoising": outputs.get("dn_auxiliary_outputs") or (),
        "main": [outputs],
    }
    return {id(each): part for part, group in groups.items() for each in group}


class RelationalRTDetrLoss(RelationalBoxes, RTDetrLoss):
    """RT-DETR's and RT-DETRv2's."""


class RelationalDFineLoss(RelationalBoxes, DFineLoss):
    """D-FINE's; its local terms (FGL, DDF) stay as they are."""


class RelationalDeimv2Loss(RelationalBoxes, Deimv2Loss):
    """DEIMv2's."""


class RelationalLwDetrLoss(RelationalBoxes, LwDetrImageLoss):
    """LW-DETR's and RF-DETR's."""


class Family(NamedTuple):
    """How a kind of detector computes its loss."""

    driver: Callable[..., tuple[Tensor, dict[str, Tensor], Any]]
    """What upstream puts in `model.loss_function`: it sorts the outputs and calls the criterion."""
    stock: type
    """The criterion that the driver makes."""
    relational: type
    """What it makes here."""


_RT_DETR = Family(RTDetrForObjectDetectionLoss, RTDetrLoss, RelationalRTDetrLoss)
_LW_DETR = Family(LwDetrForObjectDetectionLoss, LwDetrImageLoss, RelationalLwDetrLoss)

FAMILIES = {
    "rt_detr": _RT_DETR,
    "rt_detr_v2": _RT_DETR,
    "d_fine": Family(DFineForObjectDetectionLoss, DFineLoss, RelationalDFineLoss),
    "deimv2": Family(Deimv2ForObjectDetectionLoss, Deimv2Loss, RelationalDeimv2Loss),
    "lw_detr": _LW_DETR,
    "rf_detr": _LW_DETR,
}
"""By `config.model_type`. The class's name, which upstream goes by, says less: a subclass called otherwise silently
gets the loss of a language model."""


def run(family: Family, icr: LossFunction, *args: Any, **kwargs: Any) -> tuple[Tensor, dict[str, Tensor], Any]:
    """Call upstream's driver, which makes our criterion where it would make its own."""

    def make(*given: Any, **named: Any) -> Any:
        criterion = family.relational(*given, **named)
        criterion.icr = icr
        return criterion

    return rebound(family.driver, {family.stock.__name__: make})(*args, **kwargs)


def rebound(function: Callable[..., Any], names: dict[str, Any]) -> Callable[..., Any]:
    """Copy a function so that some global names mean something else in the copy; the original stays untouched.

    The driver is upstream's own in whatever release is installed, so that what it mends or adds is here as well.

    Raises:
        RuntimeError: the function does not use one of the names.
    """
    assert isinstance(function, FunctionType)
    absent = set(names) - set(function.__code__.co_names)
    if absent:
        raise RuntimeError(f"{function.__module__}.{function.__name__} no longer uses {', '.join(sorted(absent))}")
    copy = FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def world_mean(count: int, device: torch.device) -> float:
    """Mean of a number over the ranks of a distributed training; the number itself where there is only one."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return float(count)
    total = torch.tensor(float(count), device=device)
    distributed.all_reduce(total)
    return float(total) / distributed.get_world_size()
