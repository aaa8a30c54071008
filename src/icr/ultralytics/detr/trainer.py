# SPDX-License-Identifier: AGPL-3.0-only
"""The trainers of RT-DETR and of UAV-DETR: Ultralytics' RT-DETR trainer with paired data and the ICR loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, ClassVar

import torch
from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.nn.modules.head import RTDETRDecoder
from ultralytics.nn.tasks import yaml_model_load
from ultralytics.utils import DEFAULT_CFG

from icr import runs
from icr.errors import InputError
from icr.ultralytics import architectures, state
from icr.ultralytics.dataset import StretchedDataset
from icr.ultralytics.detr.model import RelatedDETR, related, stock_form
from icr.ultralytics.detr.settings import KEYS, DetrSettings, settle
from icr.ultralytics.settings import LossSettings
from icr.ultralytics.tensor_checkpoints import TensorCheckpoints
from icr.ultralytics.training import DetectionTrainer

OPTIMISER: dict[str, Any] = {
    "optimizer": "AdamW",
    "lr0": 1e-4,
    "lrf": 1.0,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "warmup_momentum": 0.9,
    "warmup_bias_lr": 0.0,
    "amp": False,
}
"""RT-DETR's and UAV-DETR's: a constant rate after the warm-up, and no bias that starts at a hundred times it."""

AUGMENTATION: dict[str, Any] = {
    "mosaic": 1.0,
    "mixup": 0.2,
    "hsv_h": 0.015,
    "hsv_s": 0.7,
    "hsv_v": 0.4,
    "translate": 0.1,
    "scale": 0.5,
    "fliplr": 0.5,
    "close_mosaic": 0,
}
"""UAV-DETR's."""

_OF_THE_LOSS = ("icr_terms", "vfl_alpha", "vfl_gamma", "giou_gain")


class DETRTrainer(DetectionTrainer, RTDETRTrainer):
    """`DetectionTrainer` for `rtdetr-l`, `rtdetr-resnet50` and other models that end in Ultralytics' `RTDETRDecoder`.

    Pictures are stretched to the square, and no part of the model is compiled: with `compile` Ultralytics runs the
    model without the labels, which turns its denoising off.

    Example:
        >>> from icr.ultralytics.training import trainer
        >>> overrides = {"model": "rtdetr-l.yaml", "data": "data.yaml"}
        >>> trainer(base="giou", of=DETRTrainer)(overrides=overrides).train()  # doctest: +SKIP
    """

    heads: ClassVar[tuple[type, ...]] = (RTDETRDecoder,)
    dataset_class: ClassVar[type[StretchedDataset]] = StretchedDataset
    defaults: ClassVar[dict[str, Any]] = OPTIMISER
    settings: ClassVar[DetrSettings] = DetrSettings(vfl_alpha=0.25, vfl_gamma=1.5)
    icr: ClassVar[LossSettings] = LossSettings(base="giou")
    keys: ClassVar[tuple[str, ...]] = KEYS

    def __init__(self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: Any = None) -> None:
        super().__init__(cfg, overrides, _callbacks)
        if self.args.compile:
            raise InputError(
                "compile has Ultralytics run detectors of the RT-DETR kind without their labels, so that their "
                "denoising would be off; train without it"
            )

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> RelatedDETR:
        """Build Ultralytics' model, and have it make our criterion."""
        # Before it is built: Ultralytics runs a model with another head once, as its own, and fails.
        last = (cfg if isinstance(cfg, dict) else yaml_model_load(cfg))["head"][-1][2]
        if last not in {head.__name__ for head in self.heads}:
            raise InputError(f"the model ends in {last}; this trainer trains models that end in RTDETRDecoder")
        return related(RTDETRTrainer.get_model(self, cfg, weights, verbose), self._box, self.settings)

    def loss_record(self) -> dict[str, Any]:
        """As `DetectionTrainer.loss_record`, with the settings of the criterion."""
        chosen = asdict(self.settings)
        return {**super().loss_record(), **{key: state.plain(chosen[key]) for key in _OF_THE_LOSS}}

    def kept_record(self, kept: Any) -> dict[str, Any]:
        """What `loss_record` was in the training that left this average of its weights."""
        record = getattr(kept, "icr_record", None)
        return record if isinstance(record, dict) else {}

    def require_same_loss(self, before: dict[str, Any]) -> None:
        """Refuse to go on with a training whose loss was another.

        Raises:
            InputError: says what it was and what it would be.
        """
        changed = runs.first_difference({key: before.get(key) for key in _OF_THE_LOSS}, self.loss_record())
        if changed and changed.split()[0] in _OF_THE_LOSS:
            raise InputError(
                f"{self.args.model} cannot go on: {changed}; resume with the same settings, or start a new run"
            )
        super().require_same_loss(before)

    @classmethod
    def arguments(cls, batch: int) -> dict[str, Any]:
        """The optimiser's settings, and for UAV-DETR those of the augmentation; every batch is a step."""
        return {**cls.defaults, "nbs": batch}

    @classmethod
    def settled(cls, overrides: Mapping[str, Any], box_gain: float = 1.0) -> type[DETRTrainer]:
        """The trainer with the given settings of `DetrSettings`.

        Args:
            box_gain: times the weight of the IoU term.

        Raises:
            InputError: a value cannot be used.
        """
        chosen = settle(overrides, cls.settings)
        chosen = replace(chosen, giou_gain=chosen.giou_gain * box_gain)
        return type(cls.__name__, (cls,), {"settings": chosen, "__module__": cls.__module__})

    def optimizer_step(self) -> None:
        """Take a step as Ultralytics does, with a gradient no longer than `clip`."""
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        if self.ema:
            self.ema.update(self.model)

    def _get_warmup_iterations(self, num_batches: int) -> int:
        return self.settings.warm_up(self.epochs * num_batches)

    def save_model(self) -> bool:
        """Save as Ultralytics' own class."""
        with stock_form(self.ema.ema, self.loss_record()):
            return super().save_model()


class DETRArchitectureTrainer(TensorCheckpoints, DETRTrainer):
    """`DETRTrainer` for UAV-DETR, by its name; weights are stored as `.safetensors`.

    Example:
        >>> from icr.ultralytics.training import trainer
        >>> overrides = {"model": "uav-detr-r18", "data": "data.yaml"}
        >>> trainer(base="inner-siou", of=DETRArchitectureTrainer)(overrides=overrides).train()  # doctest: +SKIP
    """

    defaults: ClassVar[dict[str, Any]] = {**OPTIMISER, **AUGMENTATION}
    settings: ClassVar[DetrSettings] = DetrSettings()
    icr: ClassVar[LossSettings] = LossSettings(base="inner-siou")

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> RelatedDETR:
        """Build the architecture, and have it make our criterion."""
        model = architectures.build(cfg, self.data, weights)
        return related(model, self._box, self.settings)
