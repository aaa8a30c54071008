"""What becomes of a cell that was killed: its mark in the store, and whether it goes on or begins again.

While a cell is under way, `running/` in the store holds a mark and its log; the run folder is the trainer's alone.
"""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from icr import runs
from icr.bench.grid import Cell
from icr.bench.store import LOG, Interrupted, folder_of

_RUNNING = "running"


@dataclass(frozen=True)
class Beginning:
    """How a cell begins.

    Attributes:
        resume: go on in its run folder.
        interrupted: what will be said of it in the end.
        before: seconds it had taken already.
    """

    resume: bool = False
    interrupted: Interrupted = ""
    before: float = 0.0


def log_of(store: Path, cell: Cell) -> Path:
    """Where the log of a cell stands while it is under way."""
    return _mark_of(store, cell).with_suffix(".log")


def begin(store: Path, cell: Cell, *, exact: bool) -> Beginning:
    """Make way for a cell, and leave a mark that it is under way.

    Args:
        store: the store.
        cell: one that is not finished.
        exact: whether its engine can go on in the run folder exactly where it was killed.
    """
    folder, mark = folder_of(store, cell), _read(_mark_of(store, cell))
    record = runs.read_record(folder) if (folder / runs.RECORD).is_file() else None
    earlier: Interrupted = mark.get("interrupted", "") if mark else ""
    before = _spent(mark, folder) if mark else 0.0
    if record is not None and record.get("trained"):
        beginning = Beginning(True, earlier, before)
    elif record is not None and exact:
        beginning = Beginning(True, "continued", before)
    else:
        beginning = Beginning(False, "restarted" if mark or record is not None else "")
    # Before anything is removed, so that a kill in between leaves the mark that it was killed.
    file = _mark_of(store, cell)
    file.parent.mkdir(parents=True, exist_ok=True)
    told = {"interrupted": beginning.interrupted, "before": beginning.before, "began": time.time()}
    runs.write_json(file, {**asdict(cell), **told})
    if not beginning.resume:
        log_of(store, cell).unlink(missing_ok=True)
        if folder.exists():
            shutil.rmtree(folder)
    return beginning


def end(store: Path, cell: Cell) -> None:
    """Put the log of a cell that has ended into its run folder, and take away its mark."""
    folder, log = folder_of(store, cell), log_of(store, cell)
    if log.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        log.replace(folder / LOG)
    log.with_suffix(".job").unlink(missing_ok=True)
    _mark_of(store, cell).unlink(missing_ok=True)


def _mark_of(store: Path, cell: Cell) -> Path:
    return store / _RUNNING / f"{cell.key.replace('/', '--')}.json"


def _read(mark: Path) -> dict[str, Any]:
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _spent(mark: dict[str, Any], folder: Path) -> float:
    """Seconds until the last sign of life of a killed run."""
    try:
        last = max(file.stat().st_mtime for file in (folder / "results.csv", folder / runs.RECORD) if file.is_file())
    except (OSError, ValueError):
        return float(mark.get("before", 0.0))
    return float(mark.get("before", 0.0)) + max(0.0, last - float(mark.get("began", last)))
