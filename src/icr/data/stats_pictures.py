"""Pictures of a data set's figures: how large boxes are, how many children a picture has, where boxes lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from icr.data.stats import MEDIUM, SMALL, Boxes, Stats

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Picture = npt.NDArray[np.uint8]

CLASSES, CELLS = 8, 32
_COLOURS = ("#2563a8", "#d1602b", "#3a8f5d", "#8a5aa8", "#b08a1e", "#c0392b", "#4a9aa8", "#7a7a7a")


def draw(stats: Sequence[Stats]) -> dict[str, Picture]:
    """Draw the figures of sets side by side, a row each.

    Returns:
        uint8 RGB pictures by name: ``areas``, ``shares``, ``children``, ``positions``.
    """
    return {
        "areas": _figure(stats, _areas, 6.4, 2.7),
        "shares": _figure(stats, _shares, 6.4, 2.7),
        "children": _figure(stats, _children, 6.4, 2.7),
        "positions": _positions(stats),
    }


def _figure(stats: Sequence[Stats], paint: Callable[[Axes, Stats], None], width: float, height: float) -> Picture:
    figure, render = _canvas(width, height * len(stats))
    grid = figure.subplots(len(stats), 1, squeeze=False, sharex=True)
    for axes, each in zip(grid[:, 0], stats, strict=True):
        paint(axes, each)
        axes.set_title(_short(each.name), fontsize=9, loc="left", pad=12)
        axes.tick_params(labelsize=7.5)
        axes.spines[["top", "right"]].set_visible(False)
        if axes is not grid[-1, 0]:
            axes.set_xlabel("")
    return render()


def _canvas(width: float, height: float) -> tuple[Any, Callable[[], Picture]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)

    def render() -> Picture:
        canvas.draw()
        picture: Picture = np.array(canvas.buffer_rgba(), np.uint8)[..., :3]
        return picture

    return figure, render


def _drawn(stats: Stats) -> list[tuple[str, Boxes]]:
    """The classes worth drawing: children first, then the most frequent."""
    filled = [(name, boxes) for name, boxes in stats.boxes.items() if len(boxes.areas)]
    return sorted(filled, key=lambda item: (item[0] not in stats.child_classes, -len(item[1].areas)))[:CLASSES]


def _areas(axes: Axes, stats: Stats) -> None:
    _histogram(axes, [(name, boxes.areas) for name, boxes in _drawn(stats)])
    for edge, word in ((SMALL, "small | medium"), (MEDIUM, "medium | large")):
        axes.axvline(edge, color="#555", linewidth=0.8, linestyle=":")
        axes.annotate(
            word, (edge, 1), xycoords=("data", "axes fraction"), ha="center", va="bottom", fontsize=6.5, color="#555"
        )
    axes.set_xlabel("area of the box, px²", fontsize=8)


def _shares(axes: Axes, stats: Stats) -> None:
    _histogram(axes, [(name, boxes.shares[np.isfinite(boxes.shares)]) for name, boxes in _drawn(stats)])
    axes.set_xlabel("area of the box as a share of its picture", fontsize=8)


def _histogram(axes: Axes, values: Sequence[tuple[str, npt.NDArray[np.float64]]]) -> None:
    """Outlines of histograms over a logarithmic axis, one colour each."""
    shown = [(name, each[each > 0]) for name, each in values if (each > 0).any()]
    axes.set_xscale("log")
    axes.set_ylabel("boxes", fontsize=8)
    if not shown:
        return
    every = np.concatenate([each for _, each in shown])
    edges = np.geomspace(every.min() * 0.999, every.max() * 1.001, 45).tolist()
    for (name, each), colour in zip(shown, _COLOURS, strict=False):
        axes.hist(each, edges, histtype="stepfilled", color=colour, alpha=0.25)
        axes.hist(each, edges, histtype="step", color=colour, linewidth=1.2, label=f"{_short(name, 24)}, {len(each):,}")
    axes.legend(fontsize=7, frameon=False)


def _children(axes: Axes, stats: Stats) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("children in a picture", fontsize=8)
    axes.set_ylabel("pictures", fontsize=8)
    if not stats.child_classes or not len(stats.children):
        axes.annotate("no class is a child", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=8)
        return
    counts = np.bincount(stats.children)
    axes.bar(np.arange(len(counts)), counts, width=0.8, color=_COLOURS[0])
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))


def _positions(stats: Sequence[Stats]) -> Picture:
    """Where in the picture the centres of boxes lie: a row for each set, a map for each class."""
    columns = max(1, *(len(_drawn(each)) for each in stats))
    figure, render = _canvas(2.6 * columns, 2.3 * len(stats))
    grid = figure.subplots(len(stats), columns, squeeze=False)
    for row, each in zip(grid, stats, strict=True):
        drawn = _drawn(each)
        for axes in row[len(drawn) :]:
            axes.set_visible(False)
        width, height = each.resolutions.most_common(1)[0][0] if each.resolutions else (4, 3)
        for axes, (name, boxes) in zip(row, drawn, strict=False):
            known = boxes.centres[np.isfinite(boxes.centres).all(1)]
            heat, _, _ = np.histogram2d(known[:, 1], known[:, 0], bins=(CELLS, CELLS), range=((0, 1), (0, 1)))
            axes.imshow(heat, cmap="Blues", extent=(0, 1, 1, 0), aspect=(height or 3) / (width or 4))
            axes.set_title(f"{_short(name, 24)}\n{_short(each.name, 30)}", fontsize=7.5)
            axes.set_xticks([])
            axes.set_yticks([])
    return render()


def _short(name: str, letters: int = 70) -> str:
    return name if len(name) <= letters else f"…{name[1 - letters :]}"
