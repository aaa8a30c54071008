"""The moving average of a model's weights, which is what is validated and kept."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

_UPDATES = "updates"


class Ema:
    """A copy of a model that follows it: ``d · average + (1 - d) · weights`` with ``d = decay · (1 - e^(-n / ramp))``.

    The copy is deep, so it has the loss function of the model as well. Batch norms' running statistics are averaged
    like weights; whole numbers are taken over as they are.

    Args:
        model: to follow.
        decay: 0..1; 0 makes the copy equal to the model after each update.
        ramp: updates over which the decay comes near its value.

    Attributes:
        model: the average, in evaluation mode.
        updates: how often it was updated.

    Example:
        >>> line = nn.Linear(1, 1, bias=False)
        >>> _ = line.weight.data.fill_(0.0)
        >>> average = Ema(line, decay=0.5, ramp=1e-9)
        >>> _ = line.weight.data.fill_(1.0)
        >>> average.update(line)
        >>> average.model.weight.item()
        0.5
    """

    def __init__(self, model: nn.Module, decay: float = 0.9999, ramp: float = 2000.0) -> None:
        self.decay = decay
        self.ramp = ramp
        self.updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Follow the model by one step."""
        self.updates += 1
        share = 1 - self.decay * (1 - math.exp(-self.updates / self.ramp))
        now = _tensors(model)
        averaged: list[Tensor] = []
        current: list[Tensor] = []
        for name, kept in _tensors(self.model).items():
            if kept.is_floating_point():
                averaged.append(kept)
                current.append(now[name].detach().to(kept))
            else:
                kept.copy_(now[name])
        torch._foreach_lerp_(averaged, current, share)

    def save(self, path: Path) -> None:
        """Write the average; `load` reads it again."""
        save_model(self.model, str(path), metadata={_UPDATES: json.dumps(self.updates)})

    def load(self, path: Path) -> None:
        """Go on from what `save` wrote."""
        load_model(self.model, str(path))
        with safe_open(str(path), framework="pt") as file:
            self.updates = int(json.loads(file.metadata()[_UPDATES]))


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    """Weights and running statistics, tied ones once; a state dictionary would hold those twice."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}
