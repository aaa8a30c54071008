"""Where inside its parent a class of children lies, and how large it is beside it: mean, spread and a map."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from icr.data.dataset import Dataset, Sample
from icr.relations import HALF

GRID = 24
"""Cells along each side of the map of a placement."""


@dataclass(frozen=True)
class Placement:
    """How the children of one class lie in the parents of another.

    Attributes:
        inside: children at least half inside a parent; the figures below are of these.
        size: lower quartile, median and upper quartile of a child's area as a share of its parent's.
        position: mean x and y of the child's centre in its parent: 0, 0 is the upper left corner, 1, 1 the lower right.
        spread: standard deviation of the same.
        heat: int64 (GRID, GRID), children by the cell of the parent that their centre lies in; row 0 is the top.
    """

    inside: int
    size: tuple[float, float, float]
    position: tuple[float, float]
    spread: tuple[float, float]
    heat: npt.NDArray[np.int64]


@dataclass
class _Gathered:
    sizes: array[float] = field(default_factory=lambda: array("d"))
    centres: array[float] = field(default_factory=lambda: array("d"))


def placements(dataset: Dataset) -> dict[tuple[str, str], Placement]:
    """Measure every ordered pair of classes of which some child lies in some parent, by geometry alone.

    A child counts once for each parent class, with the smallest parent that holds at least half of it.

    Returns:
        By the names of child and parent class.

    Example:
        >>> from pathlib import Path
        >>> boxes = np.array([[40.0, 60, 60, 70], [0, 0, 100, 100]])
        >>> sample = Sample(Path("a.jpg"), 640, 480, boxes, np.array([0, 1]), np.array([-2, -2]))
        >>> found = placements(Dataset(Path("d"), "yolo", ["plate", "car"], {"train": [sample]}))
        >>> found["plate", "car"].position, found["plate", "car"].size[1]
        ((0.5, 0.65), 0.02)
    """
    gathered: dict[tuple[int, int], _Gathered] = {}
    for samples in dataset.splits.values():
        for sample in samples:
            _gather(sample, gathered)
    names = dataset.names
    return {(names[child], names[parent]): _placement(each) for (child, parent), each in gathered.items()}


def _gather(sample: Sample, gathered: dict[tuple[int, int], _Gathered]) -> None:
    boxes, labels = sample.boxes, sample.labels
    if len(labels) < 2:
        return
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    shared = np.maximum(np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - low, 0).prod(2)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    areas = sides.prod(1)
    holds = (shared >= HALF * areas[:, None]) & (areas > 0)[:, None] & (areas > 0)[None, :]
    for parent in np.unique(labels).tolist():
        holders = np.where(holds & (labels == parent)[None, :], areas[None, :], np.inf)
        own = np.flatnonzero(np.isfinite(holders.min(1)) & (labels != parent))
        above = holders[own].argmin(1)
        centres = ((boxes[own, :2] + boxes[own, 2:]) / 2 - boxes[above, :2]) / sides[above]
        for child, size, centre in zip(
            labels[own].tolist(), (areas[own] / areas[above]).tolist(), centres.tolist(), strict=True
        ):
            found = gathered.setdefault((child, parent), _Gathered())
            found.sizes.append(size)
            found.centres.extend(centre)


def _placement(gathered: _Gathered) -> Placement:
    centres = np.array(gathered.centres).reshape(-1, 2)
    low, median, high = np.quantile(gathered.sizes, (0.25, 0.5, 0.75)).tolist()
    cells = np.clip((centres * GRID).astype(np.int64), 0, GRID - 1)
    heat = np.zeros((GRID, GRID), np.int64)
    np.add.at(heat, (cells[:, 1], cells[:, 0]), 1)
    (x, y), (x_spread, y_spread) = centres.mean(0).tolist(), centres.std(0).tolist()
    return Placement(len(centres), (low, median, high), (x, y), (x_spread, y_spread), heat)


def draw_placements(shown: Sequence[tuple[str, str, Placement]]) -> npt.NDArray[np.uint8]:
    """Draw one map for each pair of classes: the parent is the frame, dark is where its children's centres lie.

    Args:
        shown: child, parent and placement of each pair; at least one.

    Returns:
        uint8 RGB (H, W, 3).
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(len(shown), 4)
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(2.9 * columns, 3.5 * rows), dpi=110, layout="constrained", facecolor="white")
    canvas = FigureCanvasAgg(figure)
    for index, (child, parent, each) in enumerate(shown):
        axes = figure.add_subplot(rows, columns, index + 1)
        share = each.heat / each.inside
        axes.imshow(share, cmap="Blues", extent=(0, 1, 1, 0), vmin=0, interpolation="nearest")
        (x, y), (x_spread, y_spread) = each.position, each.spread
        axes.errorbar(x, y, xerr=x_spread, yerr=y_spread, color="#c0392b", capsize=2, linewidth=1, marker="o", ms=3)
        axes.set_title(f"{_short(child)} in {_short(parent)}", fontsize=10)
        axes.set_xlabel(f"{each.inside:,} inside, size {each.size[1]:.2g} of the parent", fontsize=7.5)
        axes.set_xticks([0, 0.5, 1])
        axes.set_yticks([0, 0.5, 1])
        axes.tick_params(labelsize=7)
    canvas.draw()
    drawn: npt.NDArray[np.uint8] = np.array(canvas.buffer_rgba(), np.uint8)[..., :3]
    return drawn


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
