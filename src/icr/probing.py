"""What an engine shows by one training step with ICR and one without; `icr doctor` asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Probe:
    """What one training step shows, from the same weights and the same batch, with ICR and without.

    Attributes:
        pictures: size of the batch.
        pairs: children with a parent in the batch.
        containment, factor: means over the anchors assigned to them, or over the queries matched to them (those of the
            last layer).
        loss, loss_without: as the engine optimises it, with ICR and by the detector's own loss.
        box_loss, box_loss_without: its IoU term, as the engine logs it.
        gradient_changed: relative size of the difference that ICR makes to the gradient of the weights.
    """

    pictures: int
    pairs: int
    containment: float
    factor: float
    loss: float
    loss_without: float
    box_loss: float
    box_loss_without: float
    gradient_changed: float


@dataclass(frozen=True)
class Step:
    """One training step.

    Attributes:
        loss: as the engine optimises it.
        terms: of the loss, as the engine logs them, and of ICR where it was on.
        gradient: of all weights, in one row.
    """

    loss: float
    terms: Mapping[str, Tensor]
    gradient: Tensor


def compared(pictures: int, box: str, acted: Step, plain: Step) -> Probe:
    """What two steps from the same weights and batch show.

    Args:
        pictures: size of the batch.
        box: what the engine calls its IoU term.
        acted, plain: the step with ICR, and the one without.
    """
    return Probe(
        pictures=pictures,
        pairs=int(acted.terms["icr_pairs"]),
        containment=float(acted.terms["icr_containment"]),
        factor=float(acted.terms["icr_factor"]),
        loss=acted.loss,
        loss_without=plain.loss,
        box_loss=float(acted.terms[box].detach()),
        box_loss_without=float(plain.terms[box].detach()),
        gradient_changed=float((acted.gradient - plain.gradient).norm() / plain.gradient.norm().clamp(min=1e-12)),
    )
