# SPDX-License-Identifier: AGPL-3.0-only
"""The state of a training that is not over, in tensors and plain values: `weights/state.pt`.

Read with PyTorch's restricted loader, which runs no code that a file may hold. It goes when the training ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from ultralytics.utils.torch_utils import ModelEMA, unwrap_model

from icr.errors import InputError
from icr.writing import whole

NAME = "state.pt"
FORMAT = 2
"""Raised when a file of before can no longer be read."""


def gather(trainer: Any) -> dict[str, Any]:
    """What a training must keep to go on: the model, its average, the optimizer, how far it came, its settings.

    Args:
        trainer: an Ultralytics trainer at the end of an epoch; `loss_record()` says what loss it trains with.
    """
    return {
        "format": FORMAT,
        "epoch": trainer.epoch,
        "best_fitness": plain(trainer.best_fitness),
        "stopper": {key: plain(getattr(trainer.stopper, key)) for key in ("best_fitness", "best_epoch")},
        "model": unwrap_model(trainer.model).state_dict(),
        "ema": trainer.ema.ema.state_dict(),
        "updates": trainer.ema.updates,
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "args": plain(vars(trainer.args)),
        "loss": plain(trainer.loss_record()),
    }


def restore(trainer: Any, state: Mapping[str, Any]) -> None:
    """Bring model, average, optimizer, scaler and best fitness of a trainer back to where `gather` found them."""
    unwrap_model(trainer.model).load_state_dict(state["model"])
    # Anew, for a validation leaves inference tensors in the average, which cannot be updated.
    trainer.ema = ModelEMA(trainer.model)
    trainer.ema.ema.load_state_dict(state["ema"])
    trainer.ema.updates = state["updates"]
    optimizer = dict(state["optimizer"])
    optimizer["param_groups"] = [
        # The device at hand, not the one of before, says whether the fused kernel is used.
        {**kept, "fused": group.get("fused")}
        for kept, group in zip(optimizer["param_groups"], trainer.optimizer.param_groups, strict=True)
    ]
    trainer.optimizer.load_state_dict(optimizer)
    if state["scaler"]:
        trainer.scaler.load_state_dict(state["scaler"])
    trainer.best_fitness = state["best_fitness"]
    for key, value in state["stopper"].items():
        setattr(trainer.stopper, key, value)


def write(path: Path, state: Mapping[str, Any]) -> None:
    """Write a state so that a kill leaves the old file or the new one."""
    with whole(path) as part:
        torch.save(dict(state), part)


def read(path: Path) -> dict[str, Any]:
    """Read a state, on the CPU.

    Raises:
        InputError: no such file, a damaged one, or none of ours.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; nothing is left of a training to go on with") from None
    except Exception as error:  # a damaged file makes the reader fail in any way there is
        why = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
        raise InputError(f"{path} cannot be read as the state of a training ({why}); train anew") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise InputError(f"{path} is not the state of a training by this version of icr; train anew")
    return state


def is_finite(state: Mapping[str, Any]) -> bool:
    """Whether every number of the model and of its average is one."""
    tensors = (*state["model"].values(), *state["ema"].values())
    return all(bool(each.isfinite().all()) for each in tensors)


def plain(value: Any) -> Any:
    """The same in values that the restricted loader and JSON know: numbers, texts, lists and dictionaries.

    Example:
        >>> plain({"lr": np.float64(0.5), "out": Path("runs"), "sizes": (1, 2)})
        {'lr': 0.5, 'out': 'runs', 'sizes': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(each) for each in value]
    if isinstance(value, (np.generic, np.ndarray, Tensor)):
        return value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
