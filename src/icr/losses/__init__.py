"""Box losses by name, and the Inter-Class Relational loss on top of any of them; needs PyTorch alone."""

from icr.losses import iou, nwd, registry, siou  # importing a family registers it
from icr.losses.modifiers import focaler, inner
from icr.losses.registry import BaseLoss, get, names, register
from icr.losses.relational import (
    FORM_NAMES,
    WEIGHT,
    ICRLoss,
    Terms,
    box_loss,
    containment_and_factor,
    icr_loss,
    icr_terms,
    pseudo_parent,
)

__all__ = [
    "FORM_NAMES",
    "WEIGHT",
    "BaseLoss",
    "ICRLoss",
    "Terms",
    "box_loss",
    "containment_and_factor",
    "focaler",
    "get",
    "icr_loss",
    "icr_terms",
    "inner",
    "iou",
    "names",
    "nwd",
    "pseudo_parent",
    "register",
    "registry",
    "siou",
]
