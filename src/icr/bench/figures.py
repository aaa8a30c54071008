"""The figures of a report: which charts a store gives, and what stands below each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from icr.bench import charts
from icr.bench.analysis import Analysis
from icr.bench.contrasts import BASELINE, ICR, Row, Way, chosen, weights_of
from icr.bench.gathering import Run
from icr.bench.paper import stable_weights

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MARKS_SHOWN = 48
"""A chart of intervals shows all claims up to so many, else those that decide."""


@dataclass(frozen=True)
class Shown:
    """A chart of the report.

    Attributes:
        name: of its files.
        title: above it.
        caption: below it.
        figure: the chart.
    """

    name: str
    title: str
    caption: str
    figure: Figure


def figures(analysis: Analysis) -> list[Shown]:
    """Every chart that the store gives something for."""
    found = [_differences(analysis)] if analysis.findings else []
    for row in analysis.rows:
        found += [each for each in (_relation(analysis, row), _learning(analysis, row)) if each]
        found += [each for each in (sweep(analysis, row), *_areas(analysis, row)) if each]
    return found


def _differences(analysis: Analysis) -> Shown:
    shown = analysis.findings
    if len(shown) > MARKS_SHOWN:
        shown = tuple(each for each in shown if each.row.endpoint.key.endswith(".AP50"))
    marks = [
        charts.Mark(
            group=each.contrast.after.row.told(),
            name=f"{each.contrast.told()}: {each.row.endpoint.name}",
            value=100 * each.row.mean,
            interval=None if each.row.interval is None else (100 * each.row.interval[0], 100 * each.row.interval[1]),
            word=each.row.verdict.word,
        )
        for each in shown
    ]
    left = "" if len(shown) == len(analysis.findings) else " The chart shows AP50 alone; the table has all of them."
    caption = (
        f"Each claim with its own 95 % interval; the words are corrected for all {len(analysis.findings)} claims. "
        f"Shaded: within ±{100 * analysis.rules.margin:g} point, as good as none.{left}"
    )
    return Shown("differences", "Differences", caption, charts.intervals(marks, 100 * analysis.rules.margin))


def _relation(analysis: Analysis, row: Row) -> Shown | None:
    ways = {way: runs for way, runs in _shown_ways(analysis, row).items() if any(run.log for run in runs)}
    if not ways:
        return None
    panels = [
        (
            title,
            [_line(way, [{entry[0]: entry[place] for entry in run.log} for run in runs]) for way, runs in ways.items()],
        )
        for title, place in (("mean containment R", 2), ("mean factor of the child's loss", 3))
    ]
    caption = "How much there was for ICR to act on, in training. Bold: the mean over the seeds; thin: each of them."
    return Shown(f"relation-{_file(row)}", f"R and the factor by epoch, {row.told()}", caption, charts.by_epoch(panels))


def _learning(analysis: Analysis, row: Row) -> Shown | None:
    ways = {way: runs for way, runs in _shown_ways(analysis, row).items() if any(run.curve for run in runs)}
    if not ways:
        return None
    panels = [
        (f"{child} {metric}", [_line(way, [_curve(run, child, metric) for run in runs]) for way, runs in ways.items()])
        for child in analysis.materials[row.data].children[:2]
        for metric in ("AP", "AP50")
    ]
    caption = "On the validation pictures, points, by the engine's own validation. Bold: the mean over the seeds."
    return Shown(f"learning-{_file(row)}", f"AP by epoch, {row.told()}", caption, charts.by_epoch(panels))


def _curve(run: Run, child: str, metric: str) -> dict[int, float]:
    return {
        each.epoch: 100 * (each.ap if metric == "AP" else each.ap50)
        for each in run.curve
        if each.name == child and each.ap >= 0
    }


def sweep(analysis: Analysis, row: Row) -> Shown | None:
    """The paper's Fig. 4 for one row: AP50 and AP of the child against λ; None with fewer than two weights."""
    weights = weights_of(analysis.runs, row)
    if len(weights) < 2:
        return None
    plain = chosen(analysis.runs, row, BASELINE)
    ways = ([plain] if plain else []) + [Way(row.data, row.model, row.base, ICR, weight) for weight in weights]
    seeds = sorted({seed for way in ways for seed in analysis.runs[way]})
    panels = []
    for child in analysis.materials[row.data].children[:1]:
        for metric in ("AP50", "AP"):
            values = [[_measured(analysis.runs[way].get(seed), f"{child}.{metric}") for way in ways] for seed in seeds]
            panels.append((f"{child} {metric}, points", [charts.Line(row.base, [way.weight for way in ways], values)]))
    low, high, best = stable_weights()
    caption = f"Each dot is a seed, the line their mean. The paper: stable from {low:g} to {high:g}, best at {best:g}."
    return Shown(f"sweep-{_file(row)}", f"λ, {row.told()}", caption, charts.sweep(panels, (low, high)))


def _measured(run: Run | None, key: str) -> float:
    found = run.figures.measured.get(key) if run else None
    return 100 * found.value if found is not None and found.value >= 0 else math.nan


def _areas(analysis: Analysis, row: Row) -> list[Shown]:
    ways = [way for arm in (BASELINE, ICR) if (way := chosen(analysis.runs, row, arm))]
    found = []
    for child in analysis.materials[row.data].children if ways else ():
        named = {way.told(): [run.figures.areas[child] for run in analysis.runs[way].values()] for way in ways}
        if not any(len(areas.area) for runs in named.values() for areas in runs):
            continue
        smallest = ", ".join(
            f"{name} {min(hits):.0f} px²"
            for name, runs in named.items()
            if (hits := [each.smallest_found for each in runs if each.smallest_found >= 0])
        )
        caption = "Test pictures, score ≥ 0.25, IoU ≥ 0.5." + (
            f" Smallest found by any seed: {smallest}." if smallest else ""
        )
        title = f"{child} found by area, {row.told()}"
        found.append(Shown(f"areas-{safe(child)}-{_file(row)}", title, caption, charts.areas(named)))
    return found


def _shown_ways(analysis: Analysis, row: Row) -> Mapping[Way, Sequence[Run]]:
    """One way for each arm of a row: that of the reference weight."""
    arms = dict.fromkeys(way.arm for way in analysis.runs if way.row == row)
    ways = [way for arm in arms if (way := chosen(analysis.runs, row, arm))]
    return {way: list(analysis.runs[way].values()) for way in ways}


def _line(way: Way, runs: Sequence[Mapping[int, float]]) -> charts.Line:
    epochs = sorted({epoch for run in runs for epoch in run})
    return charts.Line(way.told(), epochs, [[run.get(epoch, math.nan) for epoch in epochs] for run in runs])


def _file(row: Row) -> str:
    return safe(f"{row.data}-{row.model}-{row.base}")


def safe(text: str) -> str:
    """A name of letters, digits and dashes, for files and identifiers.

    Example:
        >>> safe("licence plate/1")
        'licence-plate-1'
    """
    return "".join(letter if letter.isalnum() else "-" for letter in text)
