"""Pascal VOC XML: an annotation for each picture; pairs where an object holds its child.

Three ways of holding one are read: objects or parts nested in an object; ``has_carplate`` with
``carplate_xmin`` … ``carplate_ymax`` in an object or its ``bndbox``; and none, where geometry pairs the boxes.
Coordinates are taken as they stand.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath

import numpy as np

from icr.data.compact import Paths
from icr.data.dataset import Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.objects import Object, natural, picture_size, pictures_in, sample_of
from icr.data.formats.registry import Format, register
from icr.data.formats.splits import fill, requested
from icr.data.formats.text import counted, shown
from icr.data.formats.voc_folders import Folders, find_splits
from icr.data.formats.voc_objects import Entry, entry_of, opened
from icr.data.remembered import ReadAll, read_now
from icr.errors import InputError
from icr.relations import Relation
from icr.version import __version__

Read = tuple[Entry, list[Finding]]


def read(source: Path, splits: Sequence[str] | None = None, read_all: ReadAll = read_now) -> Dataset:
    """Read VOC XML; classes are in the order of their names, over all splits, whichever are read.

    Raises:
        InputError: the folder holds no XML annotation.
    """
    findings: list[Finding] = []
    folders = find_splits(Path(os.path.abspath(source)), findings)  # noqa: PTH100 (links stay as they are)
    if not folders:
        raise InputError(f"{source} holds no VOC XML; expected a folder Annotations of .xml files")
    wanted = requested(list(folders), splits, source)
    classes = _Classes({} if read_all is read_now else None)
    # Every split is looked into, so that a class has the same index whichever splits are read.
    pictures = {
        split: Paths(
            each
            for place in places
            for each in _pictures(place, classes, read_all, findings if split in wanted else [])
        )
        for split, places in folders.items()
    }
    _report_unlisted(folders, findings)
    names = sorted(classes.names)
    parse = partial(_parse, names, classes.kept)

    def read_split(split: str) -> Sequence[Sample]:
        samples, said = read_all(pictures[split], parse, _files_of, f"voc {__version__} {names}")
        findings.extend(said)
        return samples

    dataset = Dataset(source, "voc", names, {}, _relations(classes.parents), findings)
    fill(dataset, dict.fromkeys(folders, source), wanted, read_split)
    if not names:
        fault = next((f"; {each.file}: {each.message}" for each in findings if each.severity == "error"), "")
        raise InputError(f"{source}: not one object can be used in its XML files; expected a name and a bndbox{fault}")
    return dataset


class _Classes:
    """The classes of a set, and those that hold others.

    Attributes:
        names: of all objects that can be used.
        parents: for each class that another holds, which ones do.
        kept: by its path, what an XML came to, where there is memory for it, so that none is parsed twice; else None.
    """

    def __init__(self, kept: dict[str, Read] | None) -> None:
        self.names: set[str] = set()
        self.parents: dict[str, set[str]] = {}
        self.kept = kept

    def add(self, outline: Sample) -> None:
        """Take in the classes of one XML."""
        self.names.update(outline.attributes["names"])
        for child, parent in outline.attributes["pairs"]:
            self.parents.setdefault(child, set()).add(parent)


def _outline(kept: dict[str, Read] | None, file: str) -> tuple[Sample | None, list[Finding]]:
    """The classes in an XML and the picture it names, as the attributes of a sample without boxes."""
    findings: list[Finding] = []
    root = opened(Path(file), findings)
    if root is None:
        return None, findings
    said: list[Finding] = []
    entry = entry_of(root, Path(file), said)
    if kept is not None:
        kept[file] = entry, said
    things = entry.things
    both = {(each.name, things[each.parent].name) for each in things if each.parent >= 0}
    attributes = {
        "filename": root.said("filename"),
        "names": sorted({each.name for each in things}),
        "pairs": sorted([child, parent] for child, parent in both if child != parent),
    }
    none = np.zeros(0, np.int64)
    return Sample(Path(file), 0, 0, np.zeros((0, 4)), none, none, attributes=attributes), findings


def _pictures(place: Folders, classes: _Classes, read_all: ReadAll, findings: list[Finding]) -> Iterator[str]:
    """The path of every picture of a split, followed by a zero byte and the path of its XML where it has one."""
    pictures: dict[str, Path] = {}
    by_name: dict[str, Path] = {}
    for folder in place.pictures:
        for each in pictures_in(folder, findings):
            pictures.setdefault(each.stem, each)
            by_name.setdefault(each.name, each)
    labels = {each.stem: str(each) for each in place.labels.iterdir() if each.suffix.lower() == ".xml"}
    stems = place.stems
    if stems is None:
        stems = tuple(sorted(labels.keys() | pictures.keys(), key=natural))
    files = Paths(labels[stem] for stem in dict.fromkeys(stems) if stem in labels)
    read, said = read_all(files, partial(_outline, classes.kept), _itself, f"voc outline {__version__}")
    findings += said
    outlines = iter(read)
    ahead = next(outlines, None)
    unlabelled: list[Path] = []
    used: set[Path] = set()
    for stem in dict.fromkeys(stems):
        file = labels.get(stem)
        outline = None
        if file is not None:
            if ahead is None or str(ahead.image) != file:  # it cannot be read
                continue
            outline, ahead = ahead, next(outlines, None)
        name = outline.attributes["filename"] if outline is not None else ""
        own = by_name.get(PureWindowsPath(name).name)
        image = own if own is not None and (own.stem == stem or own.stem not in labels) else pictures.get(stem, own)
        if image is None:
            _report_absent(stem, file, name, place, findings)
        elif outline is None:
            unlabelled.append(image)
        else:
            used.add(image)
            classes.add(outline)
            yield f"{image}\0{file}"
    for image in unlabelled:
        if image not in used:  # an XML of another name may speak of it
            missing = place.labels / f"{image.stem}.xml"
            findings.append(found("labels.missing", missing, "there is no label file; the picture counts as empty"))
            yield str(image)


def _itself(file: str) -> tuple[str]:
    return (file,)


def _files_of(picture: str) -> list[str]:
    return picture.split("\0")


def _report_absent(stem: str, file: str | None, name: str, place: Folders, findings: list[Finding]) -> None:
    if file is None:
        message = f"{shown(stem)} is listed, but has neither picture nor label file"
        findings.append(found("picture.missing", place.labels.parent / "ImageSets" / "Main", message))
        return
    message = f"there is no picture {shown(stem)}{f' or {shown(name)}' if name else ''} for it"
    findings.append(found("labels.no_picture", file, message))


def _report_unlisted(folders: dict[str, list[Folders]], findings: list[Finding]) -> None:
    every = [each for places in folders.values() for each in places]
    if any(each.stems is None for each in every):
        return
    listed = {stem for each in every for stem in each.stems or ()}
    files = sorted(each for each in every[0].labels.iterdir() if each.suffix.lower() == ".xml")
    rest = [each for each in files if each.stem not in listed]
    if rest:
        message = f"{counted(len(rest), 'XML file')} in no list of ImageSets/Main, such as {rest[0].name}"
        findings.append(found("splits.unlisted", every[0].labels, message))


def _relations(classes: dict[str, set[str]]) -> tuple[Relation, ...]:
    """The relations that the stated pairs amount to."""
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


def _parse(names: Sequence[str], kept: dict[str, Read] | None, picture: str) -> tuple[Sample | None, list[Finding]]:
    image, _, xml = picture.partition("\0")
    findings: list[Finding] = []
    file = Path(xml) if xml else None
    entry = Entry()
    if file is not None:
        known = kept.get(xml) if kept is not None else None
        if known is None:
            root = opened(file, findings)
            entry = entry_of(root, file, findings) if root is not None else entry
            if root is None or any(each.name not in names for each in entry.things):
                raise OSError(None, "has changed while it was being read", xml)
        else:
            entry, findings = known[0], [*known[1]]
    return _sample(Path(image), file, entry, names, findings), findings


def _sample(
    image: Path, file: Path | None, entry: Entry, names: Sequence[str], findings: list[Finding]
) -> Sample | None:
    size = picture_size(image, findings, entry.size, f"{file} says")
    if size is None:
        return None
    objects = [
        Object(names.index(each.name), each.corners, shown(each.name), each.line, each.parent, each.attributes)
        for each in entry.things
    ]
    return sample_of(image, size, file, objects, entry.attributes, findings)


FORMAT = register(
    Format.by_picture(
        "voc",
        "a folder of VOC XML, with Annotations and JPEGImages",
        lambda source: bool(find_splits(source)),
        read,
    )
)
