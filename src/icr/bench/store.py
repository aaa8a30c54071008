"""The folder in which a grid's cells lie: what it was asked for, what is finished, what failed, and its figures.

`grid.json` is the grid; `data/NAME/seedK/` are generated training sets, `data/NAME/shared/` their validation and test
pictures; `cells/DATA/MODEL/BASE/ARM-wWEIGHT/seedK/` is the run folder of a cell, with `cell.json` and `cell.log` beside
what `icr train` leaves.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from icr import runs
from icr.bench.grid import Cell, Grid, read
from icr.errors import InputError

if TYPE_CHECKING:
    from icr.data.dataset import Dataset

GRID, CELL, LOG = "grid.json", "cell.json", "cell.log"

Status = Literal["finished", "failed", "running"]
Interrupted = Literal["", "restarted", "continued"]


@dataclass(frozen=True)
class Stored:
    """A finished cell.

    Attributes:
        cell: which.
        folder: its run folder.
        record: its `run.json`.
        seconds: what it took, the time before an interruption included.
        interrupted: empty, or `restarted` (killed, and begun again from zero), or `continued` (killed, and gone on
            exactly where it was).
    """

    cell: Cell
    folder: Path
    record: Mapping[str, Any]
    seconds: float
    interrupted: str


@dataclass(frozen=True)
class Measured:
    """One row of a cell's `curve.csv`: what the validation pictures show of one class after an epoch, 0..1.

    Attributes:
        epoch: from 1.
        name: of the class.
        ap, ap50: by the engine's own validation, EMA weights.
    """

    epoch: int
    name: str
    ap: float
    ap50: float


def default_store(name: str) -> Path:
    """The store of a grid that was given none.

    Example:
        >>> str(default_store("quick"))
        'runs/bench-quick'
    """
    return Path("runs") / f"bench-{name}"


def folder_of(store: Path, cell: Cell) -> Path:
    """The run folder of a cell."""
    return store / "cells" / cell.key


def read_cell(folder: Path) -> dict[str, Any] | None:
    """What `cell.json` in a run folder says; None where there is none that can be read."""
    try:
        found = json.loads((folder / CELL).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def write_cell(
    folder: Path, cell: Cell, status: Status, *, error: str = "", seconds: float = 0.0, interrupted: Interrupted = ""
) -> None:
    """Leave `cell.json` in a run folder, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"status": status, "error": error, "seconds": round(seconds, 2), "interrupted": interrupted}
    runs.write_json(folder / CELL, {**asdict(cell), **told})


def finished(store: Path) -> list[Stored]:
    """The finished cells, in the order of the grid; those of other grids in the same store come last.

    Raises:
        InputError: the folder is no store, or a finished cell has lost its `run.json`.
    """
    return [
        Stored(
            cell,
            folder_of(store, cell),
            runs.read_record(folder_of(store, cell)),
            float(record["seconds"]),
            str(record["interrupted"]),
        )
        for cell, record in _records(store)
        if record["status"] == "finished"
    ]


def failed(store: Path) -> list[tuple[Cell, str]]:
    """The cells whose last run failed, and why, in one line each.

    Raises:
        InputError: the folder is no store.
    """
    return [(cell, str(record["error"])) for cell, record in _records(store) if record["status"] == "failed"]


def grid_of(store: Path) -> Grid:
    """The grid that a store was made for; models that are files are found in the store.

    Raises:
        InputError: the folder is no store.
    """
    path = store / GRID
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{store} holds no {GRID}; name a folder made by icr bench run") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); it should be the JSON that icr bench run wrote") from None
    return read(content, str(path), store.resolve())


def data_path(store: Path, grid: Grid, cell: Cell) -> Path:
    """What a cell trains on: the data set's path, or the set generated for its seed.

    Raises:
        InputError: the grid knows no data set of that name, or no path for it.
    """
    source = grid.data.get(cell.data)
    if source is not None and source.synth is not None:
        return store / "data" / cell.data / f"seed{cell.seed}" / "data.yaml"
    if source is None or source.path is None:
        raise InputError(f"{store}: no data set {cell.data} is known here; give --data {cell.data}=PATH")
    return source.path


def data_of_run(folder: Path, record: Mapping[str, Any]) -> Path:
    """What a run was trained on: as its `run.json` says, but for a cell of a store, which may have been moved.

    Raises:
        InputError: the folder lies in a store, whose grid cannot be read.
    """
    named, cell = Path(str(record.get("data"))), read_cell(folder)
    if named.exists() or cell is None:
        return named
    store = next((each for each in folder.resolve().parents if (each / GRID).is_file()), None)
    return named if store is None else data_path(store, grid_of(store), Cell.from_record(cell))


def dataset_of(store: Path, cell: Cell) -> Dataset:
    """The data set of a cell; in a generated one, val and test are the same for every seed.

    Raises:
        InputError: it is not there any more, or cannot be read.
    """
    from icr.data.formats import read as read_data

    return read_data(data_path(store, grid_of(store), cell))


def curve(stored: Stored) -> list[Measured]:
    """What the validation pictures showed after each epoch, by class; empty where the engine left no `curve.csv`."""
    return [
        Measured(int(row["epoch"]), row["class"], float(row["AP"]), float(row["AP50"]))
        for row in _rows(stored.folder / "curve.csv")
    ]


def relational_log(stored: Stored) -> list[tuple[int, float, float, float]]:
    """How much there was for ICR to act on in each epoch: (epoch, pairs a batch, mean containment R, mean factor)."""
    wanted = ("icr_pairs", "icr_containment", "icr_factor")
    found = []
    for row in _rows(stored.folder / "results.csv"):
        by_end = {key.rpartition("/")[2]: value for key, value in row.items() if not key.startswith("val")}
        if all(name in by_end for name in wanted):
            pairs, containment, factor = (float(by_end[name]) for name in wanted)
            found.append((int(float(row["epoch"])), pairs, containment, factor))
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened))
    except OSError:
        return []
    return [{key.strip(): (value or "").strip() for key, value in row.items() if key} for row in rows]


def _records(store: Path) -> list[tuple[Cell, dict[str, Any]]]:
    order = {cell: place for place, cell in enumerate(grid_of(store).cells())}
    found = []
    for path in sorted(store.glob(f"cells/*/*/*/*/*/{CELL}")):
        record = read_cell(path.parent)
        if record is not None:
            found.append((Cell.from_record(record), record))
    return sorted(found, key=lambda each: order.get(each[0], len(order)))
