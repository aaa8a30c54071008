"""The relational loss with its parts: base loss, containment, factor."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from icr.boxes import compare, containment, prepare, share_inside
from icr.losses.controls import dealt_out
from icr.losses.forms import FORMS, WEIGHT, check_form
from icr.losses.plain import check_boxes, full_precision
from icr.losses.registry import BaseLoss, get


class Terms(NamedTuple):
    """An ICR loss with what it is made of, each ``(...)``."""

    loss: Tensor
    """What :func:`icr.icr_loss` returns, with gradient."""
    base: Tensor
    """The base loss, with gradient."""
    containment: Tensor
    """R without gradient; 1 where there is no parent."""

    @property
    def factor(self) -> Tensor:
        """How many times its base loss each pair has, without gradient; 1 for a perfect box."""
        base, loss = self.base.detach(), self.loss.detach()
        return torch.where(base == 0, 1.0, loss / base)


def icr_terms(
    pred: Tensor,
    target: Tensor,
    parent: Tensor,
    *,
    base: str | BaseLoss = "ciou",
    weight: float | Tensor = WEIGHT,
    form: str = "product",
    has_parent: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Terms:
    """Compute :func:`icr.icr_loss` and keep its parts, so that a trainer can log them at no cost.

    Arguments, numerics and errors are those of :func:`icr.icr_loss`; see :class:`Terms` for the result.

    Example:
        >>> pred, target = torch.tensor([[25.0, 10.0, 35.0, 14.0]]), torch.tensor([[15.0, 10.0, 25.0, 14.0]])
        >>> terms = icr_terms(pred, target, torch.tensor([[0.0, 0.0, 30.0, 30.0]]), base="iou")
        >>> terms.containment, terms.factor
        (tensor([0.5000]), tensor([2.2500]))
    """
    compute_base = get(base)
    check_form(form, weight, generator)
    check_boxes(has_parent, pred=pred, target=target, parent=parent)
    with full_precision(pred):
        pred, target, parent = prepare(pred, target, parent.detach())
        if has_parent is not None:
            # what stands in for a missing parent may be NaN, which would reach the gradient even through torch.where
            parent = torch.where(has_parent.unsqueeze(-1), parent, pred.detach())
        formula = getattr(compute_base, "of_comparison", None)
        if formula is None:
            base_loss, inside = compute_base(pred, target), containment(pred, parent)
        else:
            pair = compare(pred, target)
            base_loss, inside = formula(pair), share_inside(pair.first, pair.area, parent)
        if form == "permuted":
            loss = base_loss * dealt_out(1 + weight * (1 - inside.detach()), has_parent, generator)
        else:
            loss = FORMS[form](base_loss, inside, weight)
        inside = inside.detach()
        if has_parent is not None:
            loss = torch.where(has_parent, loss, base_loss)
            inside = torch.where(has_parent, inside, 1.0)
        return Terms(loss, base_loss, inside)
