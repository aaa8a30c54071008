"""Charts of plain numbers: intervals, lines by epoch, a sweep, recall by area. Each as PNG and as SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from icr.bench.measuring import AREA_EDGES, Areas
from icr.metrics.verdict import EQUIVALENT, HELPS, HURTS
from icr.writing import write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_GROUND = "#ffffff"
INK, SOFT, GRID = "#1f2328", "#7d8590", "#c9ced6"
_THEME = {INK: "currentColor", GRID: "color-mix(in srgb, currentColor 18%, transparent)"}
"""In a page these colours follow the text's, so that a chart can be read on a light and on a dark ground."""

COLOURS = {
    "baseline": "#d97706",
    "icr": "#0d9488",
    "sum": "#8b5cf6",
    "step": "#db2777",
    "power": "#64748b",
    "matched": "#3b82f6",
    "pseudo-parent": "#84a318",
    "detached": "#b45345",
    "permuted": "#a16ac4",
}
"""Of the arms: apart from each other, and strong enough on white and on near black."""

_SPARE = ("#0891b2", "#ca8a04", "#e11d48", "#65a30d", "#7c3aed", "#ea580c")
VERDICTS = {HELPS: "#16a34a", HURTS: "#dc2626", EQUIVALENT: "#3b82f6"}


@dataclass(frozen=True)
class Mark:
    """One difference of a chart of intervals.

    Attributes:
        group: heading under which it stands.
        name: what was compared, in which figure.
        value: points.
        interval: its ends, None where there is none.
        word: the verdict.
    """

    group: str
    name: str
    value: float
    interval: tuple[float, float] | None
    word: str


@dataclass(frozen=True)
class Line:
    """One quantity by epoch or by weight.

    Attributes:
        name: in the legend.
        x: epochs or weights, rising.
        runs: for each run its values, NaN where it has none; the line is their mean.
    """

    name: str
    x: Sequence[float]
    runs: Sequence[Sequence[float]]


def intervals(marks: Sequence[Mark], margin: float) -> Figure:
    """Differences with their intervals, one below the other, coloured by verdict.

    Args:
        marks: in the order shown, those of one group together.
        margin: points; the band in which a difference is as good as none.
    """
    rows: list[Mark | str] = []
    for place, mark in enumerate(marks):
        if not place or marks[place - 1].group != mark.group:
            rows.append(mark.group)
        rows.append(mark)
    figure = _figure(8.4, 0.9 + 0.27 * len(rows))
    axes = figure.subplots()
    axes.axvspan(-margin, margin, color=SOFT, alpha=0.16, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.8)
    for place, row in enumerate(rows):
        if isinstance(row, str):
            continue
        colour = VERDICTS.get(row.word, SOFT)
        if row.interval is not None:
            axes.plot(row.interval, (place, place), color=colour, linewidth=1.8, solid_capstyle="butt")
        axes.plot(row.value, place, "o", color=colour, markersize=5)
        axes.text(1.01, place, row.word, transform=axes.get_yaxis_transform(), fontsize=8, color=colour, va="center")
    axes.set_yticks(range(len(rows)), [row if isinstance(row, str) else row.name for row in rows])
    for row, label in zip(rows, axes.get_yticklabels(), strict=True):
        label.set_fontweight("bold" if isinstance(row, str) else "normal")
    axes.set_ylim(len(rows) - 0.4, -0.8)
    axes.set_xlabel("difference, points, with its 95 % interval", fontsize=8.5)
    _plain(axes)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure


def by_epoch(panels: Sequence[tuple[str, Sequence[Line]]]) -> Figure:
    """Lines by epoch, a panel for each quantity: the mean over the seeds bold, each seed thin.

    Args:
        panels: title and lines of each.
    """
    figure = _figure(4.4 * len(panels), 3.1)
    for axes, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for place, line in enumerate(lines):
            _draw(axes, line, colour_of(line.name, place), marker="")
        axes.set_title(title, fontsize=9.5, loc="left", color=INK)
        axes.set_xlabel("epoch", fontsize=8.5)
        _whole_numbers(axes)
        _plain(axes)
    # The same arms stand in each panel, so one legend serves all.
    _legend(figure, [line.name for _, lines in panels[:1] for line in lines])
    return figure


def sweep(panels: Sequence[tuple[str, Sequence[Line]]], stable: tuple[float, float]) -> Figure:
    """Figures against λ: each seed a dot, their mean a line.

    Args:
        panels: title and lines of each.
        stable: the range in which the paper calls λ stable.
    """
    figure = _figure(4.4 * len(panels), 3.2)
    for axes, (title, lines) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.axvspan(*stable, color=SOFT, alpha=0.16, linewidth=0)
        for place, line in enumerate(lines):
            _draw(axes, line, colour_of(line.name, place), marker="o", thin=False)
        axes.set_title(title, fontsize=9.5, loc="left", color=INK)
        axes.set_xlabel("λ (0: without ICR); shaded: stable, says the paper", fontsize=8.5)
        _plain(axes)
    names = [line.name for _, lines in panels[:1] for line in lines]
    if len(names) > 1:
        _legend(figure, names)
    return figure


def areas(found: Mapping[str, Sequence[Areas]]) -> Figure:
    """Labelled and found children by area, and the share found in each bin.

    Args:
        found: for each way of training, the children of each of its runs, all on the same pictures.
    """
    figure = _figure(8.8, 3.5)
    counts, shares = figure.subplots(1, 2)
    labelled = np.array([each[1] for each in next(iter(found.values()))[0].recall_by_area()])
    used = np.flatnonzero(labelled)
    first, last = (int(used[0]), int(used[-1])) if used.size else (0, len(labelled) - 1)
    bins = np.arange(first, last + 1)
    counts.bar(bins - first, labelled[bins], width=0.86, color=SOFT, alpha=0.3, label="labelled")
    wide = 0.8 / max(len(found), 1)
    for place, (name, runs) in enumerate(found.items()):
        hits = np.array([[each[0] for each in run.recall_by_area()] for run in runs])[:, bins]
        colour = colour_of(name, place)
        offset = (place - (len(found) - 1) / 2) * wide
        counts.bar(bins - first + offset, hits.mean(axis=0), width=wide * 0.9, color=colour, label=f"found, {name}")
        ratio = np.divide(hits, labelled[bins], out=np.full(hits.shape, np.nan), where=labelled[bins] > 0)
        _draw(shares, Line(name, (bins - first).tolist(), ratio.tolist()), colour, marker="o", thin=False)
    names = [_bin_name(int(place)) for place in bins]
    for axes, title in (
        (counts, "children labelled (grey) and found (mean over the runs)"),
        (shares, "share found (each run a dot)"),
    ):
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_title(title, fontsize=9.5, loc="left", color=INK)
        axes.set_xlabel("area of the child, px²", fontsize=8.5)
        axes.set_ylim(bottom=0)
        _plain(axes)
    shares.set_ylim(0, 1.03)
    _legend(figure, list(found))
    return figure


def _bin_name(place: int) -> str:
    low, high = AREA_EDGES[place], AREA_EDGES[place + 1]
    return f"{low:g} –" if high == float("inf") else f"{low:g} – {high:g}"


def colour_of(name: str, place: int) -> str:
    """The colour of an arm (`icr λ 2.5` has that of `icr`), or the one of its place among others.

    Example:
        >>> colour_of("icr λ 2.5", 0) == colour_of("icr", 3)
        True
    """
    return COLOURS.get(name.partition(" ")[0], _SPARE[place % len(_SPARE)])


def _draw(axes: Axes, line: Line, colour: str, marker: str, thin: bool = True) -> None:
    x, runs = np.asarray(line.x, float), np.asarray(line.runs, float).reshape(len(line.runs), -1)
    if not runs.size or np.isnan(runs).all():
        return
    for run in runs if len(runs) > 1 else ():
        if thin:
            axes.plot(x, run, color=colour, linewidth=0.7, alpha=0.45)
        else:
            axes.plot(x, run, ".", color=colour, markersize=5, alpha=0.5)
    some = ~np.isnan(runs).all(axis=0)
    # A dot is all there is of a line with one point.
    single = "o" if some.sum() == 1 else marker
    mean = np.nanmean(runs[:, some], axis=0)
    axes.plot(x[some], mean, color=colour, linewidth=2, marker=single or None, markersize=4)


def _legend(figure: Figure, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour_of(name, place), linewidth=3, label=name) for place, name in enumerate(names)
    ]
    if handles:
        columns = min(len(handles), 6)
        found = figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5)
        for text in found.get_texts():
            text.set_color(INK)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(labelsize=8, colors=INK, color=GRID)
    axes.xaxis.label.set_color(INK)
    axes.grid(axis="both", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_facecolor("none")


def write(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write a chart as `stem.png` and `stem.svg`, each whole or not at all."""
    made = []
    for suffix, kept in ((".png", {"dpi": 140}), (".svg", {})):
        path = stem.with_name(stem.name + suffix)
        write_file(path, _rendered(figure, suffix[1:], stem.name, facecolor=_GROUND, **kept))
        made.append(path)
    return made[0], made[1]


def inline_svg(text: str, name: str, label: str) -> str:
    """A written chart as an `<svg>` element for a page: no reference to anything outside, colours that follow the text.

    Args:
        text: of the SVG file.
        name: sets the identifiers inside apart from those of other charts.
        label: read by screen readers.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    head, rest = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    found = f'<svg class="chart" {box.group() if box else ""} role="img" aria-label="{_quoted(label)}">{rest}'
    found = re.sub(r'(id="|#)', rf"\g<1>{name}-", found)
    # The line above also marks colours, which begin with # as well.
    found = re.sub(rf"#{re.escape(name)}-([0-9a-f]{{6}})\b", r"#\1", found)
    found = found.replace(f"fill: {_GROUND}", "fill: none", 1)
    for colour, follows in _THEME.items():
        found = found.replace(colour, follows)
    return found.replace("xlink:href", "href")


def _rendered(figure: Figure, kind: str, name: str, **kept: Any) -> bytes:
    import matplotlib

    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "path"}):
        # Without a date the same chart gives the same bytes.
        figure.savefig(content, format=kind, metadata={"Date": None} if kind == "svg" else None, **kept)
    return content.getvalue()


def _quoted(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
