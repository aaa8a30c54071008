"""Training on several GPUs: one process for each, by PyTorch's own launcher."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr.errors import InputError
from icr.relations import Relation

if TYPE_CHECKING:
    from icr.training_settings import TrainSettings

_REFUSED = 2


def needs_launch(device: str) -> bool:
    """Whether this process must start others: it was asked for GPUs other than the first, and none started it.

    Example:
        >>> needs_launch("cpu"), needs_launch("0")
        (False, False)
    """
    return device not in ("cpu", "0") and "LOCAL_RANK" not in os.environ


def launch(settings: TrainSettings, devices: Sequence[str]) -> None:
    """Train in one process for each device, and wait for them.

    Args:
        settings: of the training.
        devices: indices of GPUs; several times `cpu` trains in as many processes on the processor.

    Raises:
        InputError: what the processes said could not be used.
        RuntimeError: they failed in another way, which they have told on stderr.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    if "cpu" not in devices:
        environment["CUDA_VISIBLE_DEVICES"] = visible(devices, os.environ.get("CUDA_VISIBLE_DEVICES"))
    with tempfile.TemporaryDirectory() as folder:
        asked, refused = Path(folder) / "settings.json", Path(folder) / "refused.txt"
        asked.write_text(json.dumps(asdict(settings), default=str), encoding="utf-8")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={len(devices)}"]
        done = subprocess.run([*command, "-m", __name__, str(asked), str(refused)], env=environment, check=False)
        if refused.is_file():
            raise InputError(refused.read_text(encoding="utf-8"))
    if done.returncode:
        raise RuntimeError(f"training on {','.join(devices)} failed; the processes' own words are above")


def visible(devices: Sequence[str], now: str | None) -> str:
    """What CUDA_VISIBLE_DEVICES must be for these GPUs to be the only ones.

    Args:
        devices: indices as PyTorch counts in this process.
        now: the variable as it is; None where it is not set.

    Example:
        >>> visible(["0", "2"], None), visible(["0", "2"], "4,5,7")
        ('0,2', '4,7')
    """
    there = [each.strip() for each in now.split(",")] if now else []
    return ",".join(there[int(each)] if int(each) < len(there) else each for each in devices)


def read_settings(path: Path) -> TrainSettings:
    """Read what `launch` wrote."""
    from icr.training_settings import TrainSettings

    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    relations = tuple(
        Relation(
            each["child"], tuple(each["parent"]) if isinstance(each["parent"], list) else each["parent"], each["weight"]
        )
        for each in said.pop("relations")
    )
    said |= {"data_yaml": Path(said["data_yaml"]), "out": Path(said["out"]), "factors": tuple(said["factors"])}
    return TrainSettings(relations=relations, **said)


def main(asked: str, refused: str) -> None:
    """One of the processes."""
    from icr.transformers.engine import train

    try:
        train(read_settings(Path(asked)))
    except InputError as error:
        if os.environ["RANK"] == "0":
            Path(refused).write_text(str(error), encoding="utf-8")
        sys.exit(_REFUSED)


if __name__ == "__main__":
    main(*sys.argv[1:])
