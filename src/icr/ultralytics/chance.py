# SPDX-License-Identifier: AGPL-3.0-only
"""The random states of a process, in tensors and plain values."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def standing() -> dict[str, Any]:
    """The states of Python, NumPy and PyTorch (the processor's and every GPU's) as they are now.

    Example:
        >>> before = standing()
        >>> drawn = random.random(), np.random.rand(), torch.rand(1).item()
        >>> restore(before)
        >>> drawn == (random.random(), np.random.rand(), torch.rand(1).item())
        True
    """
    version, numbers, spare = random.getstate()
    kind, keys, place, has_spare, numpy_spare = np.random.get_state(legacy=True)
    return {
        "python": [version, torch.tensor(numbers, dtype=torch.int64), spare],
        "numpy": [str(kind), torch.from_numpy(np.asarray(keys, np.int64)), int(place), int(has_spare), numpy_spare],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore(state: dict[str, Any]) -> None:
    """Set every random state to what `standing` found; those of GPUs that are not there are left out."""
    version, numbers, spare = state["python"]
    random.setstate((version, tuple(numbers.tolist()), spare))
    kind, keys, place, has_spare, numpy_spare = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), place, has_spare, numpy_spare))
    torch.set_rng_state(state["torch"])
    if len(state["cuda"]) == torch.cuda.device_count() > 0:
        torch.cuda.set_rng_state_all(state["cuda"])
