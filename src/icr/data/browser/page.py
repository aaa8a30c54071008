"""The page: which pictures it holds, what it tells of each, and the HTML."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from itertools import islice
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image

from icr.data.browser.attribution import Placed, attribute
from icr.data.dataset import Dataset, Finding, Sample
from icr.data.findings import KINDS
from icr.data.light import lights_told
from icr.data.light import shown as light_shown
from icr.data.pairs import children, pair
from icr.drawing import ORPHAN, Colour, colour_of, read_picture
from icr.errors import InputError
from icr.relations import ResolvedRelation

LIMIT = 40_000_000
"""Bytes that the pictures of a page may take, unless told otherwise."""

SIDE = 1280
"""The longer side of an embedded picture in pixels; smaller ones stay as they are."""

_QUALITY = 82
_HOMELESS = 500
"""At most so many findings about no picture are listed."""


@dataclass(frozen=True)
class Page:
    """A page, and what is on it.

    Attributes:
        html: the whole document.
        pictures: how many are embedded.
        of: how many there are in the data set.
        full: the limit of size was met before all that were asked for were in.
        findings: how many are listed.
        pairs, orphans, ambiguous: counts over the pictures embedded.
        unreadable: one line for each picture that is on the page by its boxes alone.
    """

    html: str
    pictures: int
    of: int
    full: bool
    findings: int
    pairs: int
    orphans: int
    ambiguous: int
    unreadable: list[str]


def browse(
    dataset: Dataset,
    relations: Sequence[ResolvedRelation],
    findings: Sequence[Finding] = (),
    *,
    title: str,
    said: str = "",
    count: int = 100,
    seed: int = 0,
    limit: int = LIMIT,
    progress: Callable[[int, int], None] | None = None,
) -> Page:
    """Make the page.

    Where not all pictures fit, up to half of the places go to those with an error, a warning or a child whose parent is
    missing or a guess; the rest are drawn by lot from all others. They stand in the order of the data set.

    Args:
        dataset: the data set as read.
        relations: resolved relations; none means boxes alone.
        findings: of the whole set, as `icr.data.check.check` gives them; sorted to their pictures here.
        title: the head of the page.
        said: a line beneath it.
        count: how many pictures at most.
        seed: another seed, another draw.
        limit: bytes that the embedded pictures may take.
        progress: called with the number of pictures embedded and how many are to be.

    Raises:
        InputError: there is no picture, or not one fits the limit.
    """
    placed, homeless = attribute(dataset, findings)
    splits = {id(sample): split for split, samples in dataset.splits.items() for sample in samples}
    samples = [sample for each in dataset.splits.values() for sample in each]
    if not samples:
        raise InputError(f"{dataset.source} has no picture, so there is nothing to show")
    chosen = _chosen(samples, placed, count, seed)
    root = _root(dataset.source)
    entries: list[dict[str, Any]] = []
    pictures: list[str] = []
    unreadable: list[str] = []
    size = 0
    told = lights_told(dataset.source, chosen)
    for done, ((sample, light), shot) in enumerate(zip(told, _shots(chosen), strict=True), 1):
        size += len(shot.picture)
        if size > limit:
            break
        if shot.failure:
            unreadable.append(shot.failure)
        entry = _entry(sample, relations, placed.get(id(sample), []), root)
        entry |= {"split": splits[id(sample)], "failure": _relative_in(shot.failure, root)}
        entry |= {"light": light or shot.light, "lightMeasured": not light and shot.light != "unknown"}
        entries.append(entry)
        pictures.append(shot.picture)
        if progress is not None:
            progress(done, len(chosen))
    if not entries:
        raise InputError(f"not one picture fits the limit of {limit / 1e6:g} MB for the page; allow more with --max-mb")
    content = {
        "title": title,
        "said": said.replace(str(dataset.source), dataset.source.name),
        "of": len(samples),
        "names": dataset.names,
        "colours": [_css(colour_of(label)) for label in range(len(dataset.names))],
        "orphanColour": _css(ORPHAN),
        "relations": bool(relations),
        "kinds": {kind: {"severity": each.severity, "meaning": each.meaning} for kind, each in KINDS.items()},
        "samples": entries,
        "elsewhere": [_finding(each, None, root) for each in homeless[:_HOMELESS]],
        "elsewhereMore": max(len(homeless) - _HOMELESS, 0),
    }
    return Page(
        _html(title, content, pictures),
        len(entries),
        len(samples),
        len(entries) < len(chosen),
        sum(len(each["findings"]) for each in entries) + len(homeless),
        sum(parent >= 0 for each in entries for parent in each["parents"]),
        sum(len(each["orphans"]) for each in entries),
        sum(len(each["ambiguous"]) for each in entries),
        unreadable,
    )


def _chosen(samples: Sequence[Sample], placed: Mapping[int, list[Placed]], count: int, seed: int) -> list[Sample]:
    if len(samples) <= count:
        return list(samples)

    def faulty(sample: Sample) -> bool:
        return any(each.finding.severity != "info" for each in placed.get(id(sample), []))

    lot = random.Random(seed)
    order = list(range(len(samples)))
    lot.shuffle(order)
    taken = [index for index in order if faulty(samples[index])][: (count + 1) // 2]
    first = set(taken)
    taken += islice((index for index in order if index not in first), count - len(taken))
    return [samples[index] for index in sorted(taken)]


@dataclass(frozen=True)
class _Shot:
    """A picture as a data URI, empty when it could not be read; and its light by brightness."""

    picture: str
    light: str
    failure: str


def _shots(samples: Iterable[Sample]) -> Iterator[_Shot]:
    """The pictures, downscaled, in order; only a few are in memory at a time."""
    waiting = iter(samples)
    threads = max(os.cpu_count() or 1, 2)
    with ThreadPoolExecutor(threads) as pool:  # Pillow frees the interpreter meanwhile
        while batch := list(islice(waiting, 2 * threads)):
            yield from pool.map(_shot, batch)


def _shot(sample: Sample) -> _Shot:
    try:
        picture = Image.fromarray(read_picture(sample.image, (sample.width, sample.height)))
    except InputError as error:
        return _Shot("", "unknown", str(error))
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    stored = io.BytesIO()
    picture.save(stored, "JPEG", quality=_QUALITY, optimize=True)
    return _Shot(base64.b64encode(stored.getvalue()).decode("ascii"), light_shown(picture), "")


def _entry(
    sample: Sample, relations: Sequence[ResolvedRelation], placed: Sequence[Placed], root: Path
) -> dict[str, Any]:
    """What the page tells of a picture."""
    pairing = pair(sample, relations)
    is_child = children(sample, relations)
    orphans = is_child & (pairing.parents < 0)
    labels_are_shared = sample.label_file is not None and sample.label_file.suffix.lower() == ".json"
    return {
        "name": sample.image.name,
        "file": _relative(str(sample.image), root),
        "labelFile": "" if sample.label_file is None else _relative(str(sample.label_file), root),
        "row": "annotation" if labels_are_shared else "line",
        "width": sample.width,
        "height": sample.height,
        "boxes": np.nan_to_num(sample.boxes).round(2).tolist(),
        "labels": sample.labels.tolist(),
        "lines": sample.lines.tolist(),
        "parents": pairing.parents.tolist(),
        "children": np.flatnonzero(is_child).tolist(),
        "orphans": np.flatnonzero(orphans).tolist(),
        "ambiguous": np.flatnonzero(pairing.ambiguous).tolist(),
        "stated": np.flatnonzero(pairing.stated).tolist(),
        "findings": [_finding(each.finding, each.box, root) for each in placed],
    }


def _finding(finding: Finding, box: int | None, root: Path) -> dict[str, Any]:
    return {
        "id": finding.id,
        "severity": finding.severity,
        "file": _relative(finding.file, root),
        "line": finding.line,
        "message": _relative_in(finding.message, root),
        "box": box,
    }


def _root(source: Path) -> Path:
    """The folder of a data set, absolute, its links as they are."""
    folder = source if source.is_dir() or not source.suffix else source.parent
    return Path(os.path.abspath(folder))  # noqa: PTH100 (links stay as they are)


def _relative(file: str, root: Path) -> str:
    path = Path(os.path.normpath(file))
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file


def _relative_in(text: str, root: Path) -> str:
    return text.replace(f"{root}{os.sep}", "")


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _html(title: str, content: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """Whatever comes from the data stands in JSON that cannot end its element; the script puts it in place as text."""
    return Template(_asset("page.html")).substitute(
        title=_whole(escape(title)),
        style=_asset("page.css"),
        script=_asset("page.js"),
        content=_json(content),
        pictures=_json(pictures),
    )


def _json(value: Any) -> str:
    text = _whole(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _whole(text: str) -> str:
    """File names may hold bytes that are no UTF-8; Python reads them as halves of characters, which crash browsers."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _asset(name: str) -> str:
    return files("icr.data.browser").joinpath(name).read_text(encoding="utf-8")
