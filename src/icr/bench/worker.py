"""One cell in a process of its own, so that a crash takes nothing else down: `python -m icr.bench.worker JOB`."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from icr import resumption
from icr.bench.grid import Cell
from icr.bench.store import Interrupted, write_cell
from icr.errors import InputError

Train = Callable[..., object]

TRAINING = "icr.training:train"
"""The training function of a cell in another process, as `module:name`."""

_WATCH = 0.5
"""Seconds between two looks at whether the process that started this one is still there."""


@dataclass(frozen=True)
class Job:
    """Everything that a process needs to know to train one cell.

    Attributes:
        cell: which.
        folder: its run folder.
        data: the data set.
        relation: as on the command line; empty means the data's own.
        settings: further arguments of `icr.training.train`, the device aside.
        device: `cpu`, `0`, `0,1`.
        resume: go on in `folder`.
        interrupted: what `cell.json` will say of it.
        before: seconds that a continued run had taken already.
        train: `module:name` of the training function; takes what `icr.training.train` takes.
    """

    cell: Cell
    folder: Path
    data: Path
    relation: tuple[str, ...]
    settings: Mapping[str, Any]
    device: str = "cpu"
    resume: bool = False
    interrupted: Interrupted = ""
    before: float = 0.0
    train: str = TRAINING

    def record(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "folder": str(self.folder), "data": str(self.data), "settings": dict(self.settings)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Job:
        """The job that `record` of another process describes."""
        return cls(
            **{
                **record,
                "cell": Cell.from_record(record["cell"]),
                "folder": Path(record["folder"]),
                "data": Path(record["data"]),
                "relation": tuple(record["relation"]),
            }
        )


def carry_out(job: Job, train: Train | None = None, say: Callable[[str], None] = print) -> str:
    """Train a cell, store what its last weights find in the test pictures, and leave `cell.json`.

    A cell that was to go on exactly and could not, for something around it has changed, starts again from zero.

    Args:
        job: what to train.
        train: None: the one that the job names.
        say: called with what a person should know.

    Returns:
        Why it failed, in one line; empty when it did not.
    """
    began = time.monotonic()
    try:
        _train(job, train, say)
        if job.resume and (reasons := resumption.reasons(job.folder)):
            say(f"it did not go on exactly ({'; '.join(reasons)}), so it starts again from zero")
            shutil.rmtree(job.folder)
            job, began = replace(job, resume=False, interrupted="restarted", before=0.0), time.monotonic()
            _train(job, train, say)
    except Exception as error:
        traceback.print_exc()
        told = in_one_line(error)
        write_cell(job.folder, job.cell, "failed", error=told, seconds=time.monotonic() - began)
        return told
    spent = job.before + time.monotonic() - began
    write_cell(job.folder, job.cell, "finished", seconds=spent, interrupted=job.interrupted)
    return ""


def in_one_line(error: Exception) -> str:
    """What went wrong; of an error that is no `InputError`, its kind first.

    Example:
        >>> in_one_line(MemoryError())
        'MemoryError: no message'
    """
    message = " ".join(str(error).split()) or "no message"
    return message if isinstance(error, InputError) else f"{type(error).__name__}: {message}"


def _train(job: Job, train: Train | None, say: Callable[[str], None]) -> None:
    from icr.comparing.judging import predictions_of
    from icr.data.formats import read

    settings = dict(job.settings)
    if "factors" in settings:
        settings["factors"] = tuple(settings["factors"])  # a list since it went through JSON
    (train or _named(job.train))(
        job.data,
        relation=job.relation,
        out=job.folder,
        resume=job.resume,
        say=say,
        device=job.device,
        seed=job.cell.seed,
        **settings,
    )
    dataset = read(job.data)
    split = "test" if dataset.splits.get("test") else "val"
    predictions_of(job.folder, dataset, split, device=job.device, say=say)


def _named(name: str) -> Train:
    module, _, function = name.partition(":")
    found: Train = getattr(importlib.import_module(module), function)
    return found


def main(file: Path) -> int:
    """Carry out the job that a file describes; 1 if it failed."""
    record = json.loads(file.read_text(encoding="utf-8"))
    parent = record.pop("parent")
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    return 1 if carry_out(Job.from_record(record), say=lambda text: print(text, flush=True)) else 0


def _end_with(parent: int) -> None:
    """End this process and those it started as soon as the one that started it is gone: nothing trains unwatched."""
    while os.getppid() == parent:
        time.sleep(_WATCH)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
