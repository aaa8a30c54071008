"""What an engine shows by one training step with ICR and one without; `icr doctor` asks for it."""

from __future__ import annotations

from dataclasses import dataclass


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
