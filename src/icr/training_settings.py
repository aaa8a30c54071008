"""What an engine is asked to train, and which settings are refused before any work."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr import distributed
from icr.detectors import check_device
from icr.errors import InputError, nearest
from icr.predictions import check_imgsz

if TYPE_CHECKING:
    from icr.relations import Relation


@dataclass(frozen=True)
class TrainSettings:
    """What an engine is asked to train.

    Attributes:
        model: a registered name, or a `.pt` or `.yaml` file.
        data_yaml: the YOLO description of the data that `icr.data.convert.prepare_yolo` left in the run folder.
        relations: child and parent classes by name, each with its weight (λ); the only place where weights stand.
        out: the run folder; the engine writes `results.csv` and `weights/` there and nothing anywhere else.
        base: a registered IoU-family loss.
        form: `product`, `sum`, `step` or `power`, or a control: `detached`, `matched`, `permuted`.
        icr: False trains with the engine's own loss, untouched (``--no-icr``).
        imgsz: side of the square input in pixels.
        device: `cpu`, `0`, `0,1`.
        overrides: engine settings passed through (``--set``).
        resume: go on from what a killed run left in `out`; from the beginning where it left nothing.
        factors: for `matched`: the factor of every child with a parent, by epoch; the last one holds for the rest.
        pseudo_parent: hold children to a box of their parent's size at a random place instead of the parent.
        box_gain: times the engine's own weight of its IoU term, for every box.
        arm: what a benchmark calls this way of training; recorded, and nothing else.
        preset: what the settings were completed from, see `icr.presets`; recorded, and nothing else.
        trust: let a `.pt` to start from be unpickled that the restricted loader refuses; it may run any code.
    """

    model: str
    data_yaml: Path
    relations: tuple[Relation, ...]
    out: Path
    base: str = "ciou"
    form: str = "product"
    icr: bool = True
    imgsz: int = 640
    epochs: int = 100
    batch: int = 16
    device: str = "cpu"
    seed: int = 0
    workers: int = 2
    overrides: dict[str, Any] = field(default_factory=dict)
    resume: bool = False
    factors: tuple[float, ...] = ()
    pseudo_parent: bool = False
    box_gain: float = 1.0
    arm: str = ""
    preset: str | None = None
    trust: bool = False

    def record(self) -> dict[str, Any]:
        """The settings that make a run what it is, as `run.json` holds them."""
        return {
            "model": self.model,
            "relations": [
                {
                    "child": r.child,
                    "parent": list(r.parent) if isinstance(r.parent, tuple) else r.parent,
                    "weight": r.weight,
                }
                for r in self.relations
            ],
            "base": self.base,
            "form": self.form,
            "icr": self.icr,
            "imgsz": self.imgsz,
            "epochs": self.epochs,
            "batch": self.batch,
            "device": self.device,
            "seed": self.seed,
            "overrides": self.overrides,
            "factors": list(self.factors),
            "pseudo_parent": self.pseudo_parent,
            "box_gain": self.box_gain,
            "arm": self.arm,
            "preset": self.preset,
        }


def check_settings(**settings: Any) -> None:
    """Refuse, before any work, settings that cannot be used.

    Args:
        settings: further arguments of `train`; those that are left out are not looked at. `own` is the base loss of
            the detector itself, CIoU if not given.

    Raises:
        InputError: names the first of them, as the command line writes it.

    Example:
        >>> check_settings(epochs=0)
        Traceback (most recent call last):
        ...
        icr.errors.InputError: --epochs 0: expected a whole number of at least 1
    """
    from icr.losses import FORM_NAMES, registry

    for name in ("epochs", "batch"):
        value = settings.get(name)
        if value is not None and value < 1:
            raise InputError(f"--{name} {value}: expected a whole number of at least 1")
    weight = settings.get("weight")
    if weight is not None and not (math.isfinite(weight) and weight >= 0):
        raise InputError(f"--weight {weight}: expected a number of at least 0; the paper uses 2.5")
    if settings.get("seed", 0) < 0:
        raise InputError(f"--seed {settings['seed']}: expected a whole number of at least 0")
    if settings.get("workers", 0) < 0:
        raise InputError(f"--workers {settings['workers']}: expected a whole number of at least 0")
    if settings.get("imgsz") is not None:
        check_imgsz(settings["imgsz"])
    check_device(settings.get("device", "cpu"))
    distributed.check(settings.get("device", "cpu"))
    own = settings.get("own", "ciou")
    base = settings.get("base") or own
    registry.get(base)
    if not settings.get("icr", True) and base != own:
        raise InputError(
            f"--no-icr trains with the engine's own loss, so --base {base} would not be used; "
            f"for {base} alone give --base {base} --weight 0"
        )
    form = settings.get("form", "product")
    if form not in FORM_NAMES:
        raise InputError(f"--form {form}: expected one of {', '.join(FORM_NAMES)}{nearest(str(form), FORM_NAMES)}")
    _check_controls(form, settings)


def _check_controls(form: str, settings: Mapping[str, Any]) -> None:
    factors = settings.get("factors", ())
    if form == "matched" and not factors:
        raise InputError(
            "--form matched weighs children by the mean factors of an ICR run, so it needs that run; "
            "icr bench run does it: the arm matched beside icr"
        )
    if factors and form != "matched":
        raise InputError(f"factors are given, but form is {form}; only matched uses them")
    if not all(math.isfinite(factor) and factor >= 0 for factor in factors):
        raise InputError(f"factors {list(factors)}: expected numbers of at least 0, one for each epoch")
    gain = settings.get("box_gain", 1.0)
    if not (math.isfinite(gain) and gain > 0):
        raise InputError(f"box_gain {gain}: expected a number above 0; 1 leaves the engine's own")
    if not settings.get("icr", True) and settings.get("pseudo_parent"):
        raise InputError("pseudo_parent is a control of the ICR loss, and icr=False trains without it")
