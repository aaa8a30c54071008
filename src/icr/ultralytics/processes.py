# SPDX-License-Identifier: AGPL-3.0-only
"""Training in several processes: counters of pairs over all of them; and on processors, as Ultralytics does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed, nn
from ultralytics.utils import DEFAULT_CFG, RANK
from ultralytics.utils.torch_utils import unwrap_model

from icr.distributed import leaving_group, processes

COUNTERS = ("icr_pairs", "icr_containment", "icr_factor")


class SeveralProcesses:
    """Part of a trainer, before Ultralytics' own.

    Under torchrun on a machine without a GPU, each process trains on the processor. The validation of the best weights
    that Ultralytics adds at the end is left out there, for it asks for a GPU; `icr train` evaluates by itself.
    """

    world_size: int
    device: torch.device
    model: nn.Module

    def __init__(self, cfg: Any = DEFAULT_CFG, overrides: dict[str, Any] | None = None, _callbacks: Any = None) -> None:
        super().__init__(cfg, overrides, _callbacks)  # type: ignore[call-arg]
        trainer: Any = self
        if trainer.device.type == "cpu" and processes() > 1:
            trainer.world_size = processes()
        after = trainer.callbacks["on_train_epoch_end"]
        if gather_counters not in after:  # where Ultralytics started this process, it brought them along
            after.append(gather_counters)

    @property
    def on_processors(self) -> bool:
        """Whether several processes train on the processor."""
        return self.device.type == "cpu" and self.world_size > 1

    def train(self) -> None:
        """Train, and leave the group of processes."""
        if not self.on_processors:
            super().train()  # type: ignore[misc]
            return
        with leaving_group():
            super().train()  # type: ignore[misc]
            self.model = unwrap_model(self.model)  # what wraps it belongs to the group

    def get_validator(self) -> Any:
        """Ultralytics' validator."""
        validator = super().get_validator()  # type: ignore[misc]
        if self.on_processors:
            validator.__class__ = _of_training_alone(type(validator))
        return validator

    def _setup_ddp(self) -> None:
        if self.on_processors:
            distributed.init_process_group("gloo", rank=RANK, world_size=self.world_size)
        else:
            super()._setup_ddp()  # type: ignore[misc]

    def _setup_train(self) -> None:
        if self.on_processors:
            with _parallel_without_gpu():
                super()._setup_train()  # type: ignore[misc]
        else:
            super()._setup_train()  # type: ignore[misc]


def gather_counters(trainer: Any) -> None:
    """Bring the means of an epoch over the processes together: pairs summed, the others weighted by the pairs.

    Every process takes part, one whose pictures held no box at all too.
    """
    if trainer._box is None or not distributed.is_available() or not distributed.is_initialized():
        return
    own = [float(trainer.tloss.get(name, 0.0)) for name in COUNTERS]
    sums = torch.tensor([own[0], own[0] * own[1], own[0] * own[2]], device=trainer.device)
    distributed.all_reduce(sums)
    means = [sums[0], *(each / sums[0] if sums[0] > 0 else torch.ones_like(each) for each in sums[1:])]
    trainer.tloss.update(zip(COUNTERS, means, strict=True))


def _of_training_alone(validator: type) -> type:
    """A validator that validates the model in training and no file."""

    def call(self: Any, trainer: Any = None, model: Any = None, **settings: Any) -> Any:
        return {} if trainer is None else validator.__call__(self, trainer, model, **settings)

    return type(validator.__name__, (validator,), {"__call__": call})


class _OnProcessor(nn.parallel.DistributedDataParallel):
    """Takes the indices of GPUs that Ultralytics gives, and has no use for them."""

    def __init__(self, module: nn.Module, device_ids: Any = None, **settings: Any) -> None:
        super().__init__(module, **settings)


@contextmanager
def _parallel_without_gpu() -> Iterator[None]:
    """Have Ultralytics wrap its model for the processor while it sets a training up."""
    stock = nn.parallel.DistributedDataParallel
    nn.parallel.DistributedDataParallel = _OnProcessor  # type: ignore[misc,assignment]
    try:
        yield
    finally:
        nn.parallel.DistributedDataParallel = stock  # type: ignore[misc]
