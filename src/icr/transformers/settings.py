"""The engine's settings, as ``--set key=value`` gives them; the defaults are RT-DETRv2's official schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from icr.errors import InputError, nearest
from icr.transformers.augment import Strengths

TERMS = ("main", "auxiliary", "encoder", "denoising")
"""Where the box loss is computed: last decoder layer, the layers before it, the encoder's queries, denoising groups."""

NO_TRACKER = "none"
TRACKERS = (NO_TRACKER, "tensorboard", "mlflow", "wandb", "trackio", "comet_ml", "clearml", "dvclive", "swanlab")

_WARM_UP = 2000
_OURS = {
    **{key: f"--{key}" for key in ("epochs", "imgsz", "batch", "device", "seed", "workers", "base", "form", "weight")},
    "model": "--model",
    "resume": "--resume",
    "data": "the DATA argument",
    "relations": "--relation",
}


def _number(default: Any, low: float, high: float, *, whole: bool = False, optional: bool = False) -> Any:
    kind = "a whole number" if whole else "a number"
    above = f"of at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"

    def read(value: Any) -> Any:
        if isinstance(value, str):  # YAML takes 1e-4 for a text
            try:
                value = float(value)
            except ValueError:
                raise _RefusedError(f"{kind} {above}") from None
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise _RefusedError(f"{kind} {above}")
        if whole and value != int(value):
            raise _RefusedError(f"{kind} {above}")
        return int(value) if whole else float(value)

    return _setting(default, read, optional)


def _choice(default: Any, known: Sequence[Any], *, optional: bool = False) -> Any:
    def read(value: Any) -> Any:
        if not any(value is each or (isinstance(value, str) and value == each) for each in known):
            told = ", ".join(str(each).lower() for each in known)
            raise _RefusedError(f"one of {told}{nearest(str(value), [k for k in known if isinstance(k, str)])}")
        return value

    return _setting(default, read, optional)


def _terms(default: tuple[str, ...]) -> Any:
    def read(value: Any) -> tuple[str, ...]:
        given = [value] if isinstance(value, str) else value
        if not isinstance(given, list | tuple) or not given or any(each not in TERMS for each in given):
            raise _RefusedError(f"one or more of {', '.join(TERMS)}, such as '[main, auxiliary]'")
        return tuple(each for each in TERMS if each in given)

    return _setting(default, read, False)


def _weights() -> Any:
    def read(value: Any) -> Any:
        if value is not False and not (isinstance(value, str) and value):
            raise _RefusedError("a folder that Transformers saved, weights made by icr train, hub, or false")
        return value

    return _setting(False, read, False)


def _read_mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise _RefusedError("settings of the network's configuration, such as '{decoder_layers: 1}'")
    return value


def _setting(default: Any, read: Callable[[Any], Any], optional: bool) -> Any:
    return field(default=default, metadata={"read": read, "optional": optional})


class _RefusedError(Exception):
    """The text says what was expected."""


@dataclass(frozen=True)
class EngineSettings:
    """How a detector of Transformers is trained.

    Attributes:
        lr: learning rate of AdamW.
        backbone_lr: of the backbone; None: the official one of the model (R34 5e-5, R50 1e-5, others as `lr`).
        weight_decay: none on norms, and but for R18 none on biases of encoder and decoder.
        warmup_steps: steps over which the rate rises in a straight line; None: 2,000, or a tenth of a shorter run.
        clip: greatest norm of the gradient; 0: no limit.
        amp: true (float16 on a GPU, float32 elsewhere), false, `fp16` or `bf16`.
        accumulate: batches whose gradients are summed up for one step.
        ema_decay: of the moving average of the weights, which is what is validated and kept; 0: none.
        ema_ramp: steps over which the decay comes near its value.
        photometric, zoom_out, iou_crop, flip: probabilities of the augmentations.
        strong_until: epochs after which only the mirror is left; None: 117 of 120 (R50: 71 of 72).
        multiscale: bring each batch to a size of its own; None: as the model's official recipe has it (R18: no).
        icr_terms: the box losses that ICR acts in.
        pretrained: what to start from: a folder that Transformers saved, weights made by icr train, or `hub` for the
            authors' weights where there is a network; false: from scratch.
        queries: boxes that the decoder gives for a picture.
        denoising: noised labels that the decoder learns to mend, for each picture; 0: none.
        sync_bn: batch norm over all GPUs together.
        compile: compile the backbone; within the decoder the tracer breaks off.
        config: settings of the network's own configuration, such as `{decoder_layers: 1}`.
        save_period: keep the weights of the first epoch and of each so many after it, as Ultralytics does; -1: of none.
        best: what the best weights are best in: AP over all classes (`mean`), or over the children alone (`child`).
        report_to: where else each epoch's figures go: `tensorboard` (into the run folder), `mlflow`, `wandb`, ….
    """

    lr: float = _number(1e-4, 0, 1)
    backbone_lr: float | None = _number(None, 0, 1, optional=True)
    weight_decay: float = _number(1e-4, 0, 1)
    warmup_steps: int | None = _number(None, 0, math.inf, whole=True, optional=True)
    clip: float = _number(0.1, 0, math.inf)
    amp: bool | str = _choice(True, (True, False, "fp16", "bf16"))
    accumulate: int = _number(1, 1, math.inf, whole=True)
    ema_decay: float = _number(0.9999, 0, 1)
    ema_ramp: float = _number(2000.0, 1, math.inf)
    photometric: float = _number(0.5, 0, 1)
    zoom_out: float = _number(0.5, 0, 1)
    iou_crop: float = _number(0.8, 0, 1)
    flip: float = _number(0.5, 0, 1)
    strong_until: int | None = _number(None, 0, math.inf, whole=True, optional=True)
    multiscale: bool | None = _choice(None, (True, False), optional=True)
    icr_terms: tuple[str, ...] = _terms(TERMS)
    pretrained: bool | str = _weights()
    queries: int = _number(300, 1, 10_000, whole=True)
    denoising: int = _number(100, 0, 10_000, whole=True)
    sync_bn: bool = _choice(True, (True, False))
    compile: bool = _choice(False, (True, False))
    config: dict[str, Any] = field(default_factory=dict, metadata={"read": _read_mapping, "optional": False})
    save_period: int = _number(-1, -1, math.inf, whole=True)
    best: str = _choice("mean", ("mean", "child"))
    report_to: str = _choice(NO_TRACKER, TRACKERS)

    @property
    def strengths(self) -> Strengths:
        """The augmentation while it is strong."""
        return Strengths(self.photometric, self.zoom_out, self.iou_crop, self.flip)

    def warm_up(self, steps: int) -> int:
        """The steps of warm-up in a run of so many steps.

        Example:
            >>> EngineSettings().warm_up(500), EngineSettings().warm_up(100_000)
            (50, 2000)
        """
        return min(_WARM_UP, steps // 10) if self.warmup_steps is None else self.warmup_steps

    def calm_after(self, epochs: int, model: str) -> int:
        """The number of epochs with strong augmentation in a run of so many epochs.

        Example:
            >>> EngineSettings().calm_after(120, "rtdetrv2-r18"), EngineSettings().calm_after(72, "rtdetrv2-r50")
            (117, 71)
        """
        if self.strong_until is not None:
            return self.strong_until
        return round(epochs * (71 / 72 if model.endswith("r50") else 117 / 120))

    def varies_size(self, model: str) -> bool:
        """Whether batches differ in size: not for R18, nor for the nano D-FINE, unless asked for."""
        if self.multiscale is not None:
            return self.multiscale
        return not model.endswith(("r18", "dfine-n"))

    def backbone_rate(self, model: str) -> float:
        """The learning rate of the backbone.

        Example:
            >>> EngineSettings().backbone_rate("rtdetrv2-r34"), EngineSettings(lr=2e-4).backbone_rate("rtdetrv2-r18")
            (5e-05, 0.0002)
        """
        if self.backbone_lr is not None:
            return self.backbone_lr
        official = {"r34": 0.5, "r50": 0.1}
        return self.lr * official.get(model.rpartition("-")[2], 1.0)


def read(overrides: Mapping[str, Any]) -> EngineSettings:
    """Read settings as the command line or a preset gives them.

    Raises:
        InputError: a setting that does not exist, with the nearest one, or a value out of range, with the range.

    Example:
        >>> read({"lr": "2e-4", "icr_terms": "main"}).icr_terms
        ('main',)
        >>> read({"photo_metric": 0.5})
        Traceback (most recent call last):
        ...
        icr.errors.InputError: --set photo_metric: this engine has no such setting; did you mean 'photometric'?
    """
    known = {each.name: each for each in fields(EngineSettings)}
    settings: dict[str, Any] = {}
    for key, value in overrides.items():
        if key in _OURS:
            raise InputError(f"--set {key}: this is set by {_OURS[key]}")
        if key not in known:
            raise InputError(f"--set {key}: this engine has no such setting{nearest(key, known)}")
        rules = known[key].metadata
        if value is None and rules["optional"]:
            continue
        try:
            settings[key] = rules["read"](value)
        except _RefusedError as expected:
            raise InputError(f"--set {key}={value}: expected {expected}") from None
    return EngineSettings(**settings)
