"""CVAT for images 1.1: one XML for all pictures; the boxes of a pair share a ``group_id``."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.annotating import Export, Pictures
from icr.data.formats.cvat_groups import discovered_pairs, parents_by_group
from icr.data.formats.cvat_write import NUMBER, PARENT, write
from icr.data.formats.notes import Notes, read_notes
from icr.data.formats.objects import Corners, Object, around
from icr.data.formats.registry import Format, register
from icr.data.formats.splits import split_of
from icr.data.formats.text import shown
from icr.data.formats.xml_tree import Element, XmlBrokenError, XmlRefusedError, parse
from icr.errors import InputError

FILE = "annotations.xml"
_LARGEST = 256 * 2**20
_EXPECTED = "expected CVAT for images 1.1: <annotations> with an <image> for each picture"
_STRAIGHT = 0.05
"""Degrees by which a box may be turned and still counts as upright."""


def find_file(source: Path) -> Path | None:
    """The XML that a source is, or holds as ``annotations.xml``; None when it is not one of CVAT's."""
    file = source / FILE if source.is_dir() else source
    try:
        if file.suffix.lower() != ".xml" or not file.is_file():
            return None
        with file.open("rb") as opened:
            head = opened.read(4096).replace(b"\x00", b"")
    except OSError:
        return None
    return file if b"<annotations" in head else None


@dataclass
class _Box:
    """A usable shape as it stands in the XML."""

    label: str
    corners: Corners
    line: int
    group: int
    attributes: dict[str, Any] = field(default_factory=dict)


def read(source: Path, splits: Sequence[str] | None = None) -> Dataset:
    """Read CVAT for images 1.1.

    Raises:
        InputError: there is no such file, or it is no XML of this format.
    """
    file = find_file(source)
    if file is None:
        raise InputError(f"{source} holds no CVAT annotations; expected an annotations.xml of CVAT for images 1.1")
    file = Path(os.path.abspath(file))  # noqa: PTH100 (links stay as they are)
    root = _open(file)
    notes = read_notes(file.parent)
    findings: list[Finding] = []
    kinds, declared = _labels(root)
    kinds.update(dict.fromkeys(((name, key) for name in notes.names for key in notes.numeric), "number"))
    images = [each for each in root.children if each.tag == "image"]
    boxes = [[box for each in image.children if (box := _box(each, kinds, file, findings))] for image in images]
    names = notes.names or declared or sorted({box.label for own in boxes for box in own})
    if not names:
        raise InputError(f"{file}: found no label and no box; {_EXPECTED}")
    pairs = notes.pairs or ([] if notes.relations else _found_pairs(boxes))
    export = Export(source, "cvat", file, names, pairs, notes, findings)
    by_split: dict[str, list[tuple[_Image, list[_Box]]]] = {}
    pictures = Pictures(file.parent)
    for element, own in zip(images, boxes, strict=True):
        image = _located(element, pictures, file, notes)
        by_split.setdefault(image.split, []).append((image, own))
    if not by_split:
        raise InputError(f"{file}: found no <image>; {_EXPECTED}")
    return export.read(by_split, splits, lambda held: _sample(export, *held))


@dataclass(frozen=True)
class _Image:
    """An ``<image>``, the picture found for it, its name in the notes, and its split."""

    element: Element
    path: Path | None
    key: str
    split: str

    @property
    def name(self) -> str:
        return self.element.attributes.get("name", "")


def _located(element: Element, pictures: Pictures, file: Path, notes: Notes) -> _Image:
    name, subset = element.attributes.get("name", ""), element.attributes.get("subset", "")
    path = pictures.find(f"{subset}/{name}", name) if subset else pictures.find(name)
    folder = file.parent / "images"
    key = path.relative_to(folder).as_posix() if path is not None and path.is_relative_to(folder) else name
    # A project may have taken all pictures into one subset; the folder that they were handed over in tells better.
    known = key in notes.pictures
    return _Image(element, path, key, split_of("" if known else subset, key if known else f"{name}/{key}"))


def _open(file: Path) -> Element:
    try:
        root = parse(file.read_bytes(), _LARGEST)
    except XmlRefusedError as error:
        raise InputError(f"{file}: {error}; not read, annotations need none") from None
    except XmlBrokenError as error:
        line = f", line {error.line}" if error.line is not None else ""
        raise InputError(f"{file}{line}: {error}; {_EXPECTED}") from None
    if root.tag != "annotations":
        raise InputError(f"{file}: found <{root.tag[:40]}>; {_EXPECTED}")
    if root.first("track") is not None and root.first("image") is None:
        raise InputError(f"{file}: found tracks, as CVAT for video has; export it as CVAT for images 1.1")
    return root


def _labels(root: Element) -> tuple[dict[tuple[str, str], str], list[str]]:
    """The input type of each attribute by label and name, and the labels in their order, parts of skeletons aside."""
    kinds: dict[tuple[str, str], str] = {}
    names: list[str] = []
    meta = root.first("meta")
    for holder in meta.children if meta is not None else ():
        labels = holder.first("labels")
        for each in labels.children if labels is not None else ():
            name = each.first("name")
            if name is None or not name.text or each.first("parent") is not None:
                continue
            if name.text not in names:
                names.append(name.text)
            attributes = each.first("attributes")
            for attribute in attributes.children if attributes is not None else ():
                called = attribute.first("name")
                if called is not None:
                    kinds[name.text, called.text] = attribute.said("input_type")
    return kinds, names


def _box(shape: Element, kinds: dict[tuple[str, str], str], file: Path, findings: list[Finding]) -> _Box | None:
    """A shape as a box; None where it is none, which is a finding unless it is a tag."""
    if shape.tag == "tag":
        return None
    said, label = shape.attributes, shape.attributes.get("label", "")
    called = f"{shape.tag} {shown(label)}"

    def refuse(kind: str, message: str) -> None:
        findings.append(found(kind, file, f"{called} {message}", shape.line))

    if shape.tag not in ("box", "polygon"):
        refuse("labels.shape", "is no box and no polygon")
        return None
    if not label:
        refuse("labels.fields", "has no label")
        return None
    keys = ("xtl", "ytl", "xbr", "ybr") if shape.tag == "box" else ("points",)
    missing = [key for key in keys if key not in said]
    if missing:
        refuse("labels.fields", f"has no {' and no '.join(missing)}")
        return None
    turned = _number(said.get("rotation", "0"))
    if turned is None or abs(math.remainder(turned, 360)) > _STRAIGHT:
        refuse("labels.rotated", f"is turned by {shown(said['rotation'])} degrees")
        return None
    texts = [said[key] for key in keys] if shape.tag == "box" else said["points"].replace(";", ",").split(",")
    numbers = [_number(each) for each in texts]
    values = [each for each in numbers if each is not None]
    if len(values) < len(numbers) or len(values) % 2 or len(values) < 4:
        refuse("labels.not_a_number", f"has {shown(' '.join(texts))}; expected finite numbers")
        return None
    points = list(zip(values[::2], values[1::2], strict=True))
    if shape.tag == "box" and (values[0] > values[2] or values[1] > values[3]):
        refuse("labels.corners_swapped", f"has corners {shown(' '.join(texts))}")
    attributes = _attributes(shape, label, kinds)
    if shape.tag == "polygon":
        findings.append(found("labels.polygon", file, f"{called} is an outline", shape.line))
        attributes["segmentation"] = [values]
    return _Box(label, around(points), shape.line, _whole(said.get("group_id", "")) or 0, attributes)


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 18 else None  # of thousands of digits none is made


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _attributes(shape: Element, label: str, kinds: dict[tuple[str, str], str]) -> dict[str, Any]:
    """What is said of a shape; attributes left empty are not said."""
    attributes: dict[str, Any] = {}
    for each in shape.children:
        name = each.attributes.get("name", "")
        if each.tag == "attribute" and name and each.text:
            attributes[name] = _value(each.text, kinds.get((label, name), "text"))
    if shape.attributes.get("occluded") == "1":
        attributes["occluded"] = True
    # CVAT says "file" of every shape that was uploaded, whatever the file said.
    if shape.attributes.get("source", "manual") not in ("manual", "file"):
        attributes["source"] = shape.attributes["source"]
    return attributes


def _value(text: str, kind: str) -> Any:
    if kind == "checkbox":
        return text.strip().lower() == "true"
    number = _number(text) if kind == "number" else None
    if number is None:
        return text
    return int(text) if text.lstrip("-").isdecimal() else number


def _found_pairs(boxes: Sequence[Sequence[_Box]]) -> list[tuple[str, str]]:
    return discovered_pairs(
        (
            np.array([box.corners for box in own], np.float64).reshape(-1, 4),
            [box.label for box in own],
            [box.group for box in own],
        )
        for own in boxes
    )


def _sample(export: Export, image: _Image, boxes: Sequence[_Box]) -> Sample | None:
    element, names = image.element, export.names
    width, height = (_whole(element.attributes.get(side, "")) for side in ("width", "height"))
    stated = (width, height) if width is not None and height is not None else None
    size = export.size(image.path, image.name, stated, "the labels say", element.line)
    if size is None or image.path is None:
        return None
    usable = [box for box in boxes if box.label in names]
    for box in boxes:
        if box.label not in names:
            export.report("labels.class", f"label {shown(box.label)} is not declared", box.line)
    corners = np.array([box.corners for box in usable], np.float64).reshape(-1, 4)
    labels = [names.index(box.label) for box in usable]
    parents, doubtful = parents_by_group(corners, labels, [box.group for box in usable], export.allowed)
    # A parent that is named beats the geometry in a group; a group that people made anew beats a name left over.
    named = {str(box.attributes.pop(NUMBER)): index for index, box in enumerate(usable) if NUMBER in box.attributes}
    for index, box in enumerate(usable):
        said = str(box.attributes.pop(PARENT, ""))
        other = named.get(said, -1)
        if other >= 0 and other != index and usable[other].group == box.group:
            parents[index] = other
        elif said in ("none", "unstated"):
            parents[index] = NO_PARENT if said == "none" else UNSTATED
        else:
            continue
        doubtful = [each for each in doubtful if each != index]
    for index in doubtful:
        message = f"{usable[index].label!r} is in a group with two boxes that hold it alike"
        export.report("pairs.ambiguous", message, usable[index].line)
    tags = [each.attributes.get("label", "") for each in element.children if each.tag == "tag"]
    objects = [
        Object(label, box.corners, shown(box.label), box.line, parent, box.attributes)
        for label, box, parent in zip(labels, usable, parents.tolist(), strict=True)
    ]
    if not objects and not boxes:
        message = f"{shown(image.name)} has no box; it counts as a picture without objects"
        export.report("labels.empty", message, element.line)
    return export.sample(image.path, size, objects, image.key, {"tags": tags} if tags else {})


FORMAT = register(
    Format(
        "cvat",
        "a folder with the annotations.xml of CVAT for images 1.1",
        lambda source: find_file(source) is not None,
        read,
        write,
    )
)
