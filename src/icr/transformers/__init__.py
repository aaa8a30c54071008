"""Train Hugging Face Transformers' detectors with the ICR loss: RT-DETR, RT-DETRv2, D-FINE, LW-DETR, RF-DETR, DEIMv2.

Names load on first use. `loss_function` alone is enough for someone with a training loop of their own.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from icr.errors import InputError

if TYPE_CHECKING:
    from icr.transformers.loss import LossFunction, loss_function
    from icr.transformers.models import build

__all__ = ["LossFunction", "build", "loss_function"]

OLDEST = (5, 18)
"""Earlier releases compute the last layer's loss over the denoising queries too."""

_HOMES = {
    "LossFunction": "icr.transformers.loss",
    "build": "icr.transformers.models",
    "loss_function": "icr.transformers.loss",
}


def check_version() -> None:
    """Refuse a transformers that is absent or too old.

    Raises:
        InputError: says which release is there and which is needed.
    """
    needed = ".".join(map(str, OLDEST))
    how = "install it with: pip install 'icr-loss[transformers]'"
    try:
        found = version("transformers")
    except PackageNotFoundError:
        raise InputError(f"transformers is not installed; {needed} or newer is needed: {how}") from None
    if tuple(int(part) for part in found.split(".")[:2]) < OLDEST:
        raise InputError(
            f"transformers {found} is too old: before {needed} the last layer's loss took in the denoising queries; "
            f"{how}"
        )


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        check_version()
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'icr.transformers' has no attribute {name!r}")
