"""Box losses by name, and the Inter-Class Relational loss on top of any of them; needs PyTorch alone."""

from icr.losses import iou, nwd, registry, siou  # importing a family registers it
from icr.losses.controls import pseudo_parent
from icr.losses.forms import FORM_NAMES, WEIGHT
from icr.losses.modifiers import focaler, inner
from icr.losses.plain import box_loss
from icr.losses.registry import BaseLoss, get, names, register
from icr.losses.relational import ICRLoss, icr_loss
from icr.losses.terms import Terms, icr_terms

__all__ = [
    "FORM_NAMES",
    "WEIGHT",
    "BaseLoss",
    "ICRLoss",
    "Terms",
    "box_loss",
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
