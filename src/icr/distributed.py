"""Several processes that train one detector together, as torchrun starts them."""

from __future__ import annotations

import os

from icr.errors import InputError


def processes() -> int:
    """How many processes torchrun started, 1 where it did not."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def device() -> str | None:
    """What torchrun's processes train on, as ``--device`` writes it: a GPU each, or the processor; None without it."""
    if processes() == 1:
        return None
    import torch

    return ",".join(map(str, range(processes()))) if torch.cuda.is_available() else "cpu"


def check(device: str) -> None:
    """Make sure that every process has a GPU of its own, or all have the processor.

    Raises:
        InputError: torchrun started another number of processes than there are GPUs named.

    Example:
        >>> check("0,1")
    """
    count = processes()
    if count > 1 and device != "cpu" and len(device.split(",")) != count:
        raise InputError(
            f"--device {device}: torchrun started {count} processes; name as many GPUs, such as "
            f"{','.join(map(str, range(count)))}, or leave --device out"
        )


def leave() -> None:
    """Leave the group of processes, once this one has trained to the end; without a group nothing happens.

    A process that ends as a member may be aborted on its way out, for the group's threads still run, and torchrun then
    stops the others with it.

    Example:
        >>> leave()
    """
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
