"""`icr data relations`: which classes lie in which, and which relations are worth declaring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icr.cli.options import Data, Format

if TYPE_CHECKING:
    from icr.data.dataset import Dataset
    from icr.data.discovery import Evidence
    from icr.data.placement import Placement

SHOWN, MAPS = 20, 12


def relations(
    data: Data,
    out: Annotated[
        Path | None, typer.Option(help="Draw where children lie in their parents: a new .png or .jpg.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Print every ordered pair of classes.")] = False,
    format: Format = None,
    json: Annotated[bool, typer.Option("--json", help="Print every ordered pair of classes as JSON.")] = False,
) -> None:
    """Find which classes lie in which, from the boxes alone, and say which relations are worth declaring.

    Example: icr data relations plates/data.yaml --out relations.png
    """
    from icr.cli.output import answer, answer_json, progress, say
    from icr.data import formats
    from icr.data.discovery import discover
    from icr.data.placement import draw_placements, placements
    from icr.data.show import new_picture
    from icr.drawing import write_picture
    from icr.writing import make_folder

    target = new_picture(out, "--out") if out else None
    with progress("reading labels"):
        dataset = formats.read(data, format=format, skim=True)
    with progress("comparing classes"):
        evidence = _every_pair(discover(dataset), dataset)
        placed = placements(dataset)
    if target is not None:
        recommended = [each for each in evidence if each.recommended]
        drawn = recommended or [each for each in evidence if (each.child, each.parent) in placed]
        if drawn:
            make_folder(target)
            write_picture(
                draw_placements([(each.child, each.parent, placed[each.child, each.parent]) for each in drawn[:MAPS]]),
                target,
            )
            say(f"drawn: {target}")
        else:
            say(f"nothing is drawn: no box of {data} lies in one of another class")
    if json:
        answer_json([_as_json(each, placed.get((each.child, each.parent))) for each in evidence])
        return
    answer(_table(evidence, placed, every=all_))
    answer(_advice(evidence, dataset))


def _every_pair(found: list[Evidence], dataset: Dataset) -> list[Evidence]:
    """The evidence, and after it the ordered pairs of which no child lies in a parent."""
    import numpy as np

    from icr.data.discovery import Evidence

    counts = np.zeros(len(dataset.names), np.int64)
    for samples in dataset.splits.values():
        for sample in samples:
            counts += np.bincount(sample.labels, minlength=len(counts))
    known = {(each.child, each.parent) for each in found}
    rest = [
        Evidence(child, parent, int(counts[index]), 0.0, 0.0, 0.0, False)
        for index, child in enumerate(dataset.names)
        for parent in dataset.names
        if child != parent and (child, parent) not in known
    ]
    return [*found, *rest]


def _as_json(each: Evidence, placement: Placement | None) -> dict[str, Any]:
    measured: dict[str, Any] = {}
    if placement is not None:
        low, median, high = placement.size
        measured = {
            "size": {"low": low, "median": median, "high": high},
            "position": {
                "x": placement.position[0],
                "y": placement.position[1],
                "x_spread": placement.spread[0],
                "y_spread": placement.spread[1],
            },
        }
    return {
        "child": each.child,
        "parent": each.parent,
        "children": each.children,
        "inside": each.inside,
        "recommended": each.recommended,
        "chance": each.chance,
        **measured,
    }


def _table(evidence: list[Evidence], placed: dict[tuple[str, str], Placement], *, every: bool) -> str:
    met = [each for each in evidence if (each.child, each.parent) in placed]
    shown = evidence if every else met[:SHOWN]
    rows = [("child", "parent", "children", "inside", "by chance", "size in parent", "position x, y", "")]
    for each in shown:
        placement = placed.get((each.child, each.parent))
        size = position = ""
        if placement is not None:
            size = f"{placement.size[1]:.2%} ({placement.size[0]:.2%}–{placement.size[2]:.2%})"
            (x, y), (x_spread, y_spread) = placement.position, placement.spread
            position = f"{x:.2f} ± {x_spread:.2f}, {y:.2f} ± {y_spread:.2f}"
        mark = "recommended" if each.recommended else ""
        share, chance = f"{each.inside:.1%}", f"{each.chance:.1%}"
        rows.append((each.child, each.parent, f"{each.children:,}", share, chance, size, position, mark))
    widths = [max(len(row[column]) for row in rows) for column in range(8)]
    right = (False, False, True, True, True, True, False, False)
    lines = [
        "  ".join(
            text.rjust(width) if to_right else text.ljust(width)
            for text, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
    if not every and len(evidence) > len(shown):
        scarce, empty = len(met) - len(shown), len(evidence) - len(met)
        told = [f"{scarce:,} with fewer inside"] * bool(scarce) + [f"{empty:,} without a child inside"] * bool(empty)
        lines.append(f"ordered pairs left out: {', '.join(told)} (--all prints each)")
    return "\n".join(lines)


def _advice(evidence: list[Evidence], dataset: Dataset) -> str:
    from icr.data.discovery import MIN_CHILDREN, MIN_INSIDE, MIN_PICTURES
    from icr.data.formats.text import counted

    clear = [each for each in evidence if each.recommended]
    if not clear:
        asked = f"{MIN_CHILDREN} children in {MIN_PICTURES} pictures, {MIN_INSIDE:.0%} of them inside, clearly smaller"
        return f"\nNo relation is worth declaring: that takes {asked} than their parents, and far more than by chance."
    lines = [f"\nWorth declaring, in {_home(dataset)}:", "relations:"]
    for each in clear:
        lines.append(f"  - {{child: {_quoted(each.child)}, parent: {_quoted(each.parent)}}}")
        why = f"{each.inside:.0%} of {counted(each.children, 'child', 'children')} inside, {each.chance:.0%} by chance"
        lines[-1] += f"  # {why}"
    return "\n".join(lines)


def _home(dataset: Dataset) -> str:
    return "data.yaml" if dataset.format == "yolo" else "a data.yaml, or as --relation child:parent"


def _quoted(name: str) -> str:
    """A class name as YAML takes it."""
    import yaml

    return (
        str(yaml.safe_dump(name, allow_unicode=True, default_flow_style=True)).removesuffix("\n").removesuffix("\n...")
    )
