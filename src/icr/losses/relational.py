"""The Inter-Class Relational loss: eq. 1 to 3 and the controls that take it apart.

For a predicted child P, its target T and the ground-truth box V of its parent, with containment ``R = |P ∩ V| / |P|``:

==========  ==========================================  =============================================================
form        loss of a child                             what it is
==========  ==========================================  =============================================================
product     ``L·(1 + weight·(1 - R))``                  eq. 3, the default; the gradient flows through R as well
step        ``weight·L`` unless P lies inside V         eq. 1
sum         ``L + weight·(1 - R)``                      another reading of the paper's words
power       ``L·weight^(1 - R)``                        another reading
detached    as product, R without gradient              control: is it the pull into the parent, or the weight?
matched     ``weight·L``                                control: ``weight`` is the mean factor of a run with ICR
permuted    as detached, factors dealt out at random    control: must the factor belong to its own child?
==========  ==========================================  =============================================================

**A reading.** The equations' images are lost from the paper's text at hand (Ning and Han, arXiv 2508.14343); eq. 1 to 3
are this project's reading of the words around them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from numbers import Real
from typing import NamedTuple

import torch
from torch import Tensor, nn

from icr.boxes import compare, containment, prepare, share_inside
from icr.errors import InputError, nearest
from icr.losses.registry import BaseLoss, get

WEIGHT = 2.5
"""The paper's λ."""


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
    _check_boxes(pred=pred, target=target)
    with _full_precision(pred):
        return _reduced(loss(*prepare(pred, target)), reduction)


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
        base: name or callable, as in :func:`box_loss`.
        weight: λ, 0 or more; a number, or a tensor that broadcasts with the pairs ``(...)``.
        form: ``product``, ``sum``, ``step``, ``power``, or a control: ``detached``, ``matched``, ``permuted``.
        has_parent: bool ``(...)``; where False the loss is the base loss unchanged and ``parent`` may hold anything.
        reduction: ``"none"`` for one loss per pair ``(...)``, ``"mean"`` or ``"sum"``.
        generator: source of chance for ``permuted`` alone, which needs it, so that the global one is left alone.

    Returns:
        The loss, with the numerics of :func:`box_loss`. Gradient flows to ``pred`` through base loss and containment
        (``step`` and the controls: through the base loss alone).

    Raises:
        InputError: unknown base, form or reduction, a weight that is negative or no number, boxes that are no tensors,
            or shapes that do not pair up.

    Example:
        >>> pred, target = torch.tensor([[25.0, 10.0, 35.0, 14.0]]), torch.tensor([[15.0, 10.0, 25.0, 14.0]])
        >>> vehicle = torch.tensor([[0.0, 0.0, 30.0, 30.0]])
        >>> box_loss(pred, target, base="iou"), icr_loss(pred, target, vehicle, base="iou")  # half outside: 1 + 2.5 / 2
        (tensor([1.]), tensor([2.2500]))
    """
    terms = icr_terms(
        pred, target, parent, base=base, weight=weight, form=form, has_parent=has_parent, generator=generator
    )
    return _reduced(terms.loss, reduction)


class Terms(NamedTuple):
    """An ICR loss with what it is made of, each ``(...)``."""

    loss: Tensor
    """What :func:`icr_loss` returns, with gradient."""
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
    """Compute :func:`icr_loss` and keep its parts, so that a trainer can log them at no cost.

    Arguments, numerics and errors are those of :func:`icr_loss`; see :class:`Terms` for the result.

    Example:
        >>> pred, target = torch.tensor([[25.0, 10.0, 35.0, 14.0]]), torch.tensor([[15.0, 10.0, 25.0, 14.0]])
        >>> terms = icr_terms(pred, target, torch.tensor([[0.0, 0.0, 30.0, 30.0]]), base="iou")
        >>> terms.containment, terms.factor
        (tensor([0.5000]), tensor([2.2500]))
    """
    compute_base = get(base)
    _check(form, weight, generator)
    _check_boxes(has_parent, pred=pred, target=target, parent=parent)
    with _full_precision(pred):
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
            loss = base_loss * _dealt_out(1 + weight * (1 - inside.detach()), has_parent, generator)
        else:
            loss = FORMS[form](base_loss, inside, weight)
        inside = inside.detach()
        if has_parent is not None:
            loss = torch.where(has_parent, loss, base_loss)
            inside = torch.where(has_parent, inside, 1.0)
        return Terms(loss, base_loss, inside)


def containment_and_factor(
    pred: Tensor,
    parent: Tensor,
    *,
    weight: float | Tensor = WEIGHT,
    form: str = "product",
    has_parent: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Containment and factor of each pair ``(...)``, without gradient, for a log that has no targets at hand.

    The factor of ``sum`` depends on the base loss and is given for a base loss of 1; :class:`Terms` has the true one.
    ``permuted`` is given before the factors are dealt out.

    Example:
        >>> containment_and_factor(torch.tensor([[25.0, 10.0, 35.0, 14.0]]), torch.tensor([[0.0, 0.0, 30.0, 30.0]]))
        (tensor([0.5000]), tensor([2.2500]))
    """
    form = "detached" if form == "permuted" else form
    _check(form, weight, None)
    _check_boxes(has_parent, pred=pred, parent=parent)
    with torch.no_grad(), _full_precision(pred):
        inside = containment(pred, parent)
        if has_parent is not None:
            inside = torch.where(has_parent, inside, 1.0)
        factor = FORMS[form](torch.ones_like(inside), inside, weight)
        return inside, factor if has_parent is None else torch.where(has_parent, factor, 1.0)


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
        _check(form, weight, generator)
        _check_reduction(reduction)
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


def pseudo_parent(target: Tensor, parent: Tensor, generator: torch.Generator) -> Tensor:
    """Lay a box of the parent's size at random around the true child: a control to hand in as ``parent``.

    It holds the child just as the parent does, yet says nothing of where the parent is. Along an axis where the child
    is the longer one, the box lies inside the child.

    Args:
        target: true child boxes ``(..., 4)``, xyxy.
        parent: boxes of their parents, same shape and unit.
        generator: source of chance; the global one is left alone.

    Returns:
        Boxes ``(..., 4)``, without gradient.

    Example:
        >>> box = pseudo_parent(
        ...     torch.tensor([10.0, 10.0, 12.0, 11.0]), torch.tensor([0.0, 0.0, 20.0, 20.0]), torch.Generator()
        ... )
        >>> bool((box[:2] <= 10).all() and (box[2:] >= 11).all()), (box[2:] - box[:2]).tolist()
        (True, [20.0, 20.0])
    """
    with torch.no_grad(), _full_precision(target):
        target, parent = prepare(target, parent)
        upper_left, lower_right = target.chunk(2, -1)
        parent_upper_left, parent_lower_right = parent.chunk(2, -1)
        parent_sides = parent_lower_right - parent_upper_left
        farthest = lower_right - parent_sides
        share = torch.rand(farthest.shape, generator=generator, device=generator.device, dtype=farthest.dtype)
        start = torch.lerp(farthest, upper_left.expand_as(farthest), share.to(farthest.device))
        return torch.cat((start, start + parent_sides), -1)


def _product(base: Tensor, inside: Tensor, weight: float | Tensor) -> Tensor:
    # base + base · weight · (1 - R), which is exactly the base loss inside the parent
    if isinstance(weight, Tensor):
        return base + base * weight * (1 - inside)
    return torch.addcmul(base, base, 1 - inside, value=weight)


def _step(base: Tensor, inside: Tensor, weight: float | Tensor) -> Tensor:
    return torch.where(inside < 1, base * weight, base)


def _sum(base: Tensor, inside: Tensor, weight: float | Tensor) -> Tensor:
    return base + weight * (1 - inside)


def _power(base: Tensor, inside: Tensor, weight: float | Tensor) -> Tensor:
    return base * torch.pow(weight, 1 - inside)


def _detached(base: Tensor, inside: Tensor, weight: float | Tensor) -> Tensor:
    return _product(base, inside.detach(), weight)


def _matched(base: Tensor, inside: Tensor, weight: float | Tensor) -> Tensor:
    return base * weight


FORMS: dict[str, Callable[[Tensor, Tensor, float | Tensor], Tensor]] = {
    "product": _product,
    "sum": _sum,
    "step": _step,
    "power": _power,
    "detached": _detached,
    "matched": _matched,
}
"""From base loss, containment and weight to the loss; ``permuted`` needs the whole batch and stands apart."""

FORM_NAMES = (*FORMS, "permuted")

_REDUCTIONS = ("none", "mean", "sum")


def _dealt_out(factor: Tensor, has_parent: Tensor | None, generator: torch.Generator | None) -> Tensor:
    """Shuffle the factors among the pairs that have a parent, without looking at how many there are."""
    assert generator is not None  # _check saw to it
    flat = factor.flatten()
    key = torch.rand(flat.shape, generator=generator, device=generator.device, dtype=torch.float64).to(flat.device)
    if has_parent is None:
        return flat[key.argsort()].view_as(factor)
    absent = ~has_parent.expand_as(factor).flatten()
    # both sortings put the children first: one in order, one at random
    giver = (key + 2 * absent).argsort()
    taker = absent.to(torch.uint8).argsort(stable=True)
    return torch.empty_like(flat).scatter(0, taker, flat[giver]).view_as(factor)


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    _check_reduction(reduction)
    if reduction == "none":
        return loss
    total = loss.sum()
    # of no pairs, the mean is a zero that is still connected to the graph
    return total if reduction == "sum" else total / max(loss.numel(), 1)


def _full_precision(boxes: Tensor) -> AbstractContextManager[object]:
    kind = boxes.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()


def _check(form: str, weight: float | Tensor, generator: torch.Generator | None) -> None:
    if form not in FORM_NAMES:
        raise InputError(f"unknown form {form!r}; known: {', '.join(FORM_NAMES)}{nearest(str(form), FORM_NAMES)}")
    # a tensor's values are not looked at: that would make the host wait for the device
    if not isinstance(weight, Tensor) and not (isinstance(weight, Real) and 0 <= weight < math.inf):
        raise InputError(f"weight {weight!r}: expected a number that is 0 or more")
    if form == "permuted" and generator is None:
        raise InputError(
            "form 'permuted' needs generator=torch.Generator(device), so that the global one is left alone"
        )


def _check_boxes(has_parent: Tensor | None = None, **boxes: Tensor) -> None:
    for name, each in boxes.items():
        if not isinstance(each, Tensor):
            raise InputError(
                f"{name} is a {type(each).__name__}; expected a tensor of boxes (..., 4) with x1, y1, x2, y2"
            )
    if has_parent is not None and not (isinstance(has_parent, Tensor) and has_parent.dtype == torch.bool):
        found = f"{has_parent.dtype} tensor" if isinstance(has_parent, Tensor) else type(has_parent).__name__
        raise InputError(f"has_parent is a {found}; expected a tensor of bool, one per pair")


def _check_reduction(reduction: str) -> None:
    if reduction not in _REDUCTIONS:
        raise InputError(
            f"unknown reduction {reduction!r}; known: {', '.join(_REDUCTIONS)}{nearest(str(reduction), _REDUCTIONS)}"
        )
