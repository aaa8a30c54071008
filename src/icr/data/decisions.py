"""The list of ambiguous children that a person decides on: written as CSV or YAML, and read back."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from icr.data.dataset import NO_PARENT, Dataset, Sample
from icr.data.formats.folders import relative_names
from icr.data.formats.text import shown
from icr.data.pairing import Doubt, Place
from icr.errors import InputError, nearest
from icr.relations import ResolvedRelation
from icr.writing import write_file

COLUMNS = ("split", "picture", "child", "line", "what", "box", "candidates", "suggested", "decision")
_NEEDED = ("split", "picture", "child", "box", "decision")
_UNDECIDED = ("", "?")
_NONE = ("none", "-1")
_FORMULA = ("=", "+", "-", "@", "\t")
"""With these at the front a spreadsheet takes a text for a formula."""

_MOVED = 1.5
"""Pixels by which a corner may differ from the list: boxes are listed to a tenth, labels rounded when copied."""

_HEAD = """\
# Children whose parent is not plain. After each decision: write the number of one of the candidates, or none; leave it
# empty if you cannot tell. Boxes are numbered within their picture, from 0; sizes and places are pixels.
"""


def write(doubts: Sequence[Doubt], names: Sequence[str], file: Path) -> None:
    """Write the list, whole or not at all; what it names and how many candidates there are is for people to read.

    Args:
        doubts: the ambiguous children.
        names: class names.
        file: ``.csv`` (for a spreadsheet) or ``.yaml``; a file of that name is replaced.

    Raises:
        InputError: the suffix is another, or the file cannot be written.
    """
    entries = [_entry(each, names) for each in doubts]
    if kind_of(file) == "csv":
        buffer = io.StringIO(newline="")
        writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\r\n")
        writer.writeheader()
        for each in entries:
            joined = " | ".join(f"{box}: {what}" for box, what in each["candidates"].items())
            writer.writerow({**each, "candidates": joined})
        # Spreadsheets take UTF-8 for it only with the mark at the front.
        data = buffer.getvalue().encode("utf-8-sig")
    else:
        body = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=10_000)
        data = (_HEAD + re.sub(r"decision: ''$", "decision:", body, flags=re.MULTILINE)).encode()
    write_file(file, data)


def kind_of(file: Path) -> str:
    """``csv`` or ``yaml``, by the suffix of a file's name.

    Raises:
        InputError: it has another suffix.
    """
    kind = {".csv": "csv", ".yaml": "yaml", ".yml": "yaml"}.get(file.suffix.lower())
    if kind is None:
        raise InputError(
            f"{file}: decisions stand in a .csv or .yaml file, not in {file.suffix or 'one without suffix'}"
        )
    return kind


def _entry(doubt: Doubt, names: Sequence[str]) -> dict[str, Any]:
    sample, (split, picture, child) = doubt.sample, doubt.place
    line = int(sample.lines[child]) if len(sample.lines) else 0
    return {
        "split": split,
        "picture": f"./{picture}" if picture.startswith(_FORMULA) else picture,
        "child": child,
        "line": line if line > 0 else "",
        "what": _told(sample, child, names),
        "box": " ".join(f"{value:.1f}" for value in sample.boxes[child]),
        "candidates": {
            each.box: f"{_told(sample, each.box, names)}, holds {each.share:.0%}" for each in doubt.candidates
        },
        "suggested": doubt.suggested if doubt.suggested >= 0 else "none",
        "decision": "",
    }


def _told(sample: Sample, box: int, names: Sequence[str]) -> str:
    """A box in words; a number comes first, so that no spreadsheet takes a strange class name for a formula."""
    x, y, right, bottom = sample.boxes[box].tolist()
    return f"{right - x:.0f} x {bottom - y:.0f} {names[sample.labels[box]]} at {x:.0f}, {y:.0f}"


def read(file: Path, dataset: Dataset, relations: Sequence[ResolvedRelation]) -> dict[Place, int]:
    """Read decisions back; entries without one are passed over.

    Args:
        file: a list from `write`, filled in.
        dataset: the set that it speaks of, or a copy with the same pictures and boxes.
        relations: resolved relations; they say which classes may be a child's parent.

    Returns:
        The place of the chosen parent by the place of the child, or `NO_PARENT` where ``none`` was chosen.

    Raises:
        InputError: the file is not there or not readable, or an entry names a picture or box that is not there, has a
            box that lies elsewhere by now, or decides on something that can be no parent.
    """
    samples = {
        (split, name.as_posix()): sample
        for split, own in dataset.splits.items()
        for sample, name in zip(own, relative_names(own), strict=True)
    }
    parents = {each.child: each.parents for each in relations}
    found: dict[Place, int] = {}
    for where, fields in _entries(file):
        row = _Row(where, fields, dataset.names)
        place, sample = row.child(samples)
        decided = row.decision(place, sample, parents)
        if decided is None:
            continue
        if found.setdefault(place, decided) != decided:
            raise InputError(
                f"{where}: child {place[2]} of {place[1]} is decided twice, differently; remove one of them"
            )
    return found


def _entries(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each entry with where it stands."""
    kind = kind_of(file)
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is no UTF-8 text; save it as CSV UTF-8 from the spreadsheet") from None
    return _csv_entries(file, text) if kind == "csv" else _yaml_entries(file, text)


def _csv_entries(file: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)  # spreadsheets of some countries write semicolons
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        _refuse_missing(f"{file}, line 1", rows.fieldnames or ())
        for row in rows:
            yield f"{file}, line {rows.line_num}", row
    except csv.Error as error:
        raise InputError(f"{file}, line {rows.line_num}: not readable as CSV ({error})") from None


def _yaml_entries(file: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{file}{line}: found {error.problem}; expected the list as it was written") from None
    # Dates and numbers that cannot be, nesting too deep, control characters.
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, TypeError, AttributeError) as error:
        raise InputError(f"{file}: not readable as YAML ({shown(str(error))})") from None
    if content is not None and not isinstance(content, list):
        raise InputError(f"{file}: found {type(content).__name__}; expected a list of children, each with its decision")
    for number, each in enumerate(content or [], 1):
        where = f"{file}, entry {number}"
        if not isinstance(each, dict):
            raise InputError(f"{where}: found {shown(each)}; expected picture, child, decision and so on")
        _refuse_missing(where, each)
        yield where, each


def _refuse_missing(where: str, present: Iterable[Any]) -> None:
    here = [str(each) for each in present]
    missing = [each for each in _NEEDED if each not in here]
    if missing:
        there = shown(", ".join(here), 120) if here else "nothing"
        raise InputError(f"{where}: {missing[0]} is missing, found {there}; keep the columns as written")


@dataclass(frozen=True)
class _Row:
    where: str
    fields: Mapping[str, Any]
    names: Sequence[str]

    def child(self, samples: Mapping[tuple[str, str], Sample]) -> tuple[Place, Sample]:
        split, picture = str(self.fields["split"]), str(self.fields["picture"]).removeprefix("./")
        sample = samples.get((split, picture))
        if sample is None:
            hint = nearest(picture, [name for own, name in samples if own == split][:1000])
            raise InputError(f"{self.where}: the data set has no picture {shown(picture)} in {shown(split)}{hint}")
        number = _whole(self.fields["child"])
        if number is None or not 0 <= number < len(sample.labels):
            count = len(sample.labels)
            raise InputError(
                f"{self.where}: child is {shown(self.fields['child'])}; {picture} has boxes 0 to {count - 1}"
                if count
                else f"{self.where}: {picture} has no boxes"
            )
        self._refuse_moved(sample, number)
        return (split, picture, number), sample

    def _refuse_moved(self, sample: Sample, number: int) -> None:
        try:
            corners = np.array([float(each) for each in str(self.fields["box"]).split()])
        except ValueError:
            corners = np.zeros(0)
        here = sample.boxes[number]
        if corners.shape != (4,) or not np.abs(corners - here).max() <= _MOVED:
            now = " ".join(f"{value:.1f}" for value in here)
            raise InputError(
                f"{self.where}: box {shown(self.fields['box'])} is at {now} in the data set, which is another one or "
                "has changed since; list the children anew"
            )

    def decision(self, place: Place, sample: Sample, parents: Mapping[int, Sequence[int]]) -> int | None:
        value, child = self.fields["decision"], place[2]
        text = "" if value is None else str(value).strip().lower()
        if text in _UNDECIDED:
            return None
        label = int(sample.labels[child])
        if label not in parents:
            raise InputError(f"{self.where}: box {child} is a {self.names[label]}, which is no child of the relation")
        if text in _NONE:
            return NO_PARENT
        number = _whole(value)
        allowed = [box for box in np.flatnonzero(np.isin(sample.labels, parents[label])).tolist() if box != child]
        if number not in allowed:
            wanted = " or ".join(self.names[each] for each in parents[label])
            there = (
                f"{wanted} boxes of {place[1]} are {', '.join(map(str, allowed[:20]))}" if allowed else f"no {wanted}"
            )
            raise InputError(
                f"{self.where}: decision is {shown(value)}; expected the number of a {wanted}, none, or nothing "
                f"({there})"
            )
        return number


def _whole(value: Any) -> int | None:
    """A whole number, also as a spreadsheet may have written it (3.0)."""
    match = re.fullmatch(r"\s*([0-9]{1,9})(?:[.,]0*)?\s*", str(value)) if not isinstance(value, bool) else None
    return int(match[1]) if match else None
