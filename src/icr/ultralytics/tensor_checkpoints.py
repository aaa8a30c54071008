# SPDX-License-Identifier: AGPL-3.0-only
"""How a trainer of an architecture of ours keeps its weights and its state: tensors and plain values, no pickles."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import distributed
from ultralytics.cfg import get_cfg
from ultralytics.utils import LOGGER, RANK

from icr.checkpoints import SUFFIX
from icr.ultralytics import architectures, state

_PLACES = ("data", "model", "name", "project", "resume", "save_dir")
"""Settings that name files of the machine a model was trained on; they are no part of a released file."""

_MORE_ATTEMPTS = 3


class TensorCheckpoints:
    """Mixed into an Ultralytics trainer, before it: `weights/best.safetensors` and `last.safetensors` hold the average
    of the weights, in float32 and without what only training needs; `weights/state.pt` holds what a resumed run needs.

    The trainer offers `loss_record()`, `require_same_loss(record)`, `keep()` and `take_up(kept)`, as `DetectionTrainer`
    does, and `args.model` is the name of an architecture.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._kept: dict[str, Any] | None = None
        super().__init__(*args, **kwargs)
        trainer: Any = self
        trainer.last, trainer.best = (trainer.wdir / f"{which}{SUFFIX}" for which in ("last", "best"))

    @property
    def architecture(self) -> architectures.Architecture:
        """What is trained."""
        trainer: Any = self
        return architectures.ARCHITECTURES[str(trainer.args.model)]

    def check_resume(self, overrides: dict[str, Any]) -> None:
        """Take the settings of a killed run from its state; Ultralytics would unpickle its model for them."""
        trainer: Any = self
        if not trainer.args.resume:
            trainer.resume = False
            return
        file = Path(str(trainer.args.resume))
        self._kept = state.read(file)
        now = {key: overrides[key] for key in ("data", "device", "save_dir", "workers") if key in overrides}
        trainer.args = get_cfg({**self._kept["args"], **now, "resume": str(file)})
        trainer.resume = True

    def setup_model(self) -> dict[str, Any] | None:
        """Build the model; of a resumed run the state is returned, once its loss was found to be the same."""
        trainer: Any = self
        super().setup_model()  # type: ignore[misc]
        if self._kept is not None:
            trainer.require_same_loss(self._kept["loss"])
        return self._kept

    def resume_training(self, ckpt: Any) -> None:
        """Take up a killed run after the last epoch that its state holds."""
        trainer: Any = self
        if self._kept is None:
            return
        state.restore(trainer, self._kept)
        trainer.start_epoch = self._kept["epoch"] + 1
        LOGGER.info(f"icr: going on with epoch {trainer.start_epoch + 1} of {trainer.epochs}")
        trainer.take_up(self._kept)
        self._kept = None

    def save_model(self) -> bool:
        """Write the weights, and then the state, so that a kill between leaves one to go on from."""
        trainer: Any = self
        written = [trainer.last]
        if trainer.best_fitness == trainer.fitness:
            written.append(trainer.best)
        if trainer.save_period > 0 and trainer.epoch % trainer.save_period == 0:
            written.append(trainer.wdir / f"epoch{trainer.epoch}{SUFFIX}")
        kept = state.plain(vars(trainer.args))
        settings = {
            "imgsz": kept["imgsz"],
            "epoch": trainer.epoch + 1,
            "loss": state.plain(trainer.loss_record()),
            "args": {key: value for key, value in kept.items() if key not in _PLACES},
        }
        for path in written:
            architectures.write(path, self.architecture, trainer.ema.ema, settings)
        trainer.keep()
        return True

    def final_eval(self) -> None:
        """Validate the best weights as they were stored, and let the state go."""
        trainer: Any = self
        if trainer.best.is_file():
            LOGGER.info(f"\nValidating {trainer.best}...")
            trainer.validator.args.plots = trainer.args.plots
            trainer.validator.args.compile = False
            trainer.metrics = trainer.validator(model=architectures.read(trainer.best))
            if trainer.metrics is not None:
                trainer.metrics.pop("fitness", None)
            trainer.epoch += 1  # the row of the final figures comes after those of the epochs
            trainer.run_callbacks("on_fit_epoch_end")
            trainer.epoch -= 1
        if RANK in {-1, 0}:
            (trainer.wdir / state.NAME).unlink(missing_ok=True)

    def _handle_nan_recovery(self, epoch: int) -> bool:
        """Go back to the last state when loss or fitness is no number, a few times."""
        trainer: Any = self
        values = (None if trainer.loss is None else trainer.loss.detach(), trainer.fitness)
        lost = any(each is not None and not math.isfinite(float(each)) for each in values)
        if RANK != -1:
            told = torch.tensor(float(lost), device=trainer.device)
            distributed.all_reduce(told)
            lost = bool(told > 0)
        if not lost or epoch == trainer.start_epoch:
            return False
        trainer.nan_recovery_attempts += 1
        if trainer.nan_recovery_attempts > _MORE_ATTEMPTS:
            raise RuntimeError(f"the loss was no number {trainer.nan_recovery_attempts} times in epoch {epoch + 1}")
        LOGGER.warning(f"icr: the loss of epoch {epoch + 1} is no number; going back to the epoch before")
        kept = state.read(trainer.wdir / state.NAME)
        if not state.is_finite(kept):
            raise RuntimeError(f"the loss of epoch {epoch + 1} is no number, and neither are the weights before it")
        trainer._model_train()
        state.restore(trainer, kept)
        trainer.scheduler.last_epoch = epoch - 1
        trainer.stepped = -1
        return True
