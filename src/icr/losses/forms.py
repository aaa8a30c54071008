"""The forms of the relational loss: from base loss, containment and weight to the loss of each child.

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
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor

from icr.errors import InputError, nearest

WEIGHT = 2.5
"""The paper's λ."""


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
"""Every form but ``permuted``, which needs the whole batch; see :func:`icr.losses.controls.dealt_out`."""

FORM_NAMES = (*FORMS, "permuted")


def check_form(form: str, weight: float | Tensor, generator: torch.Generator | None) -> None:
    """Refuse an unknown form, a weight that cannot be λ, and ``permuted`` without a source of chance."""
    if form not in FORM_NAMES:
        raise InputError(f"unknown form {form!r}; known: {', '.join(FORM_NAMES)}{nearest(str(form), FORM_NAMES)}")
    # a tensor's values are not looked at: that would make the host wait for the device
    if not isinstance(weight, Tensor) and not (isinstance(weight, Real) and 0 <= weight < math.inf):
        raise InputError(f"weight {weight!r}: expected a number that is 0 or more")
    if form == "permuted" and generator is None:
        raise InputError(
            "form 'permuted' needs generator=torch.Generator(device), so that the global one is left alone"
        )
