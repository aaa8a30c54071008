"""icr: train detectors to find a small child object inside a larger parent, with the Inter-Class Relational loss.

Every name loads on first use, so that ``import icr`` costs nothing and the command line answers before PyTorch is in
memory.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from icr.version import __version__

if TYPE_CHECKING:
    from icr import losses, relations, transformers, ultralytics
    from icr.boxes import containment
    from icr.losses import ICRLoss, box_loss, icr_loss
    from icr.relations import Relation, match_parents

__all__ = [
    "ICRLoss",
    "Relation",
    "__version__",
    "box_loss",
    "containment",
    "icr_loss",
    "losses",
    "match_parents",
    "relations",
    "transformers",
    "ultralytics",
]

_HOMES = {
    "ICRLoss": "icr.losses",
    "Relation": "icr.relations",
    "box_loss": "icr.losses",
    "containment": "icr.boxes",
    "icr_loss": "icr.losses",
    "match_parents": "icr.relations",
}
_ROOMS = ("boxes", "data", "demo", "lab", "losses", "metrics", "relations", "transformers", "ultralytics")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"icr.{name}")
    raise AttributeError(f"module 'icr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
