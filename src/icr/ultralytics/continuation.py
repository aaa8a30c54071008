# SPDX-License-Identifier: AGPL-3.0-only
"""A training that was killed goes on as if it had not been: what Ultralytics does not save, saved and restored.

Ultralytics rounds weights to half precision, makes the model of its average, drops gradients that were not applied yet,
and restarts order and augmentation. Here all of that is kept, so that the run that goes on is the run that was killed.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from ultralytics.utils import RANK
from ultralytics.utils.torch_utils import unwrap_model

from icr import resumption
from icr.ultralytics import state
from icr.ultralytics.loading import ContinuedLoader, continued
from icr.ultralytics.loss import branches
from icr.ultralytics.moment import Moment

_NEVER = sys.maxsize


class Continued:
    """Mixed into an Ultralytics trainer, before it: knows at the end of an epoch what the next one depends on.

    Attributes:
        moment: where the training stands.
        stepped: the batch, counted from the first epoch's first, after which the optimizer last stepped; -1 for none.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.moment = Moment(rank=max(RANK, 0))
        self.stepped = -1
        self._inexact: list[str] = []
        self._gradients: Mapping[str, torch.Tensor] = {}
        self._held: int | None = None
        self._waits, self._updates = False, 0
        self._seconds = 0.0
        super().__init__(*args, **kwargs)

    def keep(self) -> None:
        """Leave everything that the next epoch depends on in `weights/state.pt`, whole or not at all.

        Models that are distilled or quantized are left to Ultralytics, which rebuilds them in ways of its own.
        """
        trainer: Any = self
        if trainer.args.distill_model is not None or getattr(trainer.args, "quantize", None) == 8:
            return
        state.write(trainer.wdir / state.NAME, {**state.gather(trainer), **self.standing()})

    def standing(self) -> dict[str, Any]:
        """What the next epoch depends on, beside what `state.gather` keeps; tensors and plain values."""
        trainer: Any = self
        model, ema = unwrap_model(trainer.model), trainer.ema.ema
        loader = trainer.train_loader
        self._look()
        return {
            "inexact": [*self._inexact, *why_inexact(trainer)],
            "surroundings": surroundings(trainer),
            "over": bool(trainer.stop),
            "seconds": time.time() - trainer.train_time_start,
            "fitness": state.plain(trainer.fitness),
            "metrics": state.plain(trainer.metrics),
            "possible_stop": bool(trainer.stopper.possible_stop),
            "stepped": self.stepped,
            "gradients": {name: each.grad for name, each in model.named_parameters() if each.grad is not None},
            "means": {"model": _means(model), "ema": _means(ema)},
            "loader": loader.standing() if isinstance(loader, ContinuedLoader) else None,
        }

    def go_on(self, standing: Mapping[str, Any]) -> bool:
        """Go on from `standing`; what `state.restore` brings back is there already, `start_epoch` included.

        Returns:
            Whether order and augmentation go on too; if not, they are to be drawn anew.
        """
        trainer: Any = self
        model, ema = unwrap_model(trainer.model), trainer.ema.ema
        trainer.fitness = standing["fitness"]
        trainer.metrics = {name: math.nan if value is None else value for name, value in standing["metrics"].items()}
        trainer.stopper.possible_stop = standing["possible_stop"]
        self.stepped, self._gradients, self._waits = standing["stepped"], standing["gradients"], True
        self._updates = trainer.ema.updates
        model.criterion = model.init_criterion()
        if hasattr(model.criterion, "update"):
            # The shares of the two branches of an end-to-end head.
            model.criterion.updates = trainer.start_epoch - 1
            model.criterion.update()
        ema.criterion = ema.init_criterion()
        for name, each in (("model", model), ("ema", ema)):
            _set_means(each, standing["means"][name])
        self._seconds = standing["seconds"]
        changed = [
            f"{what} was {before} and is now {now}"
            for (what, before), now in zip(
                standing["surroundings"].items(), surroundings(trainer).values(), strict=True
            )
            if before != now
        ]
        self._inexact = list(dict.fromkeys([*standing["inexact"], *changed]))
        loader = trainer.train_loader
        goes_on = (
            isinstance(loader, ContinuedLoader)
            and standing["loader"] is not None
            and len(standing["loader"]["workers"]) == loader.num_workers
        )
        if goes_on:
            closes = (
                bool(trainer.args.close_mosaic) and trainer.start_epoch == trainer.epochs - trainer.args.close_mosaic
            )
            loader.take_up(standing["loader"], fresh=closes)
        return goes_on

    def note_resumption(self, *reasons: str) -> None:
        """Record in the run folder that the run was taken up, and whether it goes on exactly."""
        trainer: Any = self
        self._inexact = list(dict.fromkeys([*self._inexact, *reasons]))
        if RANK in {-1, 0}:
            resumption.note(Path(trainer.save_dir), trainer.start_epoch, self._inexact)

    def get_dataloader(self, dataset_path: Any, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Build a loader; that of the training in one process can be continued."""
        loader = super().get_dataloader(dataset_path, batch_size, rank, mode)  # type: ignore[misc]
        return continued(loader) if mode == "train" and rank == -1 else loader

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Count the batch, and see to it that the optimizer steps when it would have stepped."""
        self._look()
        self.moment.batch += 1
        if self._waits:
            self._hold()
        prepared: dict[str, Any] = super().preprocess_batch(batch)  # type: ignore[misc]
        return prepared

    def _look(self) -> None:
        """See whether the optimizer stepped after the batch that was last; the average counts its steps."""
        trainer: Any = self
        if trainer.ema is not None and trainer.ema.updates != self._updates:
            self.stepped, self._waits, self._updates = self._batch_number(), False, trainer.ema.updates

    def _batch_number(self) -> int:
        trainer: Any = self
        number: int = self.moment.batch - 1 + len(trainer.train_loader) * self.moment.epoch
        return number

    def _hold(self) -> None:
        """Until the first step, Ultralytics takes it that the last one lies before the whole training."""
        trainer: Any = self
        if trainer.accumulate == _NEVER:
            trainer.accumulate = self._held
        if self._batch_number() - self.stepped < trainer.accumulate:
            self._held, trainer.accumulate = trainer.accumulate, _NEVER

    def _model_train(self) -> None:
        """Begin an epoch; the first of a run that goes on has the gradients that were not applied yet."""
        trainer: Any = self
        super()._model_train()  # type: ignore[misc]
        self.moment.epoch, self.moment.batch, self.moment.seed = trainer.epoch, 0, trainer.args.seed
        for name, parameter in unwrap_model(trainer.model).named_parameters() if self._gradients else ():
            if name in self._gradients:
                parameter.grad = self._gradients[name].to(parameter)
        self._gradients = {}
        trainer.train_time_start -= self._seconds
        self._seconds = 0.0

    def _build_train_pipeline(self) -> None:
        super()._build_train_pipeline()  # type: ignore[misc]
        self.stepped = -1

    def _handle_nan_recovery(self, epoch: int) -> bool:
        recovered = bool(super()._handle_nan_recovery(epoch))  # type: ignore[misc]
        if recovered:
            self.stepped = -1
        return recovered


def why_inexact(trainer: Any) -> list[str]:
    """Why this training, killed and taken up, would not be the same; empty if it would."""
    args = trainer.args
    rules = {
        "several GPUs: the random states of one are kept": trainer.world_size > 1,
        "compile: a model compiled anew may round otherwise": bool(args.compile),
        "time: the number of epochs depends on the time they take": bool(args.time),
        "albumentations: they draw from a source of their own": _draws_apart(trainer.train_loader.dataset.transforms),
        "this version of Ultralytics loads pictures ahead before it trains": trainer.world_size <= 1
        and not isinstance(trainer.train_loader, ContinuedLoader),
    }
    return [reason for reason, holds in rules.items() if holds]


def surroundings(trainer: Any) -> dict[str, Any]:
    """What numbers depend on beside the training itself."""
    device = trainer.device
    return {
        "torch": torch.__version__.split("+")[0],
        "ultralytics": version("ultralytics"),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "number of threads": torch.get_num_threads(),
        "number of loading processes": trainer.train_loader.num_workers,
    }


def _draws_apart(transform: Any) -> bool:
    if type(transform).__name__ == "Albumentations":
        return transform.transform is not None
    return any(_draws_apart(each) for each in getattr(transform, "transforms", ()))


def _means(model: Any) -> list[dict[str, float]]:
    """The last means of R and factor, which stand in for those of a batch without a pair."""
    criterion = getattr(model, "criterion", None)
    return [{name: float(value) for name, value in _last(branch).items()} for branch in branches(criterion)]


def _set_means(model: Any, means: list[dict[str, float]]) -> None:
    for branch, kept in zip(branches(model.criterion), means, strict=False):
        for name, value in kept.items():
            _last(branch)[name] = _last(branch)[name].new_tensor(value)


def _last(branch: Any) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = getattr(branch, "last", None) or getattr(branch, "previous", {})
    return found
