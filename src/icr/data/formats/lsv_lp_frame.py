"""The labels of one frame of LSV-LP: cars and plates by id, in shares of the picture's sides."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from icr.data.dataset import NO_PARENT, UNSTATED, Finding
from icr.data.findings import found
from icr.data.formats.json_values import are_finite, described
from icr.data.formats.objects import Object, around, clockwise, outline_area
from icr.data.formats.text import is_text, shown
from icr.data.pictures import Header

PLATE, VEHICLE = 0, 1
_UNREADABLE = re.compile(r"[#\s-]*#[#\s-]*")

Points = list[tuple[float, float]]


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
        message = f"{name} of id {shown(key)} is {described(value)}; expected {form}"
        findings.append(found("labels.fields", file, message))
        return None
    coordinates = [each for point in value for each in point]
    if not are_finite(coordinates, f"{name} of id {shown(key)}", file, findings):
        return None
    return [(float(x) * size.width, float(y) * size.height) for x, y in value]


def _text(number: Any) -> dict[str, Any]:
    """A plate's text as attributes; one that nobody could read is all ``#``."""
    if not isinstance(number, str) or not number.strip():
        return {}
    return {"readable": False} if _UNREADABLE.fullmatch(number) else {"text": number}
