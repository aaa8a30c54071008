"""CRPD: Chinese plates as quadrilaterals, without vehicles; three subsets by the number of plates in a picture.

A line of a label file is ``x1 y1 x2 y2 x3 y3 x4 y4 type text``, separated by blanks on disk and by commas in the set's
own description; the order of the corners is not dependable, so the box is the one around them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icr.data.dataset import Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.objects import (
    Object,
    around,
    clockwise,
    folders_in,
    numbers,
    outline_area,
    picture_size,
    pictures_in,
    report_stray,
    sample_of,
)
from icr.data.formats.registry import Format, register
from icr.data.formats.splits import fill, roots
from icr.data.formats.text import counted, read_lines, shown
from icr.data.remembered import ReadAll, read_now
from icr.errors import InputError
from icr.version import __version__

NAMES = ("plate",)
TYPES = ("blue", "yellow, one line", "yellow, two lines", "white")
KNOWN_BAD = frozenset(
    (
        ("multi", "train", "44_0191"),
        ("multi", "train", "44_1333"),
        ("multi", "train", "45_0089"),
        ("multi", "train", "45_1404"),
        ("single", "val", "48_0951"),
    )
)
"""Subset, split and stem of the label files that users of the set found faulty."""

_SPLITS = ("train", "val", "test")
_SUBSET = re.compile(r"CRPD[_ -](single|double|multi)$", re.IGNORECASE)
_SEPARATOR = re.compile(r"[\s,，]+")


def find_subsets(source: Path) -> dict[str, Path]:
    """The folders of the subsets ``single``, ``double`` and ``multi``: `source` itself, or folders in it."""
    if not source.is_dir():
        return {}
    found_ = {}
    for each in (source.absolute(), *(inner for root in roots(source) for inner in folders_in(root))):
        match = _SUBSET.search(each.name)
        if match and any((each / split / "images").is_dir() for split in _SPLITS):
            found_[match[1].lower()] = each
    return found_


def read(source: Path, splits: Sequence[str] | None = None, read_all: ReadAll = read_now) -> Dataset:
    """Read CRPD, or one of its subsets.

    Raises:
        InputError: the folder holds no subset.
    """
    subsets = find_subsets(Path(os.path.abspath(source)))  # noqa: PTH100 (links stay as they are)
    if not subsets:
        raise InputError(f"{source} holds no CRPD; expected a folder such as CRPD_multi with train/images")
    places = {split: source for split in _SPLITS if any((folder / split).is_dir() for folder in subsets.values())}
    findings: list[Finding] = []
    dataset = Dataset(source, "crpd", list(NAMES), {}, findings=findings)

    def read_split(split: str) -> Sequence[Sample]:
        there = [folder / split for folder in subsets.values() if (folder / split).is_dir()]
        pictures = [each for folder in there for each in _pictures(folder, findings)]
        samples, said = read_all(pictures, _parse, _files_of, f"crpd {__version__}")
        findings.extend(said)
        return samples

    return fill(dataset, places, splits, read_split)


def _pictures(folder: Path, findings: list[Finding]) -> list[str]:
    pictures = pictures_in(folder / "images", findings)
    report_stray(sorted((folder / "labels").glob("*.txt")), pictures, findings)
    return list(map(str, pictures))


def _label_file(image: Path) -> Path:
    return image.parents[1] / "labels" / f"{image.stem}.txt"


def _files_of(image: str) -> tuple[str, str]:
    return image, str(_label_file(Path(image)))


def _parse(image: str) -> tuple[Sample | None, list[Finding]]:
    findings: list[Finding] = []
    return _read_picture(Path(image), findings), findings


def _read_picture(image: Path, findings: list[Finding]) -> Sample | None:
    """One picture, in ``CRPD_multi/train/images`` or the like, with its plates; None when it cannot be used."""
    split, match = image.parents[1].name, _SUBSET.search(image.parents[2].name)
    subset = match[1].lower() if match else ""
    size = picture_size(image, findings)
    if size is None:
        return None
    file = _label_file(image)
    if (subset, split, image.stem) in KNOWN_BAD:
        message = f"CRPD_{subset}/{split} {image.stem} is known to be faulty; look at it before relying on it"
        findings.append(found("labels.known_bad", file, message))
    try:
        lines = read_lines(file, findings)
    except FileNotFoundError:
        findings.append(found("labels.missing", file, "there is no label file; the picture counts as empty"))
        return sample_of(image, size, None, [], {"subset": subset}, findings)
    if lines is None:
        return None
    return sample_of(image, size, file, parse(lines, file, findings), {"subset": subset}, findings)


def parse(lines: Sequence[str], file: Path, findings: list[Finding]) -> list[Object]:
    """The plates of a label file; a line that cannot be used is a finding.

    Example:
        >>> lines = ["10,5,30,5,30,20,10,20,0,京A12345", "10 5 30 5", "40 20 60 5 60 20 40 5 3"]
        >>> plates = parse(lines, Path("a.txt"), faults := [])
        >>> [(each.corners, each.attributes.get("text")) for each in plates]
        [((10.0, 5.0, 30.0, 20.0), '京A12345'), ((40.0, 5.0, 60.0, 20.0), None)]
        >>> [(each.id, each.line) for each in faults]
        [('labels.fields', 2)]
    """
    plates = []
    blank = True
    for number, line in enumerate(lines, 1):
        fields = [each for each in _SEPARATOR.split(line.strip()) if each]
        if not fields:
            continue
        blank = False
        plate = _plate(fields, line.strip(), number, file, findings)
        if plate is not None:
            plates.append(plate)
    if blank:
        findings.append(found("labels.empty", file, "has no row; the picture counts as empty"))
    return plates


def _plate(fields: list[str], line: str, number: int, file: Path, findings: list[Finding]) -> Object | None:
    form = "expected x1 y1 x2 y2 x3 y3 x4 y4 type text"
    if len(fields) < 8:
        message = f"found {counted(len(fields), 'field')} in {shown(line)}; {form}"
        findings.append(found("labels.fields", file, message, number))
        return None
    values = numbers(" ".join(fields[:8]))
    if values is None:
        message = f"row {shown(line)} has a corner that is no number; {form}"
        findings.append(found("labels.not_a_number", file, message, number))
        return None
    points = clockwise(list(zip(values[0::2], values[1::2], strict=True)))
    if outline_area(points) == 0:
        message = f"the corners of row {shown(line)} lie on one line"
        findings.append(found("labels.zero_size", file, message, number))
        return None
    said: dict[str, Any] = {"segmentation": [[value for point in points for value in point]]}
    if len(fields) > 8:
        kind = fields[8]
        if kind in ("0", "1", "2", "3"):
            said["type"] = TYPES[int(kind)]
        else:
            message = f"type {shown(kind)} in row {shown(line)}; expected 0 blue, 1 or 2 yellow, 3 white"
            findings.append(found("labels.attribute", file, message, number))
            said["type"] = kind
    if len(fields) > 9:
        said["text"] = " ".join(fields[9:])
    return Object(0, around(points), "plate", number, attributes=said)


FORMAT = register(
    Format.by_picture(
        "crpd",
        "a folder of CRPD with CRPD_single/train/images and so on",
        lambda source: bool(find_subsets(source)),
        read,
    )
)
