"""Which cell comes next, and whether it still fits: the order that tells most soonest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from icr.bench.grid import WITHOUT_WEIGHT, Cell

PAIR = ("baseline", "icr")
"""The two arms of the question itself; they come first, one after the other."""

USUAL_WEIGHT = 2.5


def ordered(cells: Sequence[Cell]) -> list[Cell]:
    """Cells in the order that tells most soonest: every arm once before any twice, the pair of one seed together.

    Within a seed come first baseline and icr of each data set, model and base, at the weight nearest the paper's; then
    the other arms; then the other weights. Otherwise the order is kept.

    Example:
        >>> from icr.bench.grid import Grid, Source
        >>> grid = Grid("g", {"d": Source()}, {"m": "yolo11n"}, arms=("sum", "icr", "baseline"), seeds=2)
        >>> [f"{cell.arm} {cell.seed}" for cell in ordered(grid.cells())]
        ['baseline 0', 'icr 0', 'sum 0', 'baseline 1', 'icr 1', 'sum 1']
    """
    weights = {cell.weight for cell in cells if cell.arm not in WITHOUT_WEIGHT}
    usual = min(weights, key=lambda weight: abs(weight - USUAL_WEIGHT), default=0.0)
    groups: dict[tuple[str, str, str], set[str]] = {}
    for cell in cells:
        groups.setdefault((cell.data, cell.model, cell.base), set()).add(cell.arm)
    places = {group: place for place, group in enumerate(groups)}

    def place(cell: Cell) -> tuple[int, int, int, int]:
        group = (cell.data, cell.model, cell.base)
        stage = 0 if cell.arm in PAIR and groups[group].issuperset(PAIR) else 1
        if cell.arm not in WITHOUT_WEIGHT and cell.weight != usual:
            stage = 2
        return cell.seed, stage, places[group], PAIR.index(cell.arm) if cell.arm in PAIR else len(PAIR)

    return sorted(cells, key=place)


def next_ready(
    waiting: Sequence[Cell], finished: Collection[Cell], needed: Callable[[Cell], Collection[Cell]]
) -> Cell | None:
    """The first waiting cell that can begin now, for what it needs is finished; None when there is none.

    Example:
        >>> from dataclasses import replace
        >>> matched = Cell("d", "m", "ciou", "matched", 2.5, 0)
        >>> icr = replace(matched, arm="icr")
        >>> next_ready([matched, icr], [], lambda cell: [icr] if cell.arm == "matched" else []).arm
        'icr'
    """
    return next((cell for cell in waiting if all(each in finished for each in needed(cell))), None)


def estimate(cell: Cell, seconds: Mapping[Cell, float]) -> float | None:
    """How long a cell will take, in seconds, by what finished ones took; None when there is none to go by.

    The mean over the same data set and model; else over the same model, else over the same data set; else the longest.

    Example:
        >>> from dataclasses import replace
        >>> icr = Cell("d", "m", "ciou", "icr", 2.5, 0)
        >>> estimate(icr, {replace(icr, seed=1): 90.0, replace(icr, arm="sum"): 110.0, replace(icr, model="x"): 400.0})
        100.0
    """
    alike = (
        lambda other: (other.data, other.model) == (cell.data, cell.model),
        lambda other: other.model == cell.model,
        lambda other: other.data == cell.data,
    )
    for likeness in alike:
        times = [spent for other, spent in seconds.items() if likeness(other)]
        if times:
            return sum(times) / len(times)
    return max(seconds.values(), default=None)


def time_left(waiting: Sequence[Cell], seconds: Mapping[Cell, float], slots: int = 1) -> float | None:
    """How long the waiting cells will take on so many workers, in seconds; None when there is nothing to go by."""
    each = [estimate(cell, seconds) for cell in waiting]
    known = [spent for spent in each if spent is not None]
    return sum(known) / slots if known else None


def in_words(seconds: float) -> str:
    """A time in words.

    Example:
        >>> in_words(42), in_words(600), in_words(9000)
        ('42 s', '10 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
