"""Several processes that train one detector together, as torchrun starts them."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def leaving_group() -> Iterator[None]:
    """Around a training: the group of processes that it begins is left once all of them have trained to the end.

    A process that ends while its group lives may be aborted on its way out, for the group's threads still run, and
    torchrun then stops the others with it. After an error nobody waits for the others, which torchrun stops.

    Example:
        >>> with leaving_group():
        ...     pass
    """
    from torch import distributed

    if not distributed.is_available():
        yield
        return
    # Its default arguments would keep a group for ever that had begun before it was imported.
    import torch.distributed.nn  # noqa: F401

    yield
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
        gc.collect()  # a trainer and its callbacks, which name each other, keep the group as well
