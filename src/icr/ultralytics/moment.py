# SPDX-License-Identifier: AGPL-3.0-only
"""Where a training stands, for a loss that depends on it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch


@dataclass
class Moment:
    """Where a training stands; its trainer keeps it up to date, and whoever was given it reads it.

    Attributes:
        seed: of the training.
        rank: of this process among those of a training on several GPUs.
        epoch: from 0.
        batch: batches begun in this epoch.
    """

    seed: int = 0
    rank: int = 0
    epoch: int = 0
    batch: int = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Moment:
        """A copy of a model, such as the moving average that is validated, stands where its training does."""
        return self

    def generator(self, purpose: str) -> torch.Generator:
        """A source of chance on the CPU that is the same whenever a training comes to this moment.

        Args:
            purpose: sources for different purposes have nothing to do with each other.

        Example:
            >>> here, later = Moment(seed=1, epoch=2, batch=3), Moment(seed=1, epoch=2, batch=4)
            >>> draws = [torch.rand(1, generator=each.generator("a")).item() for each in (here, here, later)]
            >>> draws[0] == draws[1], draws[0] == draws[2]
            (True, False)
        """
        said = f"{purpose} {self.seed} {self.rank} {self.epoch} {self.batch}"
        digest = hashlib.blake2b(said.encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
