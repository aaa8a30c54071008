"""What there is to run, and what has been run."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from icr.bench import arms
from icr.bench.grid import Cell, Grid, load, presets
from icr.bench.store import GRID, failed, finished, grid_of
from icr.errors import InputError


def known_grids() -> list[dict[str, Any]]:
    """The presets: name, what it is in a line, number of trainings."""
    grids = [load(name) for name in presets()]
    return [{"name": grid.name, "about": grid.about, "cells": len(_trainings(grid))} for grid in grids]


def stores_in(folder: Path) -> list[dict[str, Any]]:
    """The stores in a folder, or the store that it is: cells finished, failed and waiting.

    Raises:
        InputError: a `grid.json` cannot be read.
    """
    files = [folder / GRID] if (folder / GRID).is_file() else sorted(folder.glob(f"*/{GRID}"))
    return [_told(file.parent) for file in files]


def _trainings(grid: Grid) -> set[Cell]:
    """The trainings that a grid asks for; those of models that are not known here are left out."""
    found: set[Cell] = set()
    for name, model in grid.models.items():
        with contextlib.suppress(InputError):
            found.update(arms.trained(replace(grid, models={name: model}).cells()))
    return found


def _told(store: Path) -> dict[str, Any]:
    grid = grid_of(store)
    asked = _trainings(grid)
    done, broken = {each.cell for each in finished(store)}, dict(failed(store))
    return {
        "store": str(store),
        "name": grid.name,
        "cells": len(asked | done),
        "finished": len(done),
        "failed": len(broken),
        "waiting": len(asked - done - broken.keys()),
        "failures": [{"cell": cell.key, "error": error} for cell, error in broken.items()],
    }
