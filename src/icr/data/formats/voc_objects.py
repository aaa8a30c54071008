"""An annotation of Pascal VOC XML: its objects, in one of three ways with the objects that they hold."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icr.data.dataset import UNSTATED, Finding
from icr.data.findings import found
from icr.data.formats.objects import Corners
from icr.data.formats.text import shown
from icr.data.formats.xml_tree import Element, XmlBrokenError, XmlRefusedError, parse

CARPLATE = "carplate"
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_STRUCTURE = ("name", "bndbox")
_TRUE = ("1", "true", "yes")


@dataclass
class Thing:
    """An object as it stands in the XML, its class still a name; `parent` is a place among the things, or unstated."""

    name: str
    corners: Corners
    line: int
    parent: int
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Entry:
    """What the XML of a picture says: its objects, its size where that is stated, and whatever else."""

    things: list[Thing] = field(default_factory=list)
    size: tuple[int, int] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


def opened(file: Path, findings: list[Finding]) -> Element | None:
    """The annotation element of a file; None, and a finding, where there is none."""
    try:
        root = parse(file.read_bytes())
    except OSError as error:
        findings.append(found("text.unreadable", file, f"cannot be opened: {error.strerror or error}"))
    except XmlRefusedError as error:
        findings.append(found("labels.refused", file, f"{error}; not read"))
    except XmlBrokenError as error:
        kind = "text.encoding" if error.encoding else "labels.structure"
        findings.append(found(kind, file, str(error), error.line))
    else:
        if root.tag == "annotation":
            return root
        message = f"found <{root.tag[:40]}>; expected <annotation>"
        findings.append(found("labels.structure", file, message, root.line))
    return None


def entry_of(root: Element, file: Path, findings: list[Finding]) -> Entry:
    """What an annotation says; what of it cannot be used is a finding."""
    entry = Entry()
    for each in root.children:
        if each.tag == "object":
            _collect(each, UNSTATED, entry, file, findings)
        elif not each.children and each.tag not in ("folder", "filename", "path", "segmented") and each.text.strip():
            entry.attributes[each.tag] = each.text.strip()
    if not entry.things and not any(each.tag == "object" for each in root.children):
        findings.append(found("labels.empty", file, "has no object; the picture counts as empty"))
    size = root.first("size")
    if size is not None:
        stated = size.said("width"), size.said("height")
        if all(each.isascii() and each.isdecimal() and 0 < len(each) < 9 for each in stated):
            entry.size = int(stated[0]), int(stated[1])
    return entry


def _collect(element: Element, parent: int, entry: Entry, file: Path, findings: list[Finding]) -> None:
    """Add an object, and those that it holds as its children, to an entry."""
    name = element.said("name") or (element.tag if element.tag not in ("object", "part") else "")
    if not name:
        findings.append(found("labels.fields", file, "an object has no name", element.line))
    box = element.first("bndbox")
    if box is None:
        what = shown(name) if name else "an object"
        message = f"{what} has no bndbox; expected xmin, ymin, xmax and ymax in one"
        findings.append(found("labels.fields", file, message, element.line))
    corners = _corners(box, "", name, file, findings) if box is not None and name else None
    own = UNSTATED
    if corners is not None:
        own = len(entry.things)
        entry.things.append(Thing(name, corners, element.line, parent, _attributes(element)))
    for each in element.children:
        # An object that cannot be used leaves its children unpaired, with its own finding.
        if each.tag != "bndbox" and each.first("bndbox") is not None:
            _collect(each, own, entry, file, findings)
    _collect_carplate(element, own, entry, file, findings)


def _collect_carplate(element: Element, parent: int, entry: Entry, file: Path, findings: list[Finding]) -> None:
    """Add the plate of a car that says where it is by ``carplate_xmin`` and so on."""
    box = element.first("bndbox")
    said = {each.tag: each for each in (*element.children, *(box.children if box is not None else ()))}
    sides = Element("bndbox", element.line, "", [said[each] for each in _plate_tags() if each in said])
    stated = said["has_carplate"].text.strip().lower() if "has_carplate" in said else None
    if stated is None and not sides.children:
        return
    if stated is not None and stated not in _TRUE:
        return
    corners = _corners(sides, "carplate_", CARPLATE, file, findings)
    if corners is not None:
        more = {
            key.removeprefix("carplate_"): _value(each.text)
            for key, each in said.items()
            if key.startswith("carplate_") and key not in _plate_tags() and not each.children and each.text.strip()
        }
        line = sides.children[0].line if sides.children else element.line
        entry.things.append(Thing(CARPLATE, corners, line, parent, more))


def _plate_tags() -> tuple[str, ...]:
    return tuple(f"carplate_{side}" for side in _SIDES)


def _corners(box: Element, prefix: str, name: str, file: Path, findings: list[Finding]) -> Corners | None:
    texts = [box.said(f"{prefix}{side}") for side in _SIDES]
    absent = [f"{prefix}{side}" for side, text in zip(_SIDES, texts, strict=True) if not text]
    if absent:
        message = f"{shown(name)} has no {' and no '.join(absent)}"
        findings.append(found("labels.fields", file, message, box.line))
        return None
    try:
        values = [float(each) for each in texts]
    except ValueError:
        message = f"the box of {shown(name)} is {shown(' '.join(texts))}; expected four numbers"
        findings.append(found("labels.not_a_number", file, message, box.line))
        return None
    if not all(map(math.isfinite, values)):
        message = f"the box of {shown(name)} has a number that is not finite"
        findings.append(found("labels.not_finite", file, message, box.line))
        return None
    left, top, right, bottom = values
    if left > right or top > bottom:
        message = f"the box of {shown(name)} has xmin {left:g}, xmax {right:g}, ymin {top:g}, ymax {bottom:g}"
        findings.append(found("labels.corners_swapped", file, message, box.line))
    return min(left, right), min(top, bottom), max(left, right), max(top, bottom)


def _attributes(element: Element) -> dict[str, Any]:
    said = {
        each.tag: _value(each.text)
        for each in element.children
        if not each.children and each.text.strip() and each.tag not in _STRUCTURE and "carplate" not in each.tag
    }
    stated = element.first("attributes")
    for each in stated.children if stated is not None else ():
        if each.said("name"):
            said[each.said("name")] = _value(each.said("value"))
    return said


def _value(text: str) -> str | int:
    """A flag such as ``<difficult>0</difficult>`` as a number, all else as text: plates may be all digits."""
    text = text.strip()
    return int(text) if text in ("0", "1") else text
