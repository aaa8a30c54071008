"""Making a store, taking up one that is there, and keeping two runs out of the same."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from icr import runs
from icr.bench.grid import Grid
from icr.bench.store import GRID, Stored, grid_of
from icr.errors import InputError

_Entry = TypeVar("_Entry")

_LOCK = ".lock"
_PATIENCE = 15.0
"""Seconds to wait for the processes of a killed run, which end by themselves."""


def open_store(store: Path, grid: Grid) -> Grid:
    """Make the store of a grid, or add a grid to one that was made with the same settings.

    Args:
        store: a folder; new, or made by a grid with the same `train`, and the same data and models of the same names.
        grid: checked.

    Returns:
        The grid as the store holds it, its model files found in the store: this grid alone, not what was there before.

    Raises:
        InputError: the folder holds something else, or was made with other settings.
    """
    if (store / GRID).is_file():
        before = grid_of(store)
        _refuse_other(store, before, grid)
        whole = merged(before, grid)
    else:
        if store.exists() and (not store.is_dir() or any(each.name != _LOCK for each in store.iterdir())):
            raise InputError(f"{store} exists and is no store of a grid; nothing is written over: give another --out")
        store.mkdir(parents=True, exist_ok=True)
        whole = grid
    trained = {name: whole.training_of(name) for name in whole.models}
    kept = {name: _keep(store, model) for name, model in whole.models.items()}
    # What the presets of trainings say now, so that it is noticed when they say something else one day.
    runs.write_json(store / GRID, replace(whole, models=kept, train_for=trained).record())
    own = grid_of(store).models
    return replace(grid, models={name: own[name] for name in grid.models})


def merged(before: Grid, now: Grid) -> Grid:
    """The grid that holds the cells of both, and more where they differ in several dimensions at once.

    Example:
        >>> merged(Grid("g", {}, {}, seeds=2), Grid("g", {}, {}, arms=("icr", "sum"), first_seed=1, seeds=4)).seeds
        5
    """

    first = min(before.first_seed, now.first_seed)
    last = max(before.first_seed + before.seeds, now.first_seed + now.seeds)
    return replace(
        before,
        data={**before.data, **now.data},
        models={**before.models, **now.models},
        bases=_both(before.bases, now.bases),
        weights=_both(before.weights, now.weights),
        arms=_both(before.arms, now.arms),
        first_seed=first,
        seeds=last - first,
        train_for={**before.train_for, **now.train_for},
        own_bases={**before.own_bases, **now.own_bases},
    )


def _both(one: tuple[_Entry, ...], other: tuple[_Entry, ...]) -> tuple[_Entry, ...]:
    return tuple(dict.fromkeys((*one, *other)))


def refuse_other_data(stored: Iterable[Stored], fingerprints: Mapping[str, str]) -> None:
    """Refuse data that has changed since cells were trained on it.

    Args:
        stored: finished cells.
        fingerprints: of the data sets that are not generated, by name.

    Raises:
        InputError: names the first cell that rests on other data.
    """
    for each in stored:
        now = fingerprints.get(each.cell.data)
        if now is not None and each.record.get("data_fingerprint") not in (None, now):
            raise InputError(
                f"{each.folder} rests on other data than {each.cell.data} is now (by fingerprint); "
                "give the data it was made with, or another --out"
            )


@contextmanager
def locked(store: Path, say: Callable[[str], None]) -> Iterator[int]:
    """Keep others from working in a store meanwhile; gives the file descriptor that holds the lock.

    Raises:
        InputError: another run works in it.
    """
    store.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(store / _LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        _wait_for(descriptor, store, say)
        yield descriptor
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, store: Path, say: Callable[[str], None]) -> None:
    import fcntl

    until, told = time.monotonic() + _PATIENCE, False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise InputError(
                    f"another icr bench run works in {store}; wait for it, or give another --out"
                ) from None
            if not told:
                say(f"{store} is in use; waiting a little for it")
                told = True
            time.sleep(0.2)


def _refuse_other(store: Path, before: Grid, now: Grid) -> None:
    changed = runs.first_difference(before.train, now.train)
    where = "train: "
    for model in before.models.keys() & now.models.keys():
        if changed:
            break
        changed = runs.first_difference(before.training_of(model), now.training_of(model))
        where = f"model {model}: "
        if not changed and not _same_model(before.models[model], now.models[model]):
            changed = f"it was {before.models[model]} and is now {now.models[model]}"
    for name in before.data.keys() & now.data.keys():
        if not changed and before.data[name].synth != now.data[name].synth:
            one, other = (grid.data[name].synth or {} for grid in (before, now))
            changed, where = runs.first_difference(one, other) or "it was a path", f"data {name}: "
    if changed:
        raise InputError(f"{store} was made with other settings: {where}{changed}; give the same, or another --out")


def _same_model(one: str, other: str) -> bool:
    files = Path(one), Path(other)
    if all(file.is_file() for file in files):
        return files[0].read_bytes() == files[1].read_bytes()
    return one == other


def _keep(store: Path, model: str) -> str:
    """Copy a model that is a file into the store; returns what `grid.json` calls it."""
    file = Path(model)
    if not file.is_file():
        return model
    kept = store / "models" / file.name
    if not kept.is_file():
        kept.parent.mkdir(exist_ok=True)
        part = kept.with_name(f"{kept.name}.part")
        shutil.copyfile(file, part)
        part.replace(kept)
    elif kept.resolve() != file.resolve() and kept.read_bytes() != file.read_bytes():
        raise InputError(f"{model}: {kept} is another file of that name; rename one of them")
    return f"models/{file.name}"
