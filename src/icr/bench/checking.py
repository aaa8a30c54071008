"""Everything a grid names, tried before anything trains: models, arms, bases, data, settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from icr import runs
from icr.bench import arms, generated
from icr.bench.grid import OWN, Grid, Source
from icr.detectors import check_device, engine, find, own_base
from icr.errors import InputError
from icr.losses import registry
from icr.training_settings import check_settings

Say = Callable[[str], None]


def without_missing_data(grid: Grid, say: Say) -> Grid:
    """Leave out, aloud, the data sets that the grid names but whose path nobody has given.

    Raises:
        InputError: none is left.
    """
    missing = {name: source for name, source in grid.data.items() if source.path is None and source.synth is None}
    if not missing:
        return grid
    told = "; ".join(
        f"--data {name}=PATH{f' ({source.get})' if source.get else ''}" for name, source in missing.items()
    )
    there = {name: source for name, source in grid.data.items() if name not in missing}
    if not there:
        raise InputError(f"{grid.name}: no data set is at hand; give {told}")
    say(f"left out, for its data is not at hand: {', '.join(missing)}; give {told}")
    return replace(grid, data=there)


def with_own_bases(grid: Grid) -> Grid:
    """Note each detector's own base, so that whoever reads the store need not have the engine that tells it of a file.

    Raises:
        InputError: a model cannot be used.
    """
    if OWN not in grid.bases:
        return grid
    return replace(grid, own_bases={name: own_base(find(model)) for name, model in grid.models.items()})


def check(grid: Grid, devices: Sequence[str]) -> dict[str, str]:
    """Try every entry of a grid.

    Args:
        grid: every data set of it has a path or is generated.
        devices: that cells will be trained on.

    Returns:
        The fingerprints of the data sets that are not generated.

    Raises:
        InputError: names the first entry that cannot be used.
    """
    for device in devices:
        check_device(device)
    for arm in grid.arms:
        arms.find(arm)
    for base in grid.bases:
        if base != OWN:
            registry.get(base)
    for name, model in grid.models.items():
        _check_model(grid, name, model)
    return {name: found for name, source in grid.data.items() if (found := _check_data(name, source))}


def _check_model(grid: Grid, name: str, model: str) -> None:
    detector = find(model)
    training_of = grid.training_of(name)
    try:
        check_settings(
            **{key: value for key, value in training_of.items() if key in ("imgsz", "epochs", "batch", "workers")}
        )
        engine(detector.engine).check_overrides_of(model, training_of["overrides"])
    except InputError as error:
        raise InputError(f"{grid.name}, model {name}: {error}") from None


def _check_data(name: str, source: Source) -> str:
    from icr.data.choosing import choose
    from icr.data.formats import read
    from icr.relations import resolve

    if source.synth is not None:
        generated.check(source.synth, f"data {name}")
        return ""
    if source.path is None:
        raise InputError(f"data {name} has neither path nor synth; give --data {name}=PATH")
    dataset = read(source.path)
    for split in ("train", "val"):
        if not dataset.splits.get(split):
            raise InputError(f"data {name}: {source.path} has no usable picture in {split}; a grid needs train and val")
    resolve(choose(source.relations, dataset).relations, dataset.names)
    return runs.fingerprint(dataset)
