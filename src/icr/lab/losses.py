"""The losses that the lab looks at: any base, alone and with ICR in any form, the user's own too."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from icr.errors import InputError, nearest
from icr.lab.trajectory import PairLoss
from icr.losses import FORM_NAMES, WEIGHT, box_loss, get, icr_loss, names


@dataclass(frozen=True)
class LabLoss:
    """A loss of one box under a name.

    Attributes:
        name: as pictures and tables show it.
        base: name of its base loss, by which pictures put it beside its kin.
        form: the ICR form; None is the base alone.
        loss: predicted boxes, targets and parents ``(N, 4)`` to one loss per box ``(N,)``.
    """

    name: str
    base: str
    form: str | None
    loss: PairLoss


def lab_losses(
    bases: Sequence[str] = ("ciou",),
    forms: Sequence[str] = ("product",),
    weight: float = WEIGHT,
    seed: int = 0,
) -> list[LabLoss]:
    """Each base alone, then with ICR in each form.

    Args:
        bases: registered names, modified ones too, or ``FILE.py:FUNCTION``, a loss of the user's own.
        forms: of :func:`icr.icr_loss`, controls included.
        weight: λ.
        seed: of the control ``permuted``.

    Raises:
        InputError: an unknown base or form, a weight below 0, or a file without that function.

    Example:
        >>> [each.name for each in lab_losses(["giou"], ["product", "sum"])]
        ['GIoU', 'ICR-GIoU', 'ICR-GIoU (sum)']
    """
    for form in forms:
        if form not in FORM_NAMES:
            raise InputError(f"--form {form}: expected one of {', '.join(FORM_NAMES)}{nearest(form, FORM_NAMES)}")
    found = []
    for given in dict.fromkeys(bases):
        base = _registered(given)
        told = base.upper().replace("IOU", "IoU")
        found.append(LabLoss(told, base, None, _alone(base)))
        for form in dict.fromkeys(forms):
            reading = "" if form == "product" else f" ({form})"
            found.append(LabLoss(f"ICR-{told}{reading}", base, form, _related(base, form, weight, seed)))
    return found


def _alone(base: str) -> PairLoss:
    def loss(pred: Tensor, target: Tensor, parent: Tensor) -> Tensor:
        return box_loss(pred, target, base)

    return loss


def _related(base: str, form: str, weight: float, seed: int) -> PairLoss:
    generator = torch.Generator().manual_seed(seed)

    def loss(pred: Tensor, target: Tensor, parent: Tensor) -> Tensor:
        return icr_loss(pred, target, parent, base=base, form=form, weight=weight, generator=generator)

    return loss


def _registered(given: str) -> str:
    """The name of a base; one that stands in a file is read from there and entered under the function's name."""
    file, colon, function = given.rpartition(":")
    if not (colon and file.endswith(".py")):
        get(given)
        return given
    path = Path(file)
    if not path.is_file():
        raise InputError(f"--base {given}: there is no file {file}; expected FILE.py:FUNCTION, or one of {_known()}")
    name = function.lower().replace("_", "-")
    spec = importlib.util.spec_from_file_location(f"icr_lab_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"--base {given}: {file} is no Python file that can be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the user's file does wrong
        raise InputError(f"--base {given}: {file} does not run ({type(error).__name__}: {error})") from error
    loss = getattr(module, function, None)
    if not callable(loss):
        raise InputError(f"--base {given}: {file} holds no function {function}")
    if name not in names():
        from icr.losses import register

        register(name)(loss)
    return name


def _known() -> str:
    return ", ".join(names())
