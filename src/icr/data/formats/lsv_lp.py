"""LSV-LP: videos of three scenarios, a JSON for each frame, cars and plates of one id together; the pair is stated.

The JSON files lie in folders or, as downloaded, in one zip for each scenario, which is read where it lies. Coordinates
are shares of the picture's sides.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.lsv_lp_files import Key, Labels, UnreadableError, by_frame, frame_of
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
from icr.data.remembered import ReadAll, joined, read_now
from icr.errors import InputError, nearest
from icr.relations import Relation
from icr.version import __version__

NAMES = ("plate", "vehicle")
PLATE, VEHICLE = 0, 1
SCENARIOS = ("move2move", "move2static", "static2move")
_FOLDERS = {"train": "train", "validation": "val", "val": "val", "test": "test"}
_UNREADABLE = re.compile(r"[#\s-]*#[#\s-]*")
_FRAME = re.compile(r"(\d+)$")

Points = list[tuple[float, float]]


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


def read(
    source: Path,
    splits: Sequence[str] | None = None,
    read_all: ReadAll = read_now,
    *,
    scenarios: Sequence[str] | None = None,
) -> Dataset:
    """Read LSV-LP.

    Args:
        source: the folder.
        splits: read these alone; None: all.
        read_all: reads the pictures of a scenario.
        scenarios: read these alone (the paper uses ``move2move``); None: all that are there.

    Raises:
        InputError: the folder is no LSV-LP, or has no such split or scenario.
    """
    folders = find_splits(Path(os.path.abspath(source)))  # noqa: PTH100 (links stay as they are)
    if not folders:
        raise InputError(f"{source} holds no LSV-LP; expected folders such as train/jsons and train/videos")
    findings: list[Finding] = []
    dataset = Dataset(source, "lsv-lp", list(NAMES), {}, (Relation("plate", "vehicle"),), findings)
    there = sorted({name for folder in folders.values() for name in _scenarios(folder)})
    for each in scenarios or ():
        if each not in there:
            raise InputError(f"{source} has no scenario {each!r}; it has {', '.join(there)}{nearest(each, there)}")
    read_splits: dict[str, Sequence[Sample]] = {}
    for split in requested(list(folders), splits, source):
        parts = [
            _read_scenario(folders[split], scenario, findings, read_all)
            for scenario in _scenarios(folders[split])
            if scenarios is None or scenario in scenarios
        ]
        samples = joined(parts)
        if not samples:
            findings.append(found("split.empty", folders[split], f"{split} has no usable picture"))
        read_splits[split] = samples
    dataset.splits = read_splits
    return dataset


def _scenarios(folder: Path) -> list[str]:
    names = {each.name for kind in ("jsons", "videos") for each in folders_in(folder / kind)}
    names |= {each.stem for each in (folder / "jsons").glob("*.zip")}
    return sorted(names)


def _read_scenario(folder: Path, scenario: str, findings: list[Finding], read_all: ReadAll) -> Sequence[Sample]:
    pictures = by_frame(folder / "videos" / scenario, is_picture, findings)
    with Labels(folder / "jsons", scenario) as labels:
        frames = labels.frames(findings)
        if not pictures or not frames:
            _report_half(folder, scenario, pictures, frames, findings)
        if not pictures:
            return []
        for key in sorted(frames - pictures.keys(), key=_in_order):
            message = f"there is no picture {key[0]}/{key[1]}.jpg for it in videos/{scenario}"
            findings.append(found("labels.no_picture", labels.file(key) or folder, message))
        paths = [pictures[key] for key in sorted(pictures, key=_in_order)]
        labelled = bool(frames)
        del pictures, frames
        meaning = f"lsv-lp {__version__} {scenario} {labelled} {folder}"
        samples, said = read_all(paths, partial(_parse, labels, labelled), partial(_files_of, labels), meaning)
    findings += said
    return samples


def _files_of(labels: Labels, image: str) -> tuple[str, ...]:
    return image, *labels.files(frame_of(image))


def _parse(labels: Labels, labelled: bool, image: str) -> tuple[Sample | None, list[Finding]]:
    findings: list[Finding] = []
    return _read_frame(Path(image), frame_of(image), labels, labelled, findings), findings


def _in_order(key: Key) -> tuple[Any, Any]:
    return natural(key[0]), natural(key[1])


def _report_half(
    folder: Path, scenario: str, pictures: Collection[Key], labels: Collection[Key], findings: list[Finding]
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


def _read_frame(image: Path, key: Key, labels: Labels, labelled: bool, findings: list[Finding]) -> Sample | None:
    size = picture_size(image, findings)
    if size is None:
        return None
    number = _FRAME.search(key[1])
    attributes: dict[str, Any] = {"scenario": labels.scenario, "video": key[0]}
    if number:
        attributes["frame"] = int(number[1])
    file = labels.file(key)
    if file is None:
        if labelled:  # where no frame of a scenario has labels, that is said once
            message = f"there is no label file for it, {key[1]}.json; the picture counts as empty"
            findings.append(found("labels.missing", image, message))
        return sample_of(image, size, None, [], attributes, findings)
    try:
        data = labels.load(key)
    except UnreadableError as error:
        findings.append(found("labels.archive", file, str(error)))
        return None
    content = parse(data, file, findings)
    if content is None:
        return None
    return sample_of(image, size, file, objects_of(content, size, file, findings), attributes, findings)


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

FORMAT = register(Format.by_picture("lsv-lp", _EXPECTS, lambda source: bool(find_splits(source)), read))

for _scenario in SCENARIOS:
    # One scenario alone is asked for by name; looking never finds it.
    register(
        Format.by_picture(f"lsv-lp-{_scenario}", _EXPECTS, lambda source: False, partial(read, scenarios=(_scenario,)))
    )
