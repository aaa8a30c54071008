"""Box losses without a relation, and what every box loss does around its formula: check, widen, reduce."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from icr.boxes import prepare
from icr.errors import InputError, nearest
from icr.losses.registry import BaseLoss, get

_REDUCTIONS = ("none", "mean", "sum")


def box_loss(pred: Tensor, target: Tensor, base: str | BaseLoss = "ciou", reduction: str = "none") -> Tensor:
    """Any registered box loss, without a relation.

    Args:
        pred: predicted boxes ``(..., 4)``, xyxy, any unit (``nwd``: pixels).
        target: their targets, same unit, broadcast with ``pred``.
        base: a name of ``icr.losses.names()``, or modified (``inner-ciou``), or a callable ``(pred, target) -> loss``.
        reduction: ``"none"`` for one loss per pair ``(...)``, ``"mean"`` or ``"sum"``.

    Returns:
        The loss in float32 (float64 for float64 boxes) whatever autocast says; finite, with finite gradient, for every
        finite or infinite input (coordinates beyond ±1e6 are clamped). NaN in gives NaN out. The mean of no pairs is 0.

    Raises:
        InputError: unknown base or reduction, boxes that are no tensors, or shapes that do not pair up.

    Example:
        >>> box_loss(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[4.0, 0.0, 6.0, 2.0]]), base="diou")
        tensor([1.4000])
    """
    loss = get(base)
    check_boxes(pred=pred, target=target)
    with full_precision(pred):
        return reduced(loss(*prepare(pred, target)), reduction)


def full_precision(boxes: Tensor) -> AbstractContextManager[object]:
    """Keep autocast from the arithmetic of boxes, whose squares half precision cannot hold."""
    kind = boxes.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """One loss per pair ``(...)`` as it is, or their mean or sum."""
    check_reduction(reduction)
    if reduction == "none":
        return loss
    total = loss.sum()
    # of no pairs, the mean is a zero that is still connected to the graph
    return total if reduction == "sum" else total / max(loss.numel(), 1)


def check_reduction(reduction: str) -> None:
    """Refuse a reduction that does not exist."""
    if reduction not in _REDUCTIONS:
        raise InputError(
            f"unknown reduction {reduction!r}; known: {', '.join(_REDUCTIONS)}{nearest(str(reduction), _REDUCTIONS)}"
        )


def check_boxes(has_parent: Tensor | None = None, **boxes: Tensor) -> None:
    """Refuse boxes that are no tensors, naming the argument, and a mask that is not of bool."""
    for name, each in boxes.items():
        if not isinstance(each, Tensor):
            raise InputError(
                f"{name} is a {type(each).__name__}; expected a tensor of boxes (..., 4) with x1, y1, x2, y2"
            )
    if has_parent is not None and not (isinstance(has_parent, Tensor) and has_parent.dtype == torch.bool):
        found = f"{has_parent.dtype} tensor" if isinstance(has_parent, Tensor) else type(has_parent).__name__
        raise InputError(f"has_parent is a {found}; expected a tensor of bool, one per pair")
