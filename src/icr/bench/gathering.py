"""The finished runs of a store with all their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from icr.bench import store as stores
from icr.bench.contrasts import Way
from icr.bench.measuring import Figures, measure
from icr.data.dataset import Dataset
from icr.errors import InputError
from icr.metrics.stored import read_compressed
from icr.relations import ResolvedRelation, read, resolve


@dataclass(frozen=True)
class Run:
    """A finished cell with its figures.

    Attributes:
        stored: as it lies in the store.
        figures: on the test pictures.
        curve: on the validation pictures, by epoch.
        log: by epoch: (epoch, pairs a batch, mean containment R, mean factor).
    """

    stored: stores.Stored
    figures: Figures
    curve: Sequence[stores.Measured]
    log: Sequence[tuple[int, float, float, float]]


@dataclass(frozen=True)
class Material:
    """A data set as far as the report needs it.

    Attributes:
        name: in the grid.
        source: path of what was read.
        split: the part that is reported: `test`, or `val` where there is no `test`.
        images, val_images: number of pictures in that part, and in `val`.
        children, parents: class names; a class that is both is a child.
        objects: labelled children and parents in that part.
    """

    name: str
    source: str
    split: str
    images: int
    val_images: int
    children: tuple[str, ...]
    parents: tuple[str, ...]
    objects: Mapping[str, int]


Runs: TypeAlias = Mapping[Way, Mapping[int, Run]]
"""Runs by way and seed."""


def gather(
    store: Path, resamples: int, step: Callable[[int, int], None], remarks: list[str]
) -> tuple[dict[str, Material], dict[Way, dict[int, Run]]]:
    """Measure every finished run of a store; what cannot be measured is left out, and said.

    Args:
        store: its folder.
        resamples: how often the test pictures are drawn again.
        step: called with the runs measured so far, and how many there are.
        remarks: what a person should know is added to it.

    Returns:
        The data sets by name, and the runs by way and seed.

    Raises:
        InputError: the folder is no store.
    """
    finished = stores.finished(store)
    opened: dict[str, tuple[Dataset, tuple[ResolvedRelation, ...], Material]] = {}
    runs: dict[Way, dict[int, Run]] = {}
    for done, stored in enumerate(finished):
        step(done, len(finished))
        cell = stored.cell
        try:
            if cell.data not in opened:
                opened[cell.data] = _open(store, stored)
            dataset, relations, material = opened[cell.data]
            found = read_compressed(stored.folder / f"predictions-{material.split}.json.gz", dataset, material.split)
            figures = measure(dataset.splits[material.split], dataset.names, relations, found, resamples=resamples)
        except InputError as error:
            remarks.append(f"left out: {cell.key}: {error}")
            continue
        curve, log = _by_epoch(stored, remarks)
        runs.setdefault(Way.of(cell), {}).setdefault(cell.seed, Run(stored, figures, curve, log))
    step(len(finished), len(finished))
    return {name: material for name, (_, _, material) in opened.items()}, runs


def _by_epoch(
    stored: stores.Stored, remarks: list[str]
) -> tuple[list[stores.Measured], list[tuple[int, float, float, float]]]:
    try:
        return stores.curve(stored), stores.relational_log(stored)
    except (ValueError, KeyError, TypeError) as error:
        remarks.append(f"{stored.cell.key}: curve.csv or results.csv cannot be read, so it has no curves ({error!r})")
        return [], []


def _open(store: Path, stored: stores.Stored) -> tuple[Dataset, tuple[ResolvedRelation, ...], Material]:
    dataset = stores.dataset_of(store, stored.cell)
    declared = stored.record.get("relations")
    relations = resolve(read(declared, str(stored.folder)) if declared else dataset.relations, dataset.names)
    split = "test" if dataset.splits.get("test") else "val"
    samples = dataset.splits.get(split) or []
    if not samples or not relations:
        lacking = "neither test nor val pictures" if not samples else "no relation"
        raise InputError(f"{dataset.source} has {lacking}, so nothing can be measured on it")
    labels = np.concatenate([sample.labels for sample in samples])
    children = tuple(dict.fromkeys(dataset.names[relation.child] for relation in relations))
    parents = dict.fromkeys(dataset.names[each] for relation in relations for each in relation.parents)
    material = Material(
        name=stored.cell.data,
        source=str(dataset.source),
        split=split,
        images=len(samples),
        val_images=len(dataset.splits.get("val") or []),
        children=children,
        parents=tuple(each for each in parents if each not in children),
        objects={name: int((labels == dataset.names.index(name)).sum()) for name in (*children, *parents)},
    )
    return dataset, relations, material


def learning(run: Run, child: str) -> float | None:
    """AP of a class on the validation pictures, averaged over the epochs; None without a curve."""
    values = [row.ap for row in run.curve if row.name == child and row.ap >= 0]
    return float(np.mean(values)) if values else None


def final(run: Run, name: str) -> stores.Measured | None:
    """What the validation pictures showed of a class after the last epoch; None where nothing was noted."""
    return max((row for row in run.curve if row.name == name), key=lambda row: row.epoch, default=None)
