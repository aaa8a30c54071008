"""Figures from runs at hand: areas of the children that runs find (Fig. 6), the λ sweep of a store (Fig. 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icr import runs as run_folders
from icr.bench import charts
from icr.bench.analysis import analyse
from icr.bench.contrasts import weights_of
from icr.bench.figures import safe, sweep
from icr.bench.measuring import AREA_EDGES, found_areas
from icr.bench.store import data_of_run
from icr.comparing.judging import predictions_of
from icr.data.dataset import Dataset
from icr.errors import InputError
from icr.relations import ResolvedRelation, read, resolve
from icr.writing import refuse_filled

Say = Callable[[str], None]


@dataclass(frozen=True)
class SameData:
    """Runs on one data set.

    Attributes:
        runs: their folders by the name they are shown under.
        dataset: what all of them were made on.
        relations: resolved, as the first run has them.
        split: `test`, or `val` where there is no `test`.
    """

    runs: dict[str, Path]
    dataset: Dataset
    relations: tuple[ResolvedRelation, ...]
    split: str


def same_data(folders: Sequence[Path], data: Path | None = None) -> SameData:
    """Open the data set that runs share.

    Args:
        folders: run folders.
        data: the data set, None: where the first run says it is.

    Raises:
        InputError: a folder is no run, the data is not there, or the runs rest on other data.
    """
    from icr.data.formats import read as read_data

    if not folders:
        raise InputError("no run is given; name one or more folders made by icr train")
    records = {folder: run_folders.read_record(folder) for folder in folders}
    first = records[folders[0]]
    source = data or data_of_run(folders[0], first)
    if not source.exists():
        raise InputError(f"{source}, the data of {folders[0]}, is not there from here; say where it is with --data")
    dataset = read_data(source)
    test = _test_pictures(dataset)
    for folder, record in records.items():
        other = data_of_run(folder, record)
        same = record.get("data_fingerprint") == first.get("data_fingerprint") is not None
        if same or folder == folders[0] or data is not None:
            continue
        if not other.exists() or _test_pictures(read_data(other)) != test:
            raise InputError(
                f"{folders[0]} and {folder} rest on different test pictures ({source}, {other}); "
                "only runs on the same pictures can stand in one figure"
            )
    declared = first.get("relations")
    relations = resolve(read(declared, str(folders[0])) if declared else dataset.relations, dataset.names)
    if not relations:
        raise InputError(f"{source} and {folders[0]} know no relation, so no class is a child")
    split = "test" if dataset.splits.get("test") else "val"
    if not dataset.splits.get(split):
        raise InputError(f"{source} has neither test nor val pictures")
    return SameData(_named(folders), dataset, relations, split)


def _test_pictures(dataset: Dataset) -> list[tuple[str, list[list[float]]]]:
    """What the pictures of a figure are: generated sets share them across seeds, their training pictures differ."""
    samples = dataset.splits.get("test") or dataset.splits.get("val") or []
    return [(sample.image.name, sample.boxes.round(3).tolist()) for sample in samples]


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    """Each run under as much of the end of its path as tells it from the others."""
    parts = [folder.resolve().parts for folder in folders]
    if len(set(parts)) < len(parts):
        raise InputError("a run is given twice; give each once")
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(each[-length:]) for each in parts]
        if len(set(names)) == len(names):
            return dict(zip(names, folders, strict=True))
    raise InputError("the runs cannot be told apart by their paths")


def draw_areas(
    folders: Sequence[Path],
    out: Path,
    *,
    data: Path | None = None,
    score: float = 0.25,
    device: str = "cpu",
    say: Say = print,
) -> dict[str, Any]:
    """Draw labelled and found children by area, a chart for each child class.

    Args:
        folders: runs on the same test pictures.
        out: a folder that is new or empty.
        data: the data set, None: where the first run says it is.
        score: predictions below it are left out, 0..1.
        device: to predict on, for runs that left no predictions.
        say: called with what a person should know.

    Returns:
        The files, and for each child class the bins, the children in each, and those that each run found.

    Raises:
        InputError: see `same_data`; or `out` holds something.
    """
    refuse_filled(out)
    same = same_data(folders, data)
    samples = same.dataset.splits[same.split]
    predictions = {
        name: predictions_of(folder, same.dataset, same.split, device=device, say=say)
        for name, folder in same.runs.items()
    }
    out.mkdir(parents=True, exist_ok=True)
    files: list[str] = []
    children: list[dict[str, Any]] = []
    for label in dict.fromkeys(relation.child for relation in same.relations):
        child = same.dataset.names[label]
        found = {name: found_areas(samples, each, label, score=score) for name, each in predictions.items()}
        bins = {name: areas.recall_by_area() for name, areas in found.items()}
        chart = charts.areas({name: [areas] for name, areas in found.items()})
        files += map(str, charts.write(chart, out / f"areas-{safe(child)}"))
        children.append(
            {
                "class": child,
                # JSON knows no infinity; the last bin is open.
                "edges": [edge if edge != float("inf") else None for edge in AREA_EDGES],
                "labelled": [labelled for _, labelled in next(iter(bins.values()))],
                "runs": {
                    name: {"found": [hits for hits, _ in bins[name]], "smallest_found": areas.smallest_found}
                    for name, areas in found.items()
                },
            }
        )
    drawn = {"split": same.split, "score": score, "children": children, "files": files}
    run_folders.write_json(out / "areas.json", drawn)
    return drawn


def draw_sweep(store: Path, out: Path, step: Callable[[int, int], None] = lambda done, total: None) -> dict[str, Any]:
    """Draw the figures of the child against λ, a chart for each data set, model and base with several weights.

    Args:
        store: a folder made by `icr bench run`.
        out: a folder that is new or empty.
        step: called with the runs measured so far, and how many there are.

    Returns:
        The files, and the weights of each row.

    Raises:
        InputError: the folder is no store, no row has two weights, or `out` holds something.
    """
    refuse_filled(out)
    # No interval is drawn, so two resamples do.
    analysis = analyse(store, resamples=2, step=step)
    shown = {row: found for row in analysis.rows if (found := sweep(analysis, row))}
    if not shown:
        raise InputError(f"{store} has no ICR runs with two or more weights; icr bench run fig4 makes such a store")
    out.mkdir(parents=True, exist_ok=True)
    files = [str(path) for found in shown.values() for path in charts.write(found.figure, out / found.name)]
    rows = [{"row": row.told(), "weights": weights_of(analysis.runs, row)} for row in shown]
    return {"files": files, "rows": rows}
