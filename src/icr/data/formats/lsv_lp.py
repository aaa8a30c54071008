"""LSV-LP: videos of three scenarios, a JSON for each frame, cars and plates of one id together; the pair is stated.

The JSON files lie in folders or, as downloaded, in one zip for each scenario, which is read where it lies. Coordinates
are shares of the picture's sides.
"""

from __future__ import annotations

import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.objects import (
    Object,
    around,
    clockwise,
    folders_in,
    natural,
    outline_area,
    picture_size,
    sample_of,
)
from icr.data.formats.registry import Format, register
from icr.data.formats.text import counted, is_text, shown
from icr.data.formats.yolo_config import requested
from icr.data.pictures import Header, is_picture
from icr.errors import InputError, nearest
from icr.relations import Relation

NAMES = ("plate", "vehicle")
PLATE, VEHICLE = 0, 1
SCENARIOS = ("move2move", "move2static", "static2move")
_FOLDERS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
_UNREADABLE = re.compile(r"[#\s-]*#[#\s-]*")
_FRAME = re.compile(r"(\d+)$")
LARGEST_LABEL = 4 * 2**20

Key = tuple[str, str]
"""Folder and stem of a frame: its video and its name there."""

Points = list[tuple[float, float]]


class _UnreadableError(Exception):
    """A label that cannot be read; the text says why."""


@dataclass(frozen=True)
class _Label:
    """A frame's JSON: where it lies, for findings, and how to get its bytes."""

    file: Path
    load: Callable[[], bytes]


def find_splits(source: Path) -> dict[str, Path]:
    """The folders of the splits, each with ``jsons``: in `source`, in the one folder it holds, or `source` itself."""
    if not source.is_dir():
        return {}
    inner = folders_in(source)
    for root in (source, inner[0]) if len(inner) == 1 else (source,):
        found_: dict[str, Path] = {}
        for each in folders_in(root):
            split = _FOLDERS.get(each.name.lower())
            if split and (each / "jsons").is_dir():
                found_.setdefault(split, each)
        if found_:
            return {split: found_[split] for split in ("train", "val", "test") if split in found_}
    if (source / "jsons").is_dir() and (source / "videos").is_dir():
        return {_FOLDERS.get(source.absolute().name.lower(), "train"): source}
    return {}


def read(source: Path, splits: Sequence[str] | None = None, *, scenarios: Sequence[str] | None = None) -> Dataset:
    """Read LSV-LP.

    Args:
        source: the folder.
        splits: read these alone; None: all.
        scenarios: read these alone (the paper uses ``move2move``); None: all that are there.

    Raises:
        InputError: the folder is no LSV-LP, or has no such split or scenario.
    """
    folders = find_splits(source)
    if not folders:
        raise InputError(f"{source} holds no LSV-LP; expected folders such as train/jsons and train/videos")
    findings: list[Finding] = []
    dataset = Dataset(source, "lsv-lp", list(NAMES), {}, (Relation("plate", "vehicle"),), findings)
    there = sorted({name for folder in folders.values() for name in _scenarios(folder)})
    for each in scenarios or ():
        if each not in there:
            raise InputError(f"{source} has no scenario {each!r}; it has {', '.join(there)}{nearest(each, there)}")
    read_splits: dict[str, list[Sample]] = {}
    for split in requested(list(folders), splits, source):
        samples: list[Sample] = []
        for scenario in _scenarios(folders[split]):
            if scenarios is None or scenario in scenarios:
                samples += _read_scenario(folders[split], scenario, findings)
        if not samples:
            findings.append(found("split.empty", folders[split], f"{split} has no usable picture"))
        read_splits[split] = samples
    dataset.splits = read_splits
    return dataset


def _scenarios(folder: Path) -> list[str]:
    names = {each.name for kind in ("jsons", "videos") for each in folders_in(folder / kind)}
    names |= {each.stem for each in (folder / "jsons").glob("*.zip")}
    return sorted(names)


def _read_scenario(folder: Path, scenario: str, findings: list[Finding]) -> Iterator[Sample]:
    with ExitStack() as opened:
        pictures = _walk(folder / "videos" / scenario, is_picture, findings)
        labels = _labels(folder / "jsons", scenario, opened, findings)
        if not pictures or not labels:
            _report_half(folder, scenario, pictures, labels, findings)
        if not pictures:
            return
        for key in sorted(labels.keys() - pictures.keys(), key=_in_order):
            message = f"there is no picture {key[0]}/{key[1]}.jpg for it in videos/{scenario}"
            findings.append(found("labels.no_picture", labels[key].file, message))
        for key in sorted(pictures, key=_in_order):
            sample = _read_frame(pictures[key], key, scenario, labels.get(key), bool(labels), findings)
            if sample is not None:
                yield sample


def _in_order(key: Key) -> tuple[Any, Any]:
    return natural(key[0]), natural(key[1])


def _report_half(
    folder: Path, scenario: str, pictures: dict[Key, Path], labels: dict[Key, _Label], findings: list[Finding]
) -> None:
    """Say once that a scenario has labels alone, or pictures alone."""
    if labels:
        video, frame = min(labels, key=_in_order)
        packed = folder / "videos" / f"{scenario}.zip"
        what = f"unpack {packed.name}" if packed.exists() else f"expected e.g. videos/{scenario}/{video}/{frame}.jpg"
        message = f"none of the {counted(len(labels), 'frame')} of {scenario} has its picture; {what}"
        findings.append(found("labels.no_picture", folder / "videos", message))
    elif pictures:
        video, frame = min(pictures, key=_in_order)
        message = f"not one of the {counted(len(pictures), 'picture')} of {scenario} has a label file; "
        message += f"expected e.g. jsons/{scenario}/{video}/{frame}.json or jsons/{scenario}.zip"
        findings.append(found("labels.none", folder / "jsons", message))


def _walk(folder: Path, wanted: Callable[[str], bool], findings: list[Finding]) -> dict[Key, Path]:
    """Files below a folder by the name of the folder they lie in and their stem, however deep."""
    files: dict[Key, Path] = {}

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            path = error.filename or folder
            findings.append(found("folder.unreadable", path, f"cannot be opened: {error.strerror or error}"))

    for root, inner, names in os.walk(folder, onerror=unreadable):
        inner.sort()
        video = os.path.basename(root)  # noqa: PTH119 (called for every frame of large sets)
        for name in sorted(names):
            if name.startswith(".") or not wanted(name):
                continue
            key, path = (video, name.rpartition(".")[0]), Path(root, name)
            if key in files:
                findings.append(found("labels.twice", path, f"stands for the same frame as {files[key]}"))
            else:
                files[key] = path
    return files


def _labels(jsons: Path, scenario: str, opened: ExitStack, findings: list[Finding]) -> dict[Key, _Label]:
    """The JSON of each frame: from the folder of the scenario, else from its zip."""
    plain = _walk(jsons / scenario, _is_json, findings)
    if plain:
        return {key: _Label(file, partial(_load_file, file)) for key, file in plain.items()}
    packed = jsons / f"{scenario}.zip"
    if not packed.is_file():
        return {}
    try:
        archive = opened.enter_context(zipfile.ZipFile(packed))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        findings.append(found("labels.archive", packed, f"cannot be opened as a zip file: {error}"))
        return {}
    labels: dict[Key, _Label] = {}
    for member in archive.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", member.filename):
            message = f"{shown(member.filename)} leads out of the zip file; not read"
            findings.append(found("paths.climbs", packed, message))
        elif not member.is_dir() and _is_json(path.name) and not path.name.startswith("."):
            key = (path.parent.name or scenario, path.stem)
            if key in labels:
                findings.append(found("labels.twice", packed, f"{shown(member.filename)} stands for a frame told of"))
            else:
                labels[key] = _Label(packed / path, partial(_load_member, archive, member))
    return labels


def _is_json(name: str) -> bool:
    return name.lower().endswith(".json")


def _load_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise _UnreadableError(f"cannot be opened: {error.strerror or error}") from None


def _load_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(member) as file:
            data = file.read(LARGEST_LABEL + 1)  # what a header claims need not be what comes
    # ValueError: the name in the member's own header is no text.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
        raise _UnreadableError(f"cannot be unpacked: {error}") from None
    if len(data) > LARGEST_LABEL:
        raise _UnreadableError(f"unpacks to more than {LARGEST_LABEL:,} bytes, too much for the labels of one frame")
    return data


def _read_frame(
    image: Path, key: Key, scenario: str, label: _Label | None, labelled: bool, findings: list[Finding]
) -> Sample | None:
    size = picture_size(image, findings)
    if size is None:
        return None
    number = _FRAME.search(key[1])
    attributes: dict[str, Any] = {"scenario": scenario, "video": key[0]}
    if number:
        attributes["frame"] = int(number[1])
    if label is None:
        if labelled:  # where no frame of a scenario has labels, that is said once
            message = f"there is no label file for it, {key[1]}.json; the picture counts as empty"
            findings.append(found("labels.missing", image, message))
        return sample_of(image, size, None, [], attributes, findings)
    try:
        data = label.load()
    except _UnreadableError as error:
        findings.append(found("labels.archive", label.file, str(error)))
        return None
    content = parse(data, label.file, findings)
    if content is None:
        return None
    return sample_of(image, size, label.file, objects_of(content, size, label.file, findings), attributes, findings)


def parse(data: bytes, file: Path, findings: list[Finding]) -> dict[str, Any] | None:
    """The object of a frame's JSON; None, and a finding, where it is none.

    Example:
        >>> parse(b'{"2": {"licNumber": "A"}}', Path("frame1.json"), [])
        {'2': {'licNumber': 'A'}}
        >>> parse(b'{"2": ', Path("frame1.json"), faults := []) is None, faults[0].id, faults[0].line
        (True, 'labels.structure', 1)
    """
    try:
        content = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is no UTF-8; save the file as UTF-8"
        findings.append(found("text.encoding", file, message, line))
        return None
    except json.JSONDecodeError as error:
        findings.append(found("labels.structure", file, f"no readable JSON: {error.msg}", error.lineno))
        return None
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits; nesting too deep
        findings.append(found("labels.structure", file, f"no readable JSON: {type(error).__name__}"))
        return None
    # Only an escape can spell half a character; looking for one first spares writing every file out again.
    if b"\\u" in data and not is_text(json.dumps(content, ensure_ascii=False)):
        findings.append(found("labels.structure", file, "holds half a character, an escape such as \\ud800 by itself"))
        return None
    if not isinstance(content, dict):
        what = type(content).__name__
        findings.append(found("labels.structure", file, f"found {what}; expected an object of cars and plates by id"))
        return None
    return content


def objects_of(content: dict[str, Any], size: Header, file: Path, findings: list[Finding]) -> list[Object]:
    """The cars and plates of a frame, in pixels; each plate's parent is the car of its id.

    Example:
        >>> content = {"2": {"carBox": [[0.1, 0.1], [0.5, 0.5]], "licPoly": [[0.2, 0.3], [0.3, 0.3], [0.3, 0.35]]}}
        >>> plate, car = objects_of(content, Header(100, 100, False), Path("frame1.json"), [])
        >>> plate.corners, plate.parent, car.attributes
        ((20.0, 30.0, 30.0, 35.0), 1, {'track': '2'})
    """
    objects: list[Object] = []
    for key, entry in content.items():
        if not isinstance(entry, dict) or not (entry.get("carBox") or entry.get("licPoly")):
            what = "neither carBox nor licPoly" if isinstance(entry, dict) else shown(entry)
            message = f"id {shown(key)} has {what}; expected a carBox, a licPoly or both"
            findings.append(found("labels.fields", file, message))
            continue
        line = int(key) if key.isdecimal() and key.isascii() and len(key) < 18 else None
        car = _points(entry, "carBox", key, size, file, findings)
        polygon = _points(entry, "licPoly", key, size, file, findings)
        if polygon is not None and len(polygon) > 2 and outline_area(clockwise(polygon)) == 0:
            message = f"the corners of licPoly of id {shown(key)} lie on one line"
            findings.append(found("labels.zero_size", file, message))
            polygon = None
        if polygon is not None:
            parent = UNSTATED if car is None else len(objects) + 1
            said = {"track": key, **_text(entry.get("licNumber"))}
            said["segmentation"] = [[value for point in clockwise(polygon) for value in point]]
            objects.append(Object(PLATE, around(polygon), f"plate {shown(key)}", line, parent, said))
        if car is not None:
            more = {name: value for name, value in entry.items() if name not in ("carBox", "licPoly", "licNumber")}
            said = {"track": key, **more}
            objects.append(Object(VEHICLE, around(car), f"car {shown(key)}", line, NO_PARENT, said))
    return objects


def _points(
    entry: dict[str, Any], name: str, key: str, size: Header, file: Path, findings: list[Finding]
) -> Points | None:
    """Points in pixels; None when there are none or, which is a finding, they cannot be used."""
    value = entry.get(name)
    if not value:
        return None
    form = "[[x, y], [x, y]]" if name == "carBox" else "[[x, y], [x, y], [x, y], [x, y]]"
    least = 2 if name == "carBox" else 3
    if (
        not isinstance(value, list)
        or len(value) < least
        or not all(isinstance(point, list) and len(point) == 2 for point in value)
    ):
        message = f"{name} of id {shown(key)} is {_described(value)}; expected {form}"
        findings.append(found("labels.fields", file, message))
        return None
    coordinates = [each for point in value for each in point]
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in coordinates):
        message = f"{name} of id {shown(key)} holds {', '.join(map(shown, coordinates))}; expected numbers"
        findings.append(found("labels.not_a_number", file, message))
        return None
    try:
        finite = all(map(math.isfinite, coordinates))
    except OverflowError:  # a whole number too large for a float
        finite = False
    if not finite:
        findings.append(found("labels.not_finite", file, f"{name} of id {shown(key)} has a number that is not finite"))
        return None
    return [(float(x) * size.width, float(y) * size.height) for x, y in value]


def _described(value: Any) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else shown(value)


def _text(number: Any) -> dict[str, Any]:
    """A plate's text as attributes; one that nobody could read is all ``#``."""
    if not isinstance(number, str) or not number.strip():
        return {}
    return {"readable": False} if _UNREADABLE.fullmatch(number) else {"text": number}


_EXPECTS = "a folder of LSV-LP with train/jsons and train/videos"

FORMAT = register(Format("lsv-lp", _EXPECTS, lambda source: bool(find_splits(source)), read))


def _read_scenarios(scenario: str, source: Path, splits: Sequence[str] | None) -> Dataset:
    return read(source, splits, scenarios=(scenario,))


for _scenario in SCENARIOS:
    # One scenario alone is asked for by name; looking never finds it.
    register(Format(f"lsv-lp-{_scenario}", _EXPECTS, lambda source: False, partial(_read_scenarios, _scenario)))
