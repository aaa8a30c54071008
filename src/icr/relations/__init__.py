"""Relations between classes (a plate lies on a vehicle), and which box is whose parent.

A *relation* is a rule between two classes; a *pair* is one child box with its parent box. Declaring and resolving
relations needs nothing but the standard library; PyTorch is imported where boxes are compared.
"""

from __future__ import annotations

import importlib
from typing import Any

from icr.relations.declaring import DEFAULT_WEIGHT, ClassRef, Declared, Relation, declared, is_weight, read
from icr.relations.matching import ALIKE, HALF, Indexed, ambiguous, match_parents
from icr.relations.resolving import ResolvedRelation, resolve

__all__ = [
    "ALIKE",
    "DEFAULT_WEIGHT",
    "HALF",
    "ClassRef",
    "Declared",
    "Indexed",
    "Relation",
    "ResolvedRelation",
    "ambiguous",
    "declared",
    "is_weight",
    "match_parents",
    "read",
    "resolve",
]

_IN_DATA = {"Chosen": "choosing", "Evidence": "discovery", "choose": "choosing", "discover": "discovery"}
"""What looks for relations in a data set lives with the data; under these names it is found here, too."""


def __getattr__(name: str) -> Any:
    if name in _IN_DATA:
        return getattr(importlib.import_module(f"icr.data.{_IN_DATA[name]}"), name)
    raise AttributeError(f"module 'icr.relations' has no attribute {name!r}")
