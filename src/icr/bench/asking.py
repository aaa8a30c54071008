"""A grid as it is asked for on the command line: a preset or a file, and what stands in place of its entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from icr.bench.grid import Grid, Source, load, read
from icr.errors import InputError


def asked(name: str, *, data: Sequence[str] = (), train: dict[str, Any] | None = None, **entries: Any) -> Grid:
    """Read a grid and put the user's own entries in place of its.

    Args:
        name: a preset, or a YAML file.
        data: `name=path` each, in place of the data set of that name, or one more.
        train: `imgsz`, `epochs`, `batch` of all models; None leaves each its own.
        entries: `arms`, `bases`, `weights` and `models` with commas, `seeds`, `first_seed`; None leaves the grid's.

    Raises:
        InputError: an entry is not of its kind, or names a model that the grid has not and that is no detector.

    Example:
        >>> asked("quick", arms="baseline,icr", seeds=1, train={"epochs": 2}).training_of("small")["epochs"]
        2
    """
    grid = load(name)
    found = grid.record()
    for key, value in entries.items():
        if value is None:
            continue
        if key == "models":
            found[key] = _models(grid, value)
        elif isinstance(value, str):
            found[key] = [_weight(each) if key == "weights" else each for each in _split(value, key)]
        else:
            found[key] = value
    own = {key: value for key, value in (train or {}).items() if value is not None}
    found["train"] = {**found["train"], **own}
    found["train_for"] = {
        model: {**each, **own} for model, each in found["train_for"].items() if model in found["models"]
    }
    grid = read(found, f"icr bench run {name}", Path.cwd())
    return replace(grid, data={**grid.data, **_data(data, grid)})


def _models(grid: Grid, value: str) -> dict[str, str]:
    return {
        (each if each in grid.models else Path(each).stem): grid.models.get(each, each)
        for each in _split(value, "models")
    }


def _data(given: Sequence[str], grid: Grid) -> dict[str, Source]:
    found = {}
    for each in given:
        name, equals, path = each.partition("=")
        if not (name and equals and path):
            raise InputError(f"--data {each}: expected NAME=PATH, such as --data crpd=sets/CRPD")
        relations = grid.data[name].relations if name in grid.data else ()
        found[name] = Source(path=Path(path).expanduser().resolve(), relations=relations)
    return found


def _split(value: str, key: str) -> list[str]:
    parts = [part.strip() for part in value.split(",")]
    if not all(parts):
        raise InputError(f"--{key} {value}: expected names with commas between them")
    return parts


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--weights {text}: expected numbers with commas between them, such as 1,2.5") from None
