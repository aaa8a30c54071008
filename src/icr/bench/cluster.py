"""Cells on a Ray cluster: each a task; results lie in the store where the nodes see it, else they are sent back."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import socket
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from icr import runs
from icr.bench.local import Executor, launch, verdict_of
from icr.bench.store import CELL, LOG
from icr.bench.worker import Job
from icr.errors import InputError

_TOKEN = ".token"
_LOOK = 0.5
"""Seconds between two looks at whether a task has ended."""

_ENVIRONMENT = ("OMP_NUM_THREADS",)
"""What a cell takes from the process that asks for it, for Ray sets its own: threads bear on the last digits."""


def on_cluster(
    address: str, *, cpus: int = 1, gpus: int | None = None, ship: bool = False, say: Callable[[str], None] = print
) -> Callable[[int], Executor]:
    """Have cells trained on a Ray cluster; what `icr.bench.runner.run` takes as its `executor`.

    Args:
        address: of the cluster: `host:port`, `ray://host:port`, or `auto` for the one of this machine.
        cpus: processors of a cell.
        gpus: GPUs of a cell; None: one if the cluster has any.
        ship: send data and results even where a node sees the store.
        say: called with what a person should know.

    Raises:
        InputError: Ray is not installed, or no cluster answers.
    """
    if find_spec("ray") is None:
        raise InputError("--ray needs Ray, which is not installed; install it with: pip install 'icr-loss[ray]'")
    return lambda lock: Cluster(address, cpus, gpus, ship, say)


class Cluster:
    """Cells as tasks of a Ray cluster.

    A node that sees the store, as by a network file system, works in it. One that does not is sent generated data and
    model files and sends the run folder back; other data must lie there under the same path.
    """

    def __init__(self, address: str, cpus: int, gpus: int | None, ship: bool, say: Callable[[str], None]) -> None:
        import ray

        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR", ignore_reinit_error=True)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
            raise InputError(f"--ray {address}: no cluster answers ({' '.join(str(error).split())[:200]})") from None
        there = ray.cluster_resources()
        self._gpus = gpus if gpus is not None else int(there.get("GPU", 0) >= 1)
        slots = int(there.get("CPU", 0) // cpus)
        self.slots = min(slots, int(there.get("GPU", 0) // self._gpus)) if self._gpus else slots
        if self.slots < 1:
            ray.shutdown()
            has = f"{there.get('CPU', 0):g} processors and {there.get('GPU', 0):g} GPUs"
            raise InputError(f"--ray {address}: the cluster has {has}; a cell needs {cpus} and {self._gpus}")
        nodes = sum(node["Alive"] for node in ray.nodes())
        say(f"Ray cluster of {nodes} nodes: {self.slots} cells at a time")
        self._task = ray.remote(num_cpus=cpus, num_gpus=self._gpus, max_retries=0, max_calls=1)(carry_out_there)
        self._ship, self._sent = ship, dict[tuple[str, ...], Any]()
        self._running: dict[Any, tuple[Job, Path]] = {}

    def start(self, job: Job, log: Path) -> None:
        import ray

        store = log.parent.parent.resolve()
        token = _leave_token(store)
        sent = _files_of(job, store)
        key = tuple(map(str, sent))
        if key not in self._sent:
            self._sent[key] = ray.put(pack(store, sent))
        environment = {name: os.environ.get(name) for name in _ENVIRONMENT}
        record = {**job.record(), "folder": str(job.folder.resolve())}
        task = self._task.remote(
            record, str(store), None if self._ship else token, self._sent[key], str(log.resolve()), environment
        )
        self._running[task] = job, store

    def wait(self, tick: Callable[[], None]) -> tuple[Job, str]:
        import ray

        ended: Sequence[Any] = ()
        while not ended:
            ended, _ = ray.wait(list(self._running), num_returns=1, timeout=_LOOK)
            tick()
        job, store = self._running.pop(ended[0])
        try:
            error, packed = ray.get(ended[0])
        except ray.exceptions.RayError as lost:
            return job, f"the cluster lost it: {type(lost).__name__}: {' '.join(str(lost).split())[:200]}"
        if packed is not None:
            _take_back(packed, job.folder, store)
        return job, error

    def stop(self) -> None:
        import ray

        for task in self._running:
            ray.cancel(task, force=True)
        self._running.clear()
        ray.shutdown()


def carry_out_there(
    record: dict[str, Any],
    store: str,
    token: str | None,
    packed: bytes,
    log: str,
    environment: Mapping[str, str | None],
) -> tuple[str, bytes | None]:
    """Train one cell on a node of the cluster; why it failed, and its run folder where the store is not seen there."""
    import ray

    job = replace(Job.from_record(record), device=_device(len(ray.get_gpu_ids())))
    own = {key: value for key, value in os.environ.items() if key not in environment}
    own |= {key: value for key, value in environment.items() if value is not None}
    if token is not None and _sees(Path(store), token):
        return _in_process(job, Path(log), own), None
    with tempfile.TemporaryDirectory(prefix="icr-cell-") as folder:
        here = Path(folder).resolve()
        unpack(packed, here)
        job = moved(job, Path(store), here)
        if not job.data.exists():
            return f"{job.data} is not there on {socket.gethostname()}; have it, or the store, on every node", None
        error = _in_process(job, here / LOG, own)
        job.folder.mkdir(parents=True, exist_ok=True)
        (here / LOG).replace(job.folder / LOG)
        # Not `data`: lists of pictures, or links to them, that are of no use elsewhere.
        made = sorted(each.relative_to(job.folder) for each in job.folder.iterdir() if each.name != "data")
        return error, pack(job.folder, made, str(here))


def moved(job: Job, store: Path, here: Path) -> Job:
    """A job whose paths in the store are paths below another folder."""

    def move(path: Path) -> Path:
        return here / path.relative_to(store) if path.is_relative_to(store) else path

    model = str(move(Path(str(job.settings["model"]))))
    return replace(
        job, folder=move(job.folder), data=move(job.data), settings={**job.settings, "model": model}, resume=False
    )


def pack(root: Path, names: Sequence[Path], home: str | None = None) -> bytes:
    """Files and folders below a root as one archive.

    Args:
        root: the folder.
        names: relative to it.
        home: noted in the archive, as where the files come from.
    """
    stream = io.BytesIO()
    headers = {} if home is None else {"comment": home}
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers) as archive:
        for name in names:
            archive.add(root / name, arcname=str(name))
    return stream.getvalue()


def unpack(packed: bytes, folder: Path) -> str:
    """Lay the files of an archive into a folder; returns where they come from, if the archive says."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
        return str(archive.pax_headers.get("comment", ""))


def _files_of(job: Job, store: Path) -> list[Path]:
    """What a node must be sent of the store to train a cell."""
    model, found = Path(str(job.settings["model"])), []
    if job.data.is_relative_to(store):
        found = [job.data.parent.relative_to(store), job.data.parent.with_name("shared").relative_to(store)]
    if model.is_relative_to(store):
        found.append(model.relative_to(store))
    return found


def _take_back(packed: bytes, folder: Path, store: Path) -> None:
    """Put a run folder that a node sent into the store, at once and with the store's paths in its record."""
    part = folder.with_name(f".{folder.name}.part")
    part.mkdir(parents=True, exist_ok=True)
    home = unpack(packed, part)
    for name in (runs.RECORD, CELL, "data.yaml"):
        file = part / name
        if home and file.is_file():
            file.write_text(file.read_text(encoding="utf-8").replace(home, str(store)), encoding="utf-8")
    if folder.exists():
        shutil.rmtree(folder)
    part.replace(folder)


def _in_process(job: Job, log: Path, environment: Mapping[str, str]) -> str:
    file = log.with_suffix(".job")
    process = launch(job, file, log, environment=environment)
    process.wait()
    file.unlink(missing_ok=True)
    return verdict_of(process.returncode, job)


def _device(gpus: int) -> str:
    """Ray shows a task its own GPUs alone, numbered from 0.

    Example:
        >>> _device(0), _device(2)
        ('cpu', '0,1')
    """
    return ",".join(map(str, range(gpus))) or "cpu"


def _leave_token(store: Path) -> str:
    token = store / _TOKEN
    if not token.is_file():
        token.write_text(secrets.token_hex(16), encoding="ascii")
    return token.read_text(encoding="ascii")


def _sees(store: Path, token: str) -> bool:
    try:
        return (store / _TOKEN).read_text(encoding="ascii") == token
    except OSError:
        return False
