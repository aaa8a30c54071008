"""The figures of data sets as text: several side by side, as the paper's Table 1 prints them, and one in full."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from icr.data.formats.text import counted
from icr.data.stats import Boxes, Stats, percentiles


def paper_rows() -> list[dict[str, Any]]:
    """The rows of the paper's Table 1, numbers as numbers.

    Example:
        >>> [row["dataset"] for row in paper_rows()]
        ['UFPR-ALPR', 'CRPD', 'LSV-LP (move to move)', 'SVMLP']
    """
    text = (files("icr") / "paper" / "table1.csv").read_text(encoding="utf-8")
    return [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(text.splitlines())]


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def table(stats: Sequence[Stats], *, paper: bool = False) -> str:
    """The sets side by side, a row each, as the paper's Table 1 prints them; with `paper`, its own rows below.

    Where the paper says that distances are narrow or wide, a measured set has its `Stats.size_range`.
    """
    head = ("data set", "children", "images", "an image", "mean", "smallest px²", "resolutions", "distances", "light")
    rows = [_row(each) for each in stats]
    rows += [_paper_row(each) for each in paper_rows()] if paper else []
    return _columns([head, *rows], left=(0, 6, 7, 8))


def _row(stats: Stats) -> tuple[str, ...]:
    least, mean, most = stats.per_image
    known = bool(stats.child_classes)
    return (
        stats.name,
        f"{int(stats.children.sum()):,}" if known else "–",
        f"{stats.images:,}",
        f"{least}–{most}" if known else "–",
        f"{mean:.2f}" if known else "–",
        f"{stats.smallest_child_area:,.0f}" if len(stats.child_areas) else "–",
        "one" if len(stats.resolutions) == 1 else f"{len(stats.resolutions):,}",
        f"sides ×{stats.size_range:.1f}" if len(stats.child_areas) else "–",
        _light(stats.light),
    )


def _light(light: Counter[str]) -> str:
    there = [each for each in ("day", "night") if light[each]]
    return " and ".join(there) if there else "unknown"


def _paper_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{row['dataset']} (paper)",
        f"{row['plates']:,}",
        f"{row['images']:,}",
        f"{row['plates_per_image_min']}–{row['plates_per_image_max']}",
        f"{row['plates_per_image_mean']:.2f}",
        f"{row['smallest_plate_px2']:,}",
        "varying" if row["varying_resolutions"] == "yes" else "one",
        str(row["varying_distances"]),
        str(row["light"]),
    )


def report(stats: Stats, *, shown: int = 6) -> str:
    """The figures of one set as text.

    Args:
        stats: from `measure`.
        shown: how many resolutions are listed.
    """
    splits = ", ".join(f"{split} {number:,}" for split, number in stats.splits.items())
    lines = [f"{stats.name} ({stats.format})", f"  images     {stats.images:,}: {splits or 'none'}"]
    if stats.child_classes:
        least, mean, most = stats.per_image
        names = ", ".join(stats.child_classes)
        lines.append(
            f"  children   {int(stats.children.sum()):,} ({names}): {least} to {most} an image, {mean:.2f} on average"
        )
    if len(stats.child_areas):
        smallest = f"{stats.smallest_child_area:,.0f} px²; sides (95th over 5th percentile) ×{stats.size_range:.1f}"
        lines.append(f"  smallest   {smallest}")
    if stats.relations:
        counts = f"{stats.pairs:,}, orphans {stats.orphans:,}, ambiguous {stats.ambiguous:,}"
        lines.append(f"  pairs      {counts} ({', '.join(map(str, stats.relations))})")
    listed = [f"{_size(size)} {number:,}" for size, number in stats.resolutions.most_common(shown)]
    rest = len(stats.resolutions) - len(listed)
    more = f"; {rest:,} more" if rest else ""
    lines.append(f"  sizes      {counted(len(stats.resolutions), 'resolution')}: {', '.join(listed)}{more}")
    lines.append(f"  light      {', '.join(f'{light} {number:,}' for light, number in stats.light.items()) or 'none'}")
    head = ("class", "boxes", "small", "medium", "large", "least", "5 %", "median", "95 %", "most px²", "of image")
    rows = [_class_row(name, each) for name, each in stats.boxes.items()]
    return "\n".join([*lines, "", *(f"  {line}" for line in _columns([head, *rows], left=(0,)).splitlines())])


def _size(size: tuple[int, int]) -> str:
    return "unknown" if 0 in size else f"{size[0]}x{size[1]}"


def _class_row(name: str, boxes: Boxes) -> tuple[str, ...]:
    areas, share = percentiles(boxes.areas), percentiles(boxes.shares)["median"]
    figures = [f"{value:,.0f}" if value >= 0 else "–" for value in areas.values()]
    bins = [f"{number:,}" for number in boxes.bins().values()]
    return (name, f"{len(boxes.areas):,}", *bins, *figures, f"{share:.3%}" if share >= 0 else "–")


def _columns(rows: Sequence[Sequence[str]], *, left: Sequence[int]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            text.ljust(width) if place in left else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
