"""Stores that no training made: predictions with a known share of the plates found, for each arm and seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from icr import runs
from icr.bench.grid import Cell, Grid, Source
from icr.bench.store import GRID, folder_of, write_cell
from icr.data.formats import read
from icr.metrics.stored import write_compressed
from icr.predictions import Predictions

WIDTH, HEIGHT = 320, 240
CAR = (20.0, 40.0, 300.0, 220.0)
PLATES = ((40.0, 150.0, 60.0, 160.0), (90.0, 150.0, 120.0, 162.0), (150.0, 120.0, 220.0, 150.0))
"""200, 360 and 2,100 px²: two small ones, one medium."""

Rate = Callable[[Cell], float]
"""The share of plates that a cell finds, 0..1."""


def write_data(folder: Path, pictures: int = 40) -> Path:
    """A YOLO data set of grey pictures, each of three plates on one car."""
    rows = [
        f"{kind} {(x1 + x2) / 2 / WIDTH} {(y1 + y2) / 2 / HEIGHT} {(x2 - x1) / WIDTH} {(y2 - y1) / HEIGHT}"
        for kind, (x1, y1, x2, y2) in ((1, CAR), *((0, plate) for plate in PLATES))
    ]
    for split, count in (("train", 1), ("val", 3), ("test", pictures)):
        for index in range(count):
            picture = folder / "images" / split / f"{split}{index}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (WIDTH, HEIGHT), 99).save(picture)
            label = folder / "labels" / split / f"{split}{index}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("\n".join(rows))
    listed = "".join(f"{split}: images/{split}\n" for split in ("train", "val", "test"))
    (folder / "data.yaml").write_text(f"{listed}names: [plate, car]\nrelations: [{{child: plate, parent: car}}]\n")
    return folder / "data.yaml"


def found_in(dataset: Any, rate: float, seed: int, luck: float = 0.02) -> list[Predictions]:
    """Each plate is found by the luck that all runs share, the rate, and a little luck of the run's own."""
    shared, own = np.random.default_rng(7), np.random.default_rng(seed)
    rate = rate + own.normal(0, luck)
    predictions = []
    for _ in dataset.splits["test"]:
        hits = shared.random(len(PLATES)) < rate
        boxes = np.array([CAR, *(plate for plate, hit in zip(PLATES, hits, strict=True) if hit)])
        scores = np.concatenate([[0.95], np.sort(own.uniform(0.5, 0.9, int(hits.sum())))[::-1]])
        predictions.append(Predictions(boxes, scores, np.array([1] + [0] * int(hits.sum()))))
    return predictions


def write_run(store: Path, cell: Cell, dataset: Any, rate: float, *, interrupted: str = "", epochs: int = 3) -> Path:
    """A finished cell, as a runner would have left it."""
    folder = folder_of(store, cell)
    folder.mkdir(parents=True, exist_ok=True)
    luck = sum(map(ord, cell.key))
    write_compressed(folder / "predictions-test.json.gz", dataset, "test", found_in(dataset, rate, luck))
    relations = [{"child": "plate", "parent": "car", "weight": cell.weight}]
    record = {
        "data": str(dataset.source),
        "data_fingerprint": runs.fingerprint(dataset),
        "model": cell.model,
        "relations": relations,
        "epochs": epochs,
        "imgsz": 320,
        "batch": 8,
        "seed": cell.seed,
        "trained": True,
        "versions": {"python": "3.11.7", "torch": "2.15.0"},
        "hardware": {"cpu": "a processor", "cores": 2, "gpus": [], "system": "Linux"},
        "git_commit": "0123456789abcdef",
    }
    runs.write_json(folder / runs.RECORD, record)
    steps = range(1, epochs + 1)
    (folder / "results.csv").write_text(
        "epoch,train/icr_pairs,train/icr_containment,train/icr_factor\n"
        + "".join(f"{epoch},12,{1 - 0.3 / epoch:.4f},{1 + 0.75 / epoch:.4f}\n" for epoch in steps)
    )
    (folder / "curve.csv").write_text(
        "epoch,class,AP,AP50\n"
        + "".join(
            f"{epoch},{name},{0.6 * value * epoch / epochs:.5f},{value * epoch / epochs:.5f}\n"
            for epoch in steps
            for name, value in (("plate", rate), ("car", 0.8))
        )
    )
    write_cell(folder, cell, "finished", seconds=60.0 + luck % 7, interrupted=interrupted)
    return folder


def write_store(
    folder: Path,
    rate: Rate,
    *,
    arms: Sequence[str] = ("baseline", "icr"),
    seeds: int = 4,
    bases: Sequence[str] = ("ciou",),
    weights: Sequence[float] = (2.5,),
    models: Mapping[str, str] | None = None,
    data: Mapping[str, Source] | None = None,
    pictures: int = 40,
    skip: Callable[[Cell], bool] = lambda cell: False,
) -> Path:
    """A whole store; the share of plates found is `rate` of each cell."""
    store = folder / "store"
    store.mkdir(parents=True)
    sources = data or {"scenes": Source(path=write_data(folder / "scenes", pictures))}
    grid = Grid("made-up", sources, models or {"small": "yolo11n"}, tuple(bases), tuple(weights), tuple(arms), seeds)
    runs.write_json(store / GRID, grid.record())
    for cell in grid.cells():
        if skip(cell):
            continue
        source = grid.data[cell.data]
        path = source.path
        if path is None:
            path = store / "data" / cell.data / f"seed{cell.seed}" / "data.yaml"
            if not path.is_file():
                write_data(path.parent, pictures)
        write_run(store, cell, read(path), rate(cell))
    return store
