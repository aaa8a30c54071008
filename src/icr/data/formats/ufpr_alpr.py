"""UFPR-ALPR: tracks of 30 pictures, one vehicle and one plate in each; both revisions of the plate's position.

A text file beside each picture holds ``key: value`` lines. The newer revision gives the plate by ``corners``, the older
one by ``position_plate``; the two differ by a pixel or two. The pair is stated by the file: its plate is its vehicle's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.objects import (
    Corners,
    Object,
    around,
    clockwise,
    folders_in,
    numbers,
    picture_size,
    pictures_in,
    report_stray,
    sample_of,
)
from icr.data.formats.registry import Format, register
from icr.data.formats.splits import fill, roots
from icr.data.formats.text import read_lines, shown
from icr.data.remembered import ReadAll, read_now
from icr.errors import InputError
from icr.relations import Relation
from icr.version import __version__

NAMES = ("plate", "vehicle")
PLATE, VEHICLE = 0, 1
_FOLDERS = {"training": "train", "validation": "val", "testing": "test"}
_OFFICIAL = {"train": range(1, 61), "val": range(61, 91), "test": range(91, 151)}
_TRACK = re.compile(r"track(\d+)$", re.IGNORECASE)
_FRAME = re.compile(r"\[(\d+)\]$")
_LINE = re.compile(r"\s*([A-Za-z_]+(?: \d+)?)\s*:\s*(.*?)\s*$")
_OF_VEHICLE = ("type", "make", "model", "year")

Entries = dict[str, tuple[int, str]]
"""Line number and value by key."""


def find_tracks(source: Path) -> dict[str, list[Path]]:
    """The track folders of each split: below ``training`` and so on, or, without these, by the official numbers.

    The folders may lie in `source` or in the one folder that it holds.
    """
    if not source.is_dir():
        return {}
    for root in roots(source):
        found_: dict[str, list[Path]] = {}
        for each in folders_in(root):
            split = _FOLDERS.get(each.name.lower())
            tracks = _tracks(each) if split else []
            if split and tracks:
                found_[split] = tracks
        if found_:
            return {split: found_[split] for split in _OFFICIAL if split in found_}
        tracks = _tracks(root)
        if tracks:
            by_number = {split: [t for t in tracks if _number(t) in own] for split, own in _OFFICIAL.items()}
            by_number["train"] += [t for t in tracks if not any(_number(t) in own for own in _OFFICIAL.values())]
            return {split: tracks for split, tracks in by_number.items() if tracks}
    return {}


def _tracks(folder: Path) -> list[Path]:
    return [each for each in folders_in(folder) if _TRACK.match(each.name)]


def _number(track: Path) -> int:
    match = _TRACK.match(track.name)
    return int(match[1]) if match else 0


def read(source: Path, splits: Sequence[str] | None = None, read_all: ReadAll = read_now) -> Dataset:
    """Read UFPR-ALPR.

    Raises:
        InputError: the folder holds no track.
    """
    tracks = find_tracks(Path(os.path.abspath(source)))  # noqa: PTH100 (links stay as they are)
    if not tracks:
        raise InputError(f"{source} holds no UFPR-ALPR; expected folders such as training/track0001")
    findings: list[Finding] = []
    dataset = Dataset(source, "ufpr-alpr", list(NAMES), {}, (Relation("plate", "vehicle"),), findings)

    def read_split(split: str) -> Sequence[Sample]:
        pictures: list[str] = []
        for track in tracks[split]:
            if _number(track) not in _OFFICIAL[split]:
                home = next((name for name, own in _OFFICIAL.items() if _number(track) in own), "none")
                message = f"lies in {split}; its official split is {home}"
                findings.append(found("splits.unofficial", track, message))
            pictures += _pictures(track, findings)
        samples, said = read_all(pictures, _parse, _files_of, f"ufpr-alpr {__version__}")
        findings.extend(said)
        return samples

    return fill(dataset, dict.fromkeys(tracks, source), splits, read_split)


def _pictures(track: Path, findings: list[Finding]) -> list[str]:
    pictures = pictures_in(track, findings)
    report_stray(sorted(track.glob("*.txt")), pictures, findings)
    return list(map(str, pictures))


def _files_of(image: str) -> tuple[str, str]:
    return image, f"{os.path.splitext(image)[0]}.txt"  # noqa: PTH122 (called for every picture)


def _parse(image: str) -> tuple[Sample | None, list[Finding]]:
    findings: list[Finding] = []
    return _read_picture(Path(image), findings), findings


def _read_picture(image: Path, findings: list[Finding]) -> Sample | None:
    size = picture_size(image, findings)
    if size is None:
        return None
    file = image.with_suffix(".txt")
    frame = _FRAME.search(image.stem)
    attributes: dict[str, Any] = {"track": image.parent.name, **({"frame": int(frame[1])} if frame else {})}
    try:
        lines = read_lines(file, findings)
    except FileNotFoundError:
        findings.append(found("labels.missing", file, "there is no label file; the picture counts as empty"))
        return sample_of(image, size, None, [], attributes, findings)
    if lines is None:
        return None
    entries = parse(lines, file, findings)
    objects = _objects(entries, file, findings)
    known = ("plate", "corners", "position_plate", "position_vehicle", *_OF_VEHICLE)
    more = {key: value for key, (_, value) in entries.items() if key not in known and not key.startswith("char ")}
    return sample_of(image, size, file, objects, {**attributes, **more}, findings)


def parse(lines: Sequence[str], file: Path, findings: list[Finding]) -> Entries:
    """The ``key: value`` lines of a file; a line that is none, or repeats a key, is a finding.

    Example:
        >>> parse(["camera: GoPro", "\\tchar 1: 1 2 3 4", "?"], Path("a.txt"), faults := [])
        {'camera': (1, 'GoPro'), 'char 1': (2, '1 2 3 4')}
        >>> [(each.id, each.line) for each in faults]
        [('labels.fields', 3)]
    """
    entries: Entries = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None:
            message = f"found {shown(line.strip())}; expected key: value, such as plate: AYO-9034"
            findings.append(found("labels.fields", file, message, number))
            continue
        key = match[1].lower()
        if key in entries:
            message = f"{key} stands in line {entries[key][0]} already; that one counts"
            findings.append(found("labels.duplicate", file, message, number))
            continue
        entries[key] = (number, match[2])
    if not entries:
        findings.append(found("labels.empty", file, "has no row; the picture counts as empty"))
    return entries


def _objects(entries: Entries, file: Path, findings: list[Finding]) -> list[Object]:
    if not entries:
        return []
    objects: list[Object] = []
    body = _box(entries, "position_vehicle", file, findings)
    outline = _outline(entries, file, findings)
    plate = around(outline) if outline else _box(entries, "position_plate", file, findings)
    for key, what, box in (("position_vehicle", "vehicle", body), ("corners or position_plate", "plate", plate)):
        if box is None and not any(each in entries for each in key.split(" or ")):
            message = f"found no {key}, so there is no {what}; expected one of each in a picture"
            findings.append(found("labels.fields", file, message))
    if plate is not None:
        line = entries["corners" if outline else "position_plate"][0]
        said: dict[str, Any] = {"text": entries["plate"][1]} if entries.get("plate", (0, ""))[1] else {}
        if outline:
            said["segmentation"] = [[value for point in clockwise(outline) for value in point]]
        letters = [key for key in entries if key.startswith("char ")]
        boxes = [_box(entries, key, file, findings) for key in sorted(letters, key=lambda key: int(key[5:]))]
        if any(boxes):
            said["characters"] = [list(each) for each in boxes if each is not None]
        objects.append(Object(PLATE, plate, "plate", line, UNSTATED if body is None else 1, said))
    if body is not None:
        said = {key: entries[key][1] for key in _OF_VEHICLE if entries.get(key, (0, ""))[1]}
        objects.append(Object(VEHICLE, body, "vehicle", entries["position_vehicle"][0], NO_PARENT, said))
    return objects


def _box(entries: Entries, key: str, file: Path, findings: list[Finding]) -> Corners | None:
    """A box given as x y w h; None when the key is absent or, which is a finding, cannot be used."""
    values = _values(entries, key, 4, "four numbers: x y w h", file, findings)
    if values is None:
        return None
    x, y, width, height = values
    if width < 0 or height < 0:
        message = f"{key} has size {width:g} by {height:g}"
        findings.append(found("labels.negative_size", file, message, entries[key][0]))
        return None
    return x, y, x + width, y + height


def _outline(entries: Entries, file: Path, findings: list[Finding]) -> list[tuple[float, float]] | None:
    values = _values(entries, "corners", 8, "four points: x,y x,y x,y x,y", file, findings)
    return None if values is None else list(zip(values[0::2], values[1::2], strict=True))


def _values(
    entries: Entries, key: str, count: int, form: str, file: Path, findings: list[Finding]
) -> list[float] | None:
    """So many numbers under a key; None when it is absent or, which is a finding, holds anything else."""
    if key not in entries:
        return None
    line, text = entries[key]
    values = numbers(text)
    if values is None or len(values) != count:
        kind = "labels.not_a_number" if values is None else "labels.fields"
        findings.append(found(kind, file, f"{key} is {shown(text)}; expected {form}", line))
        return None
    return values


FORMAT = register(
    Format.by_picture(
        "ufpr-alpr",
        "a folder of UFPR-ALPR with training/track0001 and so on",
        lambda source: bool(find_tracks(source)),
        read,
    )
)
