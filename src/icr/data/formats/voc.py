"""Pascal VOC XML: an annotation for each picture; pairs where an object holds its child.

Three ways of holding one are read: objects or parts nested in an object; ``has_carplate`` with
``carplate_xmin`` … ``carplate_ymax`` in an object or its ``bndbox``; and none, where geometry pairs the boxes.
Coordinates are taken as they stand.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from icr.data.dataset import UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.objects import Corners, Object, folders_in, natural, picture_size, pictures_in, sample_of
from icr.data.formats.registry import Format, register
from icr.data.formats.text import counted, read_lines, shown
from icr.data.formats.xml_tree import Element, XmlBrokenError, XmlRefusedError, parse
from icr.data.formats.yolo_config import requested
from icr.errors import InputError
from icr.relations import Relation

CARPLATE = "carplate"
_ALIASES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_LABEL_FOLDERS, _PICTURE_FOLDERS = ("annotations", "labels", "xml", "xmls"), ("jpegimages", "images", "imgs", "image")
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_STRUCTURE = ("name", "bndbox")
_TRUE = ("1", "true", "yes")


@dataclass(frozen=True)
class _Folders:
    """Where the labels of a split lie, where its pictures may lie, and the stems that a list gives it (None: all)."""

    labels: Path
    pictures: tuple[Path, ...]
    stems: tuple[str, ...] | None = None


@dataclass
class _Thing:
    """An object as it stands in the XML, its class still a name."""

    name: str
    corners: Corners
    line: int
    parent: int
    attributes: dict[str, Any] = field(default_factory=dict)


def find_splits(source: Path) -> dict[str, list[_Folders]]:
    """The folders of each split: by the lists of ``ImageSets/Main``, else by folders of that name, else all train.

    They are looked for in `source` and in the one folder that it holds.
    """
    if not source.is_dir():
        return {}
    inner = folders_in(source)
    for root in (source, inner[0]) if len(inner) == 1 else (source,):
        found_ = _by_lists(root) or _by_folders(root)
        if found_:
            return found_
    return {}


def _by_lists(root: Path) -> dict[str, list[_Folders]]:
    whole = _folders(root)
    lists = root / "ImageSets" / "Main"
    if whole is None or not lists.is_dir():
        return {}
    files = {split: lists / f"{split}.txt" for split in _ALIASES}
    if not files["train"].is_file() and (lists / "trainval.txt").is_file():
        files["train"] = lists / "trainval.txt"
    return {split: [_listed(whole, file)] for split, file in files.items() if file.is_file()}


def _listed(whole: _Folders, file: Path) -> _Folders:
    stems = tuple(line.split()[0] for line in read_lines(file, []) or () if line.split())
    return _Folders(whole.labels, whole.pictures, stems)


def _by_folders(root: Path) -> dict[str, list[_Folders]]:
    found_: dict[str, list[_Folders]] = {}
    for split, names in _ALIASES.items():
        own = [each for each in folders_in(root) if each.name.lower() in names]
        own_folders = [folders for each in own if (folders := _folders(each)) is not None]
        labels = [each for each in _inner(_inner([root], _LABEL_FOLDERS), names) if _holds_xml(each)]
        pictures = tuple(_inner(_inner([root], _PICTURE_FOLDERS), names))
        own_folders += [_Folders(each, (*pictures, each)) for each in labels]
        if own_folders:
            found_[split] = own_folders
    if not found_:
        whole = _folders(root)
        return {"train": [whole]} if whole is not None else {}
    return found_


def _inner(folders: Sequence[Path], names: Sequence[str]) -> list[Path]:
    return [inner for each in folders for inner in folders_in(each) if inner.name.lower() in names]


def _folders(root: Path) -> _Folders | None:
    """The labels in a folder, or in ``Annotations`` there, with the folders beside them that may hold the pictures."""
    for labels in (*_inner([root], _LABEL_FOLDERS), root):
        if _holds_xml(labels):
            return _Folders(labels, (*_inner([root], _PICTURE_FOLDERS), *dict.fromkeys((labels, root))))
    return None


def _holds_xml(folder: Path) -> bool:
    """Whether the first XML of a folder is an annotation, or too broken to tell."""
    try:
        with os.scandir(folder) as entries:
            first = next((each.path for each in entries if each.name.lower().endswith(".xml")), None)
        if first is None:
            return False
        with Path(first).open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    head = head.replace(b"\x00", b"")
    if b"<annotations" in head:  # CVAT's
        return False
    return b"annotation" in head or b"<!DOCTYPE" in head or not head.strip()


def read(source: Path, splits: Sequence[str] | None = None) -> Dataset:
    """Read VOC XML; classes are in the order of their names, over all splits, whichever are read.

    Raises:
        InputError: the folder holds no XML annotation.
    """
    folders = find_splits(source)
    if not folders:
        raise InputError(f"{source} holds no VOC XML; expected a folder Annotations of .xml files")
    findings: list[Finding] = []
    wanted = requested(list(folders), splits, source)
    # Every split is parsed, so that a class has the same index whichever splits are read.
    parsed = {
        split: [each for place in places for each in _read_folders(place, findings if split in wanted else [])]
        for split, places in folders.items()
    }
    _report_unlisted(folders, findings)
    everything = [thing for entries in parsed.values() for entry in entries for thing in entry.things]
    names = sorted({each.name for each in everything})
    dataset = Dataset(source, "voc", names, {}, _relations(parsed), findings)
    if not names:
        fault = next((f"; {each.file}: {each.message}" for each in findings if each.severity == "error"), "")
        raise InputError(f"{source}: not one object can be used in its XML files; expected a name and a bndbox{fault}")
    read_splits: dict[str, list[Sample]] = {}
    for split in wanted:
        samples = [sample for each in parsed[split] if (sample := _sample(each, names, findings)) is not None]
        if not samples:
            findings.append(found("split.empty", source, f"{split} has no usable picture"))
        read_splits[split] = samples
    dataset.splits = read_splits
    return dataset


@dataclass
class _Entry:
    """A picture with what its XML says."""

    image: Path
    file: Path | None
    things: list[_Thing] = field(default_factory=list)
    size: tuple[int, int] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


def _read_folders(place: _Folders, findings: list[Finding]) -> Iterator[_Entry]:
    """Every picture of a split, by its XML or by itself."""
    pictures: dict[str, Path] = {}
    by_name: dict[str, Path] = {}
    for folder in place.pictures:
        for each in pictures_in(folder, findings):
            pictures.setdefault(each.stem, each)
            by_name.setdefault(each.name, each)
    labels = {each.stem: each for each in place.labels.iterdir() if each.suffix.lower() == ".xml"}
    stems = place.stems
    if stems is None:
        stems = tuple(sorted(labels.keys() | pictures.keys(), key=natural))
    unlabelled: list[Path] = []
    used: set[Path] = set()
    for stem in dict.fromkeys(stems):
        file = labels.get(stem)
        root = _open(file, findings) if file is not None else None
        if file is not None and root is None:
            continue
        own = by_name.get(PureWindowsPath(root.said("filename")).name) if root is not None else None
        image = own if own is not None and own.stem not in labels.keys() - {stem} else pictures.get(stem, own)
        if image is None:
            _report_absent(stem, file, root, place, findings)
        elif root is None or file is None:
            unlabelled.append(image)
        else:
            used.add(image)
            yield _entry(image, file, root, findings)
    for image in unlabelled:
        if image not in used:  # an XML of another name may speak of it
            missing = place.labels / f"{image.stem}.xml"
            findings.append(found("labels.missing", missing, "there is no label file; the picture counts as empty"))
            yield _Entry(image, None)


def _report_absent(
    stem: str, file: Path | None, root: Element | None, place: _Folders, findings: list[Finding]
) -> None:
    if file is None:
        message = f"{shown(stem)} is listed, but has neither picture nor label file"
        findings.append(found("picture.missing", place.labels.parent / "ImageSets" / "Main", message))
        return
    name = root.said("filename") if root is not None else ""
    message = f"there is no picture {shown(stem)}{f' or {shown(name)}' if name else ''} for it"
    findings.append(found("labels.no_picture", file, message))


def _report_unlisted(folders: dict[str, list[_Folders]], findings: list[Finding]) -> None:
    every = [each for places in folders.values() for each in places]
    if any(each.stems is None for each in every):
        return
    listed = {stem for each in every for stem in each.stems or ()}
    files = sorted(each for each in every[0].labels.iterdir() if each.suffix.lower() == ".xml")
    rest = [each for each in files if each.stem not in listed]
    if rest:
        message = f"{counted(len(rest), 'XML file')} in no list of ImageSets/Main, such as {rest[0].name}"
        findings.append(found("splits.unlisted", every[0].labels, message))


def _open(file: Path, findings: list[Finding]) -> Element | None:
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


def _entry(image: Path, file: Path, root: Element, findings: list[Finding]) -> _Entry:
    entry = _Entry(image, file)
    for each in root.children:
        if each.tag == "object":
            _collect(each, UNSTATED, entry, findings)
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


def _collect(element: Element, parent: int, entry: _Entry, findings: list[Finding]) -> None:
    """Add an object, and those that it holds as its children, to an entry."""
    file = entry.file or entry.image
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
        entry.things.append(_Thing(name, corners, element.line, parent, _attributes(element)))
    for each in element.children:
        # An object that cannot be used leaves its children unpaired, with its own finding.
        if each.tag != "bndbox" and each.first("bndbox") is not None:
            _collect(each, own, entry, findings)
    _collect_carplate(element, own, entry, findings)


def _collect_carplate(element: Element, parent: int, entry: _Entry, findings: list[Finding]) -> None:
    """Add the plate of a car that says where it is by ``carplate_xmin`` and so on."""
    file = entry.file or entry.image
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
        entry.things.append(_Thing(CARPLATE, corners, line, parent, more))


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


def _relations(parsed: dict[str, list[_Entry]]) -> tuple[Relation, ...]:
    """The relations that the stated pairs amount to."""
    classes: dict[str, set[str]] = {}
    for entries in parsed.values():
        for entry in entries:
            for each in entry.things:
                if each.parent >= 0 and entry.things[each.parent].name != each.name:
                    classes.setdefault(each.name, set()).add(entry.things[each.parent].name)
    relations: dict[str, Relation] = {}
    for child, parents in sorted(classes.items()):
        if not _leads_to(child, parents, classes):
            relations[child] = Relation(child, next(iter(parents)) if len(parents) == 1 else tuple(sorted(parents)))
    return tuple(relations.values())


def _leads_to(child: str, parents: set[str], classes: dict[str, set[str]]) -> bool:
    """Whether a class is among its own ancestors, so that no relation can be declared for it."""
    above, waiting = set[str](), list(parents)
    while waiting:
        each = waiting.pop()
        if each not in above:
            above.add(each)
            waiting.extend(classes.get(each, ()))
    return child in above


def _sample(entry: _Entry, names: Sequence[str], findings: list[Finding]) -> Sample | None:
    size = picture_size(entry.image, findings)
    if size is None:
        return None
    if entry.size is not None and entry.size != (size.width, size.height):
        message = f"is {size.width} x {size.height}, but {entry.file} says {entry.size[0]} x {entry.size[1]}"
        findings.append(found("picture.size_mismatch", entry.image, message))
    objects = [
        Object(names.index(each.name), each.corners, shown(each.name), each.line, each.parent, each.attributes)
        for each in entry.things
    ]
    return sample_of(entry.image, size, entry.file, objects, entry.attributes, findings)


FORMAT = register(
    Format(
        "voc",
        "a folder of VOC XML, with Annotations and JPEGImages",
        lambda source: bool(find_splits(source)),
        read,
    )
)
