"""The Inter-Class Relational loss, eq. 1 to 3: a box loss that grows as a predicted child leaves its parent.

What it is in each form stands in :mod:`icr.losses.forms`.

**A reading.** The equations' images are lost from the paper's text at hand (Ning and Han, arXiv 2508.14343); eq. 1 to 3
are this project's reading of the words around them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from icr.losses.forms import WEIGHT, check_form
from icr.losses.plain import check_reduction, reduced
from icr.losses.registry import BaseLoss, get
from icr.losses.terms import icr_terms


def icr_loss(
    pred: Tensor,
    target: Tensor,
    parent: Tensor,
    *,
    base: str | BaseLoss = "ciou",
    weight: float | Tensor = WEIGHT,
    form: str = "product",
    has_parent: Tensor | None = None,
    reduction: str = "none",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Box loss that grows as a predicted child leaves its parent: eq. 3 of the ICR paper, as this project reads it.

    Args:
        pred: predicted child boxes ``(..., 4)``, xyxy, any unit (base ``nwd``: pixels).
        target: their targets, same unit, broadcast with ``pred``.
        parent: ground-truth box of each child's parent, same unit; a constant, no gradient flows to it.
        base: name or callable, as in :func:`icr.box_loss`.
        weight: λ, 0 or more; a number, or a tensor that broadcasts with the pairs ``(...)``.
        form: ``product``, ``sum``, ``step``, ``power``, or a control: ``detached``, ``matched``, ``permuted``.
        has_parent: bool ``(...)``; where False the loss is the base loss unchanged and ``parent`` may hold anything.
        reduction: ``"none"`` for one loss per pair ``(...)``, ``"mean"`` or ``"sum"``.
        generator: source of chance for ``permuted`` alone, which needs it, so that the global one is left alone.

    Returns:
        The loss, with the numerics of :func:`icr.box_loss`. Gradient reaches ``pred`` through base loss and containment
        (``step`` and the controls: through the base loss alone).

    Raises:
        InputError: unknown base, form or reduction, a weight that is negative or no number, boxes that are no tensors,
            or shapes that do not pair up.

    Example:
        >>> from icr import box_loss
        >>> pred, target = torch.tensor([[25.0, 10.0, 35.0, 14.0]]), torch.tensor([[15.0, 10.0, 25.0, 14.0]])
        >>> vehicle = torch.tensor([[0.0, 0.0, 30.0, 30.0]])
        >>> box_loss(pred, target, base="iou"), icr_loss(pred, target, vehicle, base="iou")  # half outside: 1 + 2.5 / 2
        (tensor([1.]), tensor([2.2500]))
    """
    terms = icr_terms(
        pred, target, parent, base=base, weight=weight, form=form, has_parent=has_parent, generator=generator
    )
    return reduced(terms.loss, reduction)


class ICRLoss(nn.Module):
    """:func:`icr_loss` as a module with its settings fixed.

    Example:
        >>> criterion = ICRLoss(base="iou")
        >>> pred, target = torch.tensor([[25.0, 10.0, 35.0, 14.0]]), torch.tensor([[15.0, 10.0, 25.0, 14.0]])
        >>> criterion(pred, target, torch.tensor([[0.0, 0.0, 30.0, 30.0]]))
        tensor(2.2500)
        >>> criterion
        ICRLoss(base='iou', weight=2.5, form='product', reduction='mean')
    """

    def __init__(
        self,
        base: str | BaseLoss = "ciou",
        weight: float = WEIGHT,
        form: str = "product",
        reduction: str = "mean",
        generator: torch.Generator | None = None,
    ) -> None:
        """Check the settings now, so that a mistyped name fails before training.

        Raises:
            InputError: unknown base, form or reduction, or a negative weight.
        """
        super().__init__()
        get(base)
        check_form(form, weight, generator)
        check_reduction(reduction)
        self.base, self.weight, self.form, self.reduction, self.generator = base, weight, form, reduction, generator

    def forward(self, pred: Tensor, target: Tensor, parent: Tensor, has_parent: Tensor | None = None) -> Tensor:
        """Boxes as in :func:`icr_loss`."""
        return icr_loss(
            pred,
            target,
            parent,
            base=self.base,
            weight=self.weight,
            form=self.form,
            has_parent=has_parent,
            reduction=self.reduction,
            generator=self.generator,
        )

    def extra_repr(self) -> str:
        """Name the settings."""
        return f"base={self.base!r}, weight={self.weight}, form={self.form!r}, reduction={self.reduction!r}"
