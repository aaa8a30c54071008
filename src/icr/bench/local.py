"""Cells on this machine: one process for each device, or, for tests and for training functions of one's own, inline."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from icr.bench.store import read_cell
from icr.bench.worker import Job, Train, carry_out

_LOOK = 0.3
"""Seconds between two looks at whether a process has ended."""


class Executor(Protocol):
    """Where cells are trained.

    Attributes:
        slots: how many at a time.
    """

    slots: int

    def start(self, job: Job, log: Path) -> None:
        """Begin a cell; called only while fewer than `slots` are under way."""

    def wait(self, tick: Callable[[], None]) -> tuple[Job, str]:
        """Wait for any cell to end, calling `tick` meanwhile; why it failed, or an empty text."""

    def stop(self) -> None:
        """End what is under way."""


class Inline:
    """Cells one after another in this process, by a training function."""

    slots = 1

    def __init__(self, train: Train, device: str = "cpu", say: Callable[[str], None] = print) -> None:
        self._train, self._device, self._say = train, device, say
        self._ended: list[tuple[Job, str]] = []

    def start(self, job: Job, log: Path) -> None:
        self._ended.append((job, carry_out(replace(job, device=self._device), self._train, self._say)))

    def wait(self, tick: Callable[[], None]) -> tuple[Job, str]:
        return self._ended.pop()

    def stop(self) -> None:
        self._ended.clear()


class Processes:
    """Cells on devices of this machine, each in a process of its own.

    Args:
        devices: one cell at a time for each: `cpu`, `0`, or `0,1` for one cell on two GPUs.
        holds: file descriptors that the processes keep open, so that a lock lasts as long as they do.
    """

    def __init__(self, devices: Sequence[str], holds: Sequence[int] = ()) -> None:
        self.slots = len(devices)
        self._free, self._holds = list(devices), tuple(holds)
        self._running: list[tuple[subprocess.Popen[bytes], Job, Path]] = []

    def start(self, job: Job, log: Path) -> None:
        job = replace(job, device=self._free.pop(0))
        file = log.with_suffix(".job")
        self._running.append((launch(job, file, log, self._holds), job, file))

    def wait(self, tick: Callable[[], None]) -> tuple[Job, str]:
        while True:
            for entry in self._running:
                process, job, file = entry
                if process.poll() is not None:
                    self._running.remove(entry)
                    self._free.append(job.device)
                    file.unlink(missing_ok=True)
                    return job, verdict_of(process.returncode, job)
            tick()
            time.sleep(_LOOK)

    def stop(self) -> None:
        for process, _, file in self._running:
            end(process)
            file.unlink(missing_ok=True)
        self._running.clear()


def launch(
    job: Job, file: Path, log: Path, holds: Sequence[int] = (), environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start the process of one cell; what it prints goes to the log."""
    file.write_text(json.dumps({**job.record(), "parent": os.getpid()}), encoding="utf-8")
    with log.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", "icr.bench.worker", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            # A session of its own: Ctrl-C reaches the watching process alone, which ends this one and its loaders.
            start_new_session=True,
            pass_fds=tuple(holds),
            env=None if environment is None else dict(environment),
        )


def verdict_of(status: int, job: Job) -> str:
    """Why a process failed, by its exit status and what it left; empty when it did not."""
    record = read_cell(job.folder) or {}
    if status == 0 and record.get("status") == "finished":
        return ""
    if record.get("status") == "failed":
        return str(record["error"])
    if status < 0:
        name = signal.Signals(-status).name
        memory = " (the system ends processes so when memory runs out)" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{memory}"
    return f"its process ended with status {status} and left no result"


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process together with those it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
