"""The store's own tables: every arm, every difference, R and the factor by epoch, every run."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean, stdev
from typing import Any

from icr.bench.analysis import Analysis
from icr.bench.contrasts import Way
from icr.bench.evidence import line_of
from icr.bench.gathering import Run
from icr.bench.measuring import TINY
from icr.bench.table import Table

EPOCHS_SHOWN = 12
"""A table of epochs shows at most so many to a reader; its CSV and JSON hold all."""


def own_tables(analysis: Analysis) -> list[Table]:
    """All tables that are about this store alone; those without a row are left out."""
    tables = [arms(analysis), differences(analysis), by_epoch(analysis), runs(analysis)]
    return [table for table in tables if table.rows]


def arms(analysis: Analysis) -> Table:
    """Every way of training with its figures: mean and standard deviation over the seeds, points."""
    metrics = ("AP50", "AP_small", "AP", "AP_medium", "AR", "recall_tiny")
    rows, records = [], []
    for way, seeds in analysis.runs.items():
        material = analysis.materials[way.data]
        keys = [(f"{child} {metric}", f"{child}.{metric}") for child in material.children for metric in metrics]
        keys += [(f"{parent} AP", f"{parent}.AP") for parent in material.parents]
        keys += [("pair recall", "pairs.recall")]
        record: dict[str, Any] = {**_named(way), "seeds": len(seeds)}
        for name, key in keys:
            values = [found.value for run in seeds.values() if (found := run.figures.measured[key]).value >= 0]
            record[name] = round(100 * fmean(values), 3) if values else None
            record[f"{name} sd"] = round(100 * stdev(values), 3) if len(values) > 1 else None
        records.append(record)
    names = list(dict.fromkeys(key for record in records for key in record if key not in _NAMES and key[-3:] != " sd"))
    for (way, seeds), record in zip(analysis.runs.items(), records, strict=True):
        cells = [mean_and_spread(record.get(name), record.get(f"{name} sd")) for name in names]
        rows.append((way.row.told(), way.told(), str(len(seeds)), *cells))
    head = ("data · model · base", "arm", "seeds", *(name.replace("_", " ") for name in names))
    notes = (
        "Points (0..100), mean ± standard deviation over the seeds; test pictures, weights of the last epoch (EMA). "
        f"Recall tiny: children under {TINY:g} px², score ≥ 0.25, IoU ≥ 0.5. Verdicts stand with the differences.",
    )
    return Table("arms", "Every arm", head, tuple(rows), tuple(records), notes, words=2, ours=len(rows))


_NAMES = ("data", "model", "base", "arm", "weight", "seeds")


def _named(way: Way) -> dict[str, Any]:
    return {"data": way.data, "model": way.model, "base": way.base, "arm": way.arm, "weight": way.weight}


def differences(analysis: Analysis) -> Table:
    """Every claim that was judged, with its interval and verdict."""
    rows = []
    for each in analysis.findings:
        line = line_of(each)
        p = each.row.verdict.p
        rows.append(
            (
                line.where,
                each.contrast.told(),
                each.row.endpoint.name,
                line.word,
                line.ours,
                line.difference,
                str(len(each.seeds)),
                "" if p is None else f"{p:.2g}",
            )
        )
    records = [{**each.as_json(), "interval": _joined(each.row.interval)} for each in analysis.findings]
    flat = [
        {
            key: _joined(value) if isinstance(value, (list, tuple)) else value
            for key, value in record.items()
            if key != "need"
        }
        for record in records
    ]
    notes = (
        f"Points. p: two-sided, of no difference, after Holm's correction over all {len(rows)} claims of this report.",
    )
    head = ("data · model · base", "compared", "figure", "verdict", "before → after", "difference [95 %]", "pairs", "p")
    return Table("differences", "Every difference that was judged", head, tuple(rows), tuple(flat), notes, 4, len(rows))


def _joined(values: Sequence[Any] | None) -> str | None:
    return None if values is None else " ".join(str(value) for value in values)


def by_epoch(analysis: Analysis) -> Table:
    """R and the factor by epoch, mean over the seeds of each arm: how much there was for ICR to act on."""
    columns = {
        way: epochs for way, seeds in analysis.runs.items() if (epochs := relation_by_epoch(list(seeds.values())))
    }
    every = sorted({epoch for epochs in columns.values() for epoch in epochs})
    records = tuple(
        {**_named(way), "epoch": epoch, "pairs_per_batch": pairs, "containment": inside, "factor": factor}
        for way, epochs in columns.items()
        for epoch, (pairs, inside, factor) in epochs.items()
    )
    several = len({way.row for way in columns}) > 1
    head = ("epoch", *(f"{way.row.told()}, {way.told()}" if several else way.told() for way in columns))
    rows = tuple(
        (str(epoch), *(_r_and_factor(epochs.get(epoch)) for epochs in columns.values())) for epoch in spread(every)
    )
    notes = (
        "Mean containment R of the assigned child boxes, and in brackets the mean factor of their loss. R 1 and factor "
        "1 leave nothing to act on. The baseline logs R too; its λ is 0, and its factor therefore 1.",
    )
    return Table("relation-by-epoch", "R and the factor by epoch", head, rows, records, notes, ours=len(rows))


def relation_by_epoch(runs: Sequence[Run]) -> dict[int, tuple[float | None, float | None, float | None]]:
    """Pairs a batch, R and factor of each epoch, the mean over the runs that logged a number; None where none did."""
    found: dict[int, list[tuple[float, float, float]]] = {}
    for run in runs:
        for epoch, pairs, inside, factor in run.log:
            found.setdefault(epoch, []).append((pairs, inside, factor))
    return {epoch: (_mean(each, 0), _mean(each, 1), _mean(each, 2)) for epoch, each in sorted(found.items())}


def _mean(rows: Sequence[tuple[float, float, float]], place: int) -> float | None:
    values = [row[place] for row in rows if isfinite(row[place])]
    return round(fmean(values), 5) if values else None


def _r_and_factor(found: tuple[float | None, float | None, float | None] | None) -> str:
    if found is None or found[1] is None or found[2] is None:
        return "–"
    return f"{found[1]:.3f} ({found[2]:.2f})"


def spread(epochs: Sequence[int], most: int = EPOCHS_SHOWN) -> list[int]:
    """At most so many of the epochs, the first and the last among them, evenly spread.

    Example:
        >>> spread(range(1, 101), 4)
        [1, 34, 67, 100]
    """
    if len(epochs) <= most:
        return list(epochs)
    return [epochs[round(place * (len(epochs) - 1) / (most - 1))] for place in range(most)]


def runs(analysis: Analysis) -> Table:
    """Every cell that ran: how long it took, and whether it was interrupted."""
    rows, records = [], []
    for way, seeds in analysis.runs.items():
        for seed, run in seeds.items():
            stored = run.stored
            told = {"": "", "restarted": "restarted from zero", "continued": "continued exactly"}
            interrupted = told.get(stored.interrupted, stored.interrupted)
            rows.append((stored.cell.key, "finished", interrupted, f"{stored.seconds:.0f}"))
            record = {**_named(way), "seed": seed, "status": "finished", "seconds": stored.seconds}
            records.append({**record, "interrupted": stored.interrupted, "error": ""})
    for cell, error in analysis.failed:
        rows.append((cell.key, f"failed: {error}", "", ""))
        records.append({**_named(Way.of(cell)), "seed": cell.seed, "status": "failed", "seconds": None, "error": error})
    notes = (
        "Interrupted runs: a restarted one began again from zero, a continued one went on with every random state.",
    )
    head = ("run", "status", "interrupted", "seconds")
    return Table("runs", "The runs", head, tuple(rows), tuple(records), notes, words=3, ours=len(rows))


def mean_and_spread(mean: float | None, deviation: float | None) -> str:
    """A figure in points with its standard deviation.

    Example:
        >>> mean_and_spread(41.23, 1.34), mean_and_spread(41.23, None), mean_and_spread(None, None)
        ('41.2 ± 1.3', '41.2', '–')
    """
    if mean is None:
        return "–"
    return f"{mean:.1f}" if deviation is None else f"{mean:.1f} ± {deviation:.1f}"
