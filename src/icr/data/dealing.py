"""Dealing groups of pictures out to parts, so that the parts have their sizes and are alike in all else."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from icr.data.formats.text import counted
from icr.errors import InputError

_SWAPS = 20_000

_Table: TypeAlias = "npt.NDArray[np.float64]"
_Numbers: TypeAlias = "npt.NDArray[np.int64]"


def arrange(table: _Table, shares: Sequence[float], lot: random.Random) -> _Numbers:
    """Deal groups out to parts of given shares.

    Args:
        table: (G, F), what each group holds; the first column is its number of pictures.
        shares: of each part; they add up to 1.
        lot: draws the order of groups of one size, and the exchanges that are tried.

    Returns:
        The part of each group, int64 (G,); no part is empty where there are groups enough.

    Example:
        >>> arrange(np.array([[4.0, 4], [4, 0], [1, 1], [1, 0]]), [0.8, 0.2], random.Random(0)).tolist()
        [0, 0, 1, 1]
    """
    table, targets, scale = _balance(table, shares)
    numbers = list(range(len(table)))
    lot.shuffle(numbers)
    numbers.sort(key=lambda group: -table[group, 0])
    home, held = np.zeros(len(table), np.int64), np.zeros_like(targets)
    for group in numbers:
        part = _neediest(held - targets, table[group], scale)
        home[group] = part
        held[part] += table[group]
    _fill_empty(table, home, len(shares))
    _exchange(table, home, targets, scale, lot)
    return home


def _balance(table: _Table, shares: Sequence[float]) -> tuple[_Table, _Table, _Table]:
    """The columns that hold anything, what each part should hold of them, and the worth of a square of difference."""
    table = table[:, table.sum(0) > 0]
    totals, share = table.sum(0), np.array(shares)[:, None]
    targets = share * totals
    targets[:, 0] = _whole_parts(int(totals[0]), shares)
    scale = 1 / (totals**2 * np.maximum(share, 1e-9))
    scale[:, 0] *= max(table.shape[1] - 1, 1)  # the number of pictures is what was asked for
    return table, targets, scale


def _whole_parts(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers close to the shares of a total, which they add up to."""
    exact = [total * share for share in shares]
    whole = [math.floor(each + 1e-9) for each in exact]
    by_rest = sorted(range(len(exact)), key=lambda part: (whole[part] - exact[part], part))
    for part in by_rest[: total - sum(whole)]:
        whole[part] += 1
    return whole


def _neediest(over: _Table, group: _Table, scale: _Table) -> int:
    """The part to give a group to: of those with room for its pictures, the one it brings closest to its target."""
    room = over[:, 0] + group[0] <= 1e-9
    cost = (scale * group * (2 * over + group)).sum(1)
    if room.any():
        return int(np.where(room, cost, np.inf).argmin())
    excess = over[:, 0] + group[0]
    return int(np.where(excess <= excess.min() + 1e-9, cost, np.inf).argmin())


def _fill_empty(table: _Table, home: _Numbers, parts: int) -> None:
    for part in range(parts):
        counts = np.bincount(home, minlength=parts)
        if not counts[part] and counts.max() > 1:
            spare = np.flatnonzero(counts[home] > 1)
            home[spare[table[spare, 0].argmin()]] = part


def _exchange(table: _Table, home: _Numbers, targets: _Table, scale: _Table, lot: random.Random) -> None:
    """Let pairs of groups change places where that brings the parts closer to their targets."""
    held = np.zeros_like(targets)
    np.add.at(held, home, table)
    over = held - targets
    for _ in range(min(_SWAPS, 30 * len(table)) if len(table) > 1 else 0):
        one, other = lot.randrange(len(table)), lot.randrange(len(table))
        here, there = home[one], home[other]
        if here == there:
            continue
        change = table[other] - table[one]
        gain = (scale[here] * change * (2 * over[here] + change)).sum()
        gain += (scale[there] * change * (change - 2 * over[there])).sum()
        if gain < -1e-12:
            home[one], home[other] = there, here
            over[here] += change
            over[there] -= change


def arrange_exactly(table: _Table, sizes: Sequence[int], names: Sequence[str], lot: random.Random) -> _Numbers:
    """Deal groups out so that each part has at least so many pictures; a group of no part gets the number of parts.

    Raises:
        InputError: there are too few pictures, or whole groups cannot be dealt out so.
    """
    pictures, wanted = table[:, 0], sum(sizes)
    total = int(pictures.sum())
    if wanted > total:
        raise InputError(f"{wanted:,} pictures are asked for and there are {total:,}; ask for fewer, or use --ratios")
    rest = [total - wanted] if total > wanted else []
    home = arrange(table, [size / total for size in (*sizes, *rest)], lot)
    held = np.bincount(home, weights=pictures, minlength=len(sizes) + 1)
    while lacking := [part for part, size in enumerate(sizes) if held[part] < size]:
        part = lacking[0]
        spare = np.array([*(held[: len(sizes)] - sizes), np.inf])[home] - pictures
        spare[home == part] = -1
        donors = np.flatnonzero(spare >= 0)
        if not len(donors):
            reached = ", ".join(
                f"{name} {int(min(held[p], s))}" for p, (name, s) in enumerate(zip(names, sizes, strict=True))
            )
            raise InputError(
                f"{counted(len(table), 'group')} of {total:,} pictures cannot be dealt out whole as asked; reached: "
                f"{reached}; ask for fewer, or use --ratios"
            )
        enough = donors[pictures[donors] >= sizes[part] - held[part]]
        moved = enough[pictures[enough].argmin()] if len(enough) else donors[pictures[donors].argmax()]
        held[home[moved]] -= pictures[moved]
        held[part] += pictures[moved]
        home[moved] = part
    return home
