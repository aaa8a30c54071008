"""Splitting a data set by group, so that no scene is in two parts, each part like the whole in light and sizes."""

from __future__ import annotations

import dataclasses
import math
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from icr.data.dataset import Dataset, Sample
from icr.data.dealing import arrange, arrange_exactly
from icr.data.formats.folders import new_folder
from icr.data.formats.text import counted
from icr.data.formats.yolo_config import find_config, read_config
from icr.data.formats.yolo_write import write_config
from icr.data.grouping import Grouping, refuse_leaks, samples_of
from icr.data.light import measured_all, stated
from icr.data.pairs import children
from icr.errors import InputError, nearest
from icr.relations import ResolvedRelation

PARTS = ("train", "val", "test")
STRATA = ("light", "size")
LIGHTS = ("day", "night", "unknown")
SIZES = ("small", "medium", "large")
"""COCO's: below 32² px², below 96² px², and above."""

COLUMNS = ("pictures", *LIGHTS, *SIZES)
_BOUNDS = (32.0**2, 96.0**2)

_Table: TypeAlias = "npt.NDArray[np.float64]"


@dataclass(frozen=True)
class Parts:
    """What to split into.

    Attributes:
        sizes: for each part its share of the pictures, or with `exact` their number.
        exact: whether the sizes are numbers of pictures.
    """

    sizes: Mapping[str, float]
    exact: bool


@dataclass
class Split:
    """A split.

    Attributes:
        dataset: the same set with its new splits.
        table: for each part the number in each of `COLUMNS`: pictures, those by day, by night and unknown, and children
            by size.
        groups: for each part the keys of its groups.
        left_out: pictures in no part, which only exact numbers bring about.
        joined: groups that were made one because they share a picture.
    """

    dataset: Dataset
    table: dict[str, dict[str, int]]
    groups: dict[str, list[str]]
    left_out: int
    joined: list[list[str]]


def parse_parts(text: str, option: str, exact: bool, names: Sequence[str] = PARTS) -> Parts:
    """Read ``0.8,0.1,0.1`` or ``train=0.8,val=0.2`` (exact: ``2400,300,300``); parts of 0 are left out.

    Args:
        text: what the option was given.
        option: its name, for messages.
        exact: whether these are numbers of pictures rather than shares of any sum.
        names: what parts without name are called, in order.

    Raises:
        InputError: it is written otherwise.

    Example:
        >>> parse_parts("8,1,1", "--ratios", False).sizes
        {'train': 0.8, 'val': 0.1, 'test': 0.1}
    """
    form = "train=2400,val=300 or 2400,300,300" if exact else "train=0.8,val=0.2 or 0.8,0.1,0.1"
    sizes: dict[str, float] = {}
    entries = [each.strip() for each in text.split(",")]
    if len(entries) > len(names):
        raise InputError(f"{option} {text} has {len(entries)} parts; expected at most {', '.join(names)}, as in {form}")
    for name, entry in zip(names, entries, strict=False):
        given, equals, value = entry.rpartition("=")
        name = given.strip() if equals else name
        if name not in names:
            raise InputError(f"{option} {text}: part {name!r}; expected {', '.join(names)}{nearest(name, names)}")
        if name in sizes:
            raise InputError(f"{option} {text} names {name} twice; expected each part once, as in {form}")
        try:
            sizes[name] = int(value) if exact else float(value)
        except ValueError:
            raise InputError(f"{option} {text}: {value.strip()!r} is no number; expected {form}") from None
        if not (sizes[name] >= 0 and math.isfinite(sizes[name])):
            raise InputError(f"{option} {text}: {value.strip()} cannot be; expected numbers of 0 or more, as in {form}")
    total = sum(sizes.values())
    if not total:
        raise InputError(f"{option} {text} comes to nothing; expected {form}")
    kept = {name: size if exact else size / total for name, size in sizes.items() if size}
    return Parts({name: kept[name] for name in names if name in kept}, exact)


def split(
    dataset: Dataset,
    grouping: Grouping,
    parts: Parts,
    *,
    relations: Sequence[ResolvedRelation] = (),
    stratify: Sequence[str] = STRATA,
    keep: Sequence[str] = (),
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Split:
    """Split a data set, whole groups at a time; the parts are alike in light and in the sizes of children.

    Groups are dealt out from the largest, each to the part that lacks most of what it brings; then groups change places
    as long as that makes the parts more alike. Exact numbers are met by leaving out pictures, never by tearing a group.
    The same set, grouping and seed give the same split on every machine.

    Args:
        dataset: the set; its own splits count only where `keep` says so.
        grouping: from `icr.data.grouping.group`.
        parts: what to split into.
        relations: resolved; they say which boxes are children. With none, the sizes of all boxes count.
        stratify: of ``light`` and ``size``, what the parts are to be alike in. ``light`` decodes pictures whose
            attributes do not say it.
        keep: splits that stay as they are; the rest is split.
        seed: another seed, another split.
        progress: told how many pictures have been looked at, of how many.

    Raises:
        InputError: there are fewer groups than parts; a group is in a split that stays and outside it; exact numbers
            cannot be met; or a video or track would be in two parts.
    """
    order, features = _features(dataset, grouping, relations, stratify, progress)
    fixed = _fixed(dataset, grouping, keep)
    free = [place for place in range(len(order)) if place not in fixed]
    keys = sorted({grouping.keys[place] for place in free})
    number = {key: index for index, key in enumerate(keys)}
    totals = np.zeros((len(keys), features.shape[1]))
    for place in free:
        totals[number[grouping.keys[place]]] += features[place]
    names, lot = list(parts.sizes), random.Random(seed)
    if len(keys) < len(names):
        raise InputError(
            f"{counted(len(keys), 'group')} cannot be split into {', '.join(names)}; name fewer parts, "
            "or group more finely"
        )
    sizes = [parts.sizes[name] for name in names]
    home = (
        arrange_exactly(totals, [int(size) for size in sizes], names, lot)
        if parts.exact
        else arrange(totals, sizes, lot)
    )
    members: dict[str, list[int]] = {name: [] for name in names}
    for place in free:
        part = home[number[grouping.keys[place]]]
        if part < len(names):
            members[names[part]].append(place)
    if parts.exact:
        for name in names:
            drawn = lot.sample(range(len(members[name])), int(parts.sizes[name]))
            members[name] = [members[name][each] for each in sorted(drawn)]
    for place, part_kept in fixed.items():
        members.setdefault(part_kept, []).append(place)
    chosen = {name: [order[place] for place in members[name]] for name in _in_order(members)}
    refuse_leaks(chosen)
    return Split(
        dataclasses.replace(dataset, splits=chosen),
        {name: _counts(features[members[name]]) for name in chosen},
        {name: sorted({grouping.keys[place] for place in members[name]}) for name in chosen},
        len(order) - sum(map(len, chosen.values())),
        grouping.joined,
    )


def _in_order(names: Mapping[str, Any]) -> list[str]:
    return [name for name in PARTS if name in names] + [name for name in names if name not in PARTS]


def _fixed(dataset: Dataset, grouping: Grouping, keep: Sequence[str]) -> dict[int, str]:
    """The places of the pictures of splits that stay, none of which may share a group with another split."""
    for name in keep:
        if name not in dataset.splits:
            here = list(dataset.splits)
            raise InputError(
                f"--keep {name}: the data set has no such split, only {', '.join(here)}{nearest(name, here)}"
            )
    fixed: dict[int, str] = {}
    home: dict[str, str] = {}
    place = 0
    for name, samples in dataset.splits.items():
        for _ in samples:
            key = grouping.keys[place]
            other = home.setdefault(key, name)
            if other != name and (other in keep or name in keep):
                raise InputError(
                    f"--keep {other if other in keep else name}: group {key} is in {other} and in {name}, so that the "
                    "part that stays would leak into the others; split it, too"
                )
            if name in keep:
                fixed[place] = name
            place += 1
    return fixed


def _features(
    dataset: Dataset,
    grouping: Grouping,
    relations: Sequence[ResolvedRelation],
    stratify: Sequence[str],
    progress: Callable[[int, int], None],
) -> tuple[list[Sample], _Table]:
    """All pictures, and for each what it adds to `COLUMNS`."""
    order = samples_of(dataset)
    table = np.zeros((len(order), len(COLUMNS)))
    table[:, 0] = 1
    if "light" in stratify:
        for place, light in enumerate(_lights(order, progress)):
            table[place, COLUMNS.index(light)] = 1
    if "size" in stratify:
        for place, sample in enumerate(order):
            counting = children(sample, relations) if relations else np.ones(len(sample.labels), np.bool_)
            boxes = sample.boxes[counting]
            areas = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1)
            table[place, -3:] = np.bincount(np.digitize(areas, _BOUNDS), minlength=3)
    return order, table


def _lights(samples: Sequence[Sample], progress: Callable[[int, int], None]) -> list[str]:
    found = [stated(sample) for sample in samples]
    asked = [place for place, light in enumerate(found) if not light]
    lights = measured_all(samples[place].image for place in asked)
    for done, (place, light) in enumerate(zip(asked, lights, strict=True), 1):
        found[place] = light
        progress(done, len(asked))
    return found


def _counts(table: _Table) -> dict[str, int]:
    return dict(zip(COLUMNS, table.sum(0).astype(int).tolist(), strict=True))


def record(made: Split, source: Path, said: str, seed: int) -> dict[str, Any]:
    """What `split.json` holds: how the split came about, and which groups went where."""
    return {
        "data": str(source),
        "grouping": said,
        "seed": seed,
        "parts": made.table,
        "left_out": made.left_out,
        "joined": made.joined,
        "groups": made.groups,
    }


def write_lists(made: Split, out: Path) -> tuple[str, ...]:
    """Write one list of pictures a part into a new folder, and for a YOLO set a `data.yaml` that names them.

    Returns:
        The names of the files.

    Raises:
        InputError: the folder is not empty or cannot be written.
    """
    dataset = made.dataset
    with new_folder(out) as folder:
        for name, samples in dataset.splits.items():
            lines = "".join(f"{os.path.abspath(sample.image)}\n" for sample in samples)  # noqa: PTH100 (links stay)
            (folder / f"{name}.txt").write_text(lines, encoding="utf-8")
        if dataset.format == "yolo":
            keys: dict[str, Any] = {name: f"{name}.txt" for name in dataset.splits}
            config = find_config(dataset.source)
            if config is not None and read_config(config, []).ordered:
                keys["pairs"] = "order"
            write_config(folder / "data.yaml", keys, dataset.names, dataset.relations, dataset.category_ids)
        return tuple(sorted(each.name for each in folder.iterdir()))


def told(made: Split) -> str:
    """The parts as a table for a terminal."""
    totals: Counter[str] = Counter()
    for counts in made.table.values():
        totals.update(counts)
    columns = [column for column in COLUMNS if totals[column] or column == "pictures"]
    rows = [["", "groups", *columns]]
    for name, counts in made.table.items():
        rows.append([name, f"{len(made.groups[name]):,}", *(f"{counts[column]:,}" for column in columns)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    return "\n".join(lines)
