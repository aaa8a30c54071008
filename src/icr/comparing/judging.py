"""From finished runs to a comparison: what each run found in the test pictures, measured and judged."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr import runs
from icr.errors import InputError

if TYPE_CHECKING:
    from icr.data.dataset import Dataset
    from icr.metrics.comparison import Comparison
    from icr.predictions import Predictions
    from icr.relations import Relation

Say = Callable[[str], None]


def judge_runs(
    pairs: Sequence[tuple[Path, Path]],
    dataset: Dataset,
    relations: Sequence[Relation],
    *,
    arms: tuple[str, str],
    device: str,
    resamples: int,
    remarks: Sequence[str],
    say: Say,
) -> Comparison:
    from icr.metrics.compare import compare, endpoints, measure
    from icr.metrics.comparison import Comparison
    from icr.metrics.verdict import FIXED
    from icr.relations import resolve

    split = "test" if dataset.splits.get("test") else "val"
    samples, resolved = dataset.splits[split], resolve(relations, dataset.names)

    def figures(run: Path) -> Any:
        predictions = predictions_of(run, dataset, split, device=device, say=say)
        return measure(samples, dataset.names, resolved, predictions, resamples=resamples)

    before, after = ([figures(pair[arm]) for pair in pairs] for arm in (0, 1))
    rows, said = compare(before, after, endpoints(dataset.names, resolved))
    if not rows:
        raise InputError(f"{dataset.source}: {split} holds no child and no pair, so there is nothing to compare")
    return Comparison(
        arms=arms,
        rows=rows,
        seeds=tuple((_seed(first), _seed(second)) for first, second in pairs),
        split=split,
        images=len(samples),
        evaluator=f"hotcoco {runs.package_versions().get('hotcoco', '')}".strip(),
        resamples=resamples,
        rules=FIXED,
        remarks=(*remarks, *said, *_acted([second for _, second in pairs])),
    )


def predictions_of(
    run: Path, dataset: Dataset, split: str, *, device: str = "cpu", say: Say = print
) -> list[Predictions]:
    """What the last epoch's weights of a run find in a split: as stored in the run folder, else predicted and stored.

    Raises:
        InputError: the run has neither stored predictions nor weights of its last epoch.
    """
    from icr.detectors import load
    from icr.metrics.evaluation import align
    from icr.metrics.stored import read_compressed, write_compressed

    stored, weights = run / f"predictions-{split}.json.gz", runs.weights_of(run, "last")
    if not stored.is_file():
        if weights is None:
            raise InputError(f"{run} holds neither {stored.name} nor weights/last; one of them is needed to compare")
        record = runs.read_record(run)
        samples = dataset.splits[split]
        say(f"predicting {split} ({len(samples)} pictures) with {weights}")
        predictor = load(weights, device.split(",")[0])
        found = predictor.predict(
            [sample.image for sample in samples], imgsz=record.get("imgsz"), batch=min(int(record.get("batch", 16)), 16)
        )
        predictions, said = align(list(found), predictor.names, dataset.names)
        for each in said:
            say(each)
        write_compressed(stored, dataset, split, predictions)
    return read_compressed(stored, dataset, split)


def _seed(run: Path) -> int:
    return int(runs.read_record(run).get("seed", -1))


def _acted(with_icr: Sequence[Path]) -> list[str]:
    """Say how much there was for ICR to act on, from the runs' own logs."""
    found = []
    for name, what in (("icr_factor", "factor"), ("icr_containment", "containment R")):
        curves = [curve for run in with_icr if (curve := _column(run / "results.csv", name))]
        if curves:
            first, last = (sum(curve[place] for curve in curves) / len(curves) for place in (0, -1))
            found.append(f"mean {what} {first:.2f} in the first epoch and {last:.2f} in the last")
    return [f"what there was for ICR to act on: {'; '.join(found)}"] if found else []


def _column(path: Path, name: str) -> list[float]:
    """The numbers of the training column of that name, whatever the engine puts before it."""
    try:
        with path.open(encoding="utf-8", newline="") as opened:
            rows = [{key.strip(): value for key, value in row.items() if key} for row in csv.DictReader(opened)]
        column = (
            next((key for key in rows[0] if key.endswith(name) and not key.startswith("val")), None) if rows else None
        )
        return [] if column is None else [float(row[column]) for row in rows]
    except (OSError, ValueError, TypeError):
        return []
