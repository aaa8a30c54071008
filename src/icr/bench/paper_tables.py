"""Tables 2, 3 and 4 as the paper prints them, our figures beside its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from icr.bench import paper
from icr.bench.analysis import Analysis
from icr.bench.contrasts import BASELINE, ICR, Row, Way, chosen
from icr.bench.gathering import Run, final
from icr.bench.table import Table
from icr.errors import InputError

Ours = Callable[[str], float | None]
"""From the name of one of the paper's columns to our figure, in per cent."""

_NOTE = (
    "In each cell the paper's figure / ours, per cent. Ours is the mean over the seeds with the weights of the last "
    "epoch; the paper has one run a cell. Our validation figures are the engine's own, which has none by size."
)


def paper_tables(analysis: Analysis) -> list[Table]:
    """Table 2 for each data set of the store, Table 3 for each model, Table 4 for each of both."""
    data, models = list(analysis.materials), list(dict.fromkeys(row.model for row in analysis.rows))
    tables = [_table2(analysis, name) for name in data]
    tables += [_table3(analysis, model) for model in models]
    both = dict.fromkeys((row.data, row.model) for row in analysis.rows)
    return [*tables, *(_table4(analysis, name, model) for name, model in both)]


def _table2(analysis: Analysis, data: str) -> Table:
    """Models × ICR."""
    rows = _first_base(row for row in analysis.rows if row.data == data)
    matched = {row: paper_model(analysis.grid.models.get(row.model, row.model)) for row in rows}
    ours = {
        (label, arm): _way(analysis, row, arm) for row, label in matched.items() if label for arm in (BASELINE, ICR)
    }
    lines: list[tuple[dict[str, str], Way | None]] = [
        (theirs, ours.get((f"{theirs['model']} {theirs['backbone']}".strip(), _arm(theirs["icr"]))))
        for theirs in paper.table(2)
    ]
    for row in (row for row, label in matched.items() if not label):
        lines += [({"model": row.model, "icr": told}, _way(analysis, row, arm)) for told, arm in _BOTH]
    title = f"Table 2: models on {data} (the paper: SVMLP)"
    return _table(f"table2-{data}", title, ("model", "backbone", "epochs", "icr"), paper.table(2), lines, analysis)


def _table3(analysis: Analysis, model: str) -> Table:
    """Data sets × ICR."""
    rows = _first_base(row for row in analysis.rows if row.model == model)
    matched = {row: paper_data(row.data) for row in rows}
    ours = {
        (label, arm): _way(analysis, row, arm) for row, label in matched.items() if label for arm in (BASELINE, ICR)
    }
    lines: list[tuple[dict[str, str], Way | None]] = [
        (theirs, ours.get((theirs["dataset"], _arm(theirs["icr"])))) for theirs in paper.table(3)
    ]
    for row in (row for row, label in matched.items() if not label):
        lines += [({"dataset": row.data, "icr": told}, _way(analysis, row, arm)) for told, arm in _BOTH]
    title = f"Table 3: data sets with {model} (the paper: YOLOv9-T)"
    return _table(f"table3-{model}", title, ("dataset", "icr"), paper.table(3), lines, analysis)


def _table4(analysis: Analysis, data: str, model: str) -> Table:
    """Base losses × ICR."""
    rows = {row.base: row for row in analysis.rows if (row.data, row.model) == (data, model)}
    theirs = paper.table(4)
    lines = [(each, _way(analysis, rows.get(each["base"]), _arm(each["icr"]))) for each in theirs]
    for base in (base for base in rows if base not in {each["base"] for each in theirs}):
        lines += [({"base": base, "icr": told}, _way(analysis, rows[base], arm)) for told, arm in _BOTH]
    title = f"Table 4: base losses on {data} with {model} (the paper: YOLOv9-T on SVMLP, validation)"
    return _table(f"table4-{data}-{model}", title, ("base", "icr"), theirs, lines, analysis)


_BOTH = (("no", BASELINE), ("yes", ICR))


def _arm(icr: str) -> str:
    return ICR if icr == "yes" else BASELINE


def _way(analysis: Analysis, row: Row | None, arm: str) -> Way | None:
    return None if row is None else chosen(analysis.runs, row, arm)


def _first_base(rows: Iterable[Row]) -> list[Row]:
    """One row for each data set and model: that of the base that comes first."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        found.setdefault((row.data, row.model), row)
    return list(found.values())


def _table(
    name: str,
    title: str,
    words: Sequence[str],
    theirs: Sequence[Mapping[str, str]],
    lines: Sequence[tuple[Mapping[str, str], Way | None]],
    analysis: Analysis,
) -> Table:
    figures = [column for column in theirs[0] if re.match(r"(val|test)_", column)]
    rows, records, with_ours = [], [], 0
    for line, way in lines:
        ours = _ours(analysis, way)
        values = {column: ours(column) for column in figures}
        with_ours += any(value is not None for value in values.values())
        rows.append(
            (
                *(line.get(word, "") for word in words),
                *(_beside(line.get(column), values[column]) for column in figures),
            )
        )
        record: dict[str, Any] = {word: line.get(word, "") for word in words}
        for column in figures:
            record |= {f"{column}_paper": _number(line.get(column)), f"{column}_ours": values[column]}
        records.append({**record, "seeds": len(analysis.runs[way]) if way else 0})
    head = (*words, *(_heading(column) for column in figures))
    return Table(name, title, head, tuple(rows), tuple(records), (_NOTE,), len(words), with_ours)


def _ours(analysis: Analysis, way: Way | None) -> Ours:
    def figure(column: str) -> float | None:
        if way is None:
            return None
        split, _, metric = column.partition("_")
        metric, _, kind = metric.partition("_")
        material = analysis.materials[way.data]
        # In Table 2 every figure is the plate's; elsewhere those without a class are.
        names = material.parents if kind == "vehicle" else material.children
        size = {"s": "AP_small", "m": "AP_medium"}.get(kind, {"ap50": "AP50", "ap": "AP"}[metric])
        values = [
            value
            for run in analysis.runs[way].values()
            for name in names[:1]
            if (value := _of(run, split, name, size)) >= 0
        ]
        return round(100 * fmean(values), 3) if values else None

    return figure


def _of(run: Run, split: str, name: str, metric: str) -> float:
    """A figure of a run, 0..1, -1 where there is none."""
    if split == "test":
        return run.figures.measured[f"{name}.{metric}"].value
    last = final(run, name)
    if last is None or metric not in ("AP", "AP50"):
        return -1.0
    return last.ap if metric == "AP" else last.ap50


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _beside(theirs: str | None, ours: float | None) -> str:
    """Both figures in one cell.

    Example:
        >>> _beside("60.6", 41.234), _beside("60.6", None), _beside(None, 41.234), _beside(None, None)
        ('60.6 / 41.2', '60.6 / –', '– / 41.2', '–')
    """
    if not theirs and ours is None:
        return "–"
    return f"{theirs or '–'} / {'–' if ours is None else f'{ours:.1f}'}"


def _heading(column: str) -> str:
    """A column's name as people write it.

    Example:
        >>> _heading("test_ap_s"), _heading("val_ap50_plate")
        ('test AP small', 'val AP50 plate')
    """
    words = {"ap": "AP", "ap50": "AP50", "s": "small", "m": "medium"}
    return " ".join(words.get(word, word) for word in column.split("_"))


def paper_model(model: str) -> str | None:
    """The row of the paper's Table 2 that a detector stands for.

    Example:
        >>> paper_model("yolo11n"), paper_model("no-such-detector")
        ('YOLOv11-T', None)
    """
    from icr.detectors import find

    try:
        return find(model).paper
    except InputError:
        return None


def paper_data(name: str) -> str | None:
    """The data set of the paper's Table 3 whose name a data set of a grid begins with.

    Example:
        >>> paper_data("svmlp-generated"), paper_data("ufpr_alpr"), paper_data("scenes")
        ('SVMLP', 'UFPR-ALPR', None)
    """
    own = re.sub(r"[^a-z0-9]", "", name.lower())
    for each in dict.fromkeys(row["dataset"] for row in paper.table(3)):
        short = re.sub(r"[^a-z0-9]", "", each.partition("(")[0].lower())
        if own.startswith(short):
            return each
    return None
