"""Where the splits of VOC XML lie: by the lists of ``ImageSets/Main``, or in folders."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from icr.data.dataset import Finding
from icr.data.formats.objects import folders_in
from icr.data.formats.splits import NAMES, roots
from icr.data.formats.text import read_lines

_FLAGGED = re.compile(r"(.*\S)\s+(?:-1|0|1)")
_LABEL_FOLDERS, _PICTURE_FOLDERS = ("annotations", "labels", "xml", "xmls"), ("jpegimages", "images", "imgs", "image")


@dataclass(frozen=True)
class Folders:
    """Where the labels of a split lie, where its pictures may lie, and the stems that a list gives it (None: all)."""

    labels: Path
    pictures: tuple[Path, ...]
    stems: tuple[str, ...] | None = None


def find_splits(source: Path, findings: list[Finding] | None = None) -> dict[str, list[Folders]]:
    """The folders of each split: by the lists of ``ImageSets/Main``, else by folders of that name, else all train.

    They are looked for in `source` and in the one folder that it holds; lists that cannot be read are findings.
    """
    if not source.is_dir():
        return {}
    for root in roots(source):
        found_ = _by_lists(root, [] if findings is None else findings) or _by_folders(root)
        if found_:
            return found_
    return {}


def _by_lists(root: Path, findings: list[Finding]) -> dict[str, list[Folders]]:
    whole = _folders(root)
    lists = root / "ImageSets" / "Main"
    if whole is None or not lists.is_dir():
        return {}
    files = {split: lists / f"{split}.txt" for split in NAMES}
    if not files["train"].is_file() and (lists / "trainval.txt").is_file():
        files["train"] = lists / "trainval.txt"
    return {split: [_listed(whole, file, findings)] for split, file in files.items() if file.is_file()}


def _listed(whole: Folders, file: Path, findings: list[Finding]) -> Folders:
    """The names in a list, which may hold blanks; in the list of a class 1, 0 or -1 follows each."""
    stems = [stem for line in read_lines(file, findings) or () if (stem := line.strip())]
    flagged = {stem: parts[1] for stem in stems if (parts := _FLAGGED.fullmatch(stem))}
    if flagged:
        known = {each.stem for each in whole.labels.iterdir()}
        stems = [flagged[stem] if stem not in known and flagged.get(stem) in known else stem for stem in stems]
    return Folders(whole.labels, whole.pictures, tuple(stems))


def _by_folders(root: Path) -> dict[str, list[Folders]]:
    found_: dict[str, list[Folders]] = {}
    for split, names in NAMES.items():
        own = [each for each in folders_in(root) if each.name.lower() in names]
        own_folders = [folders for each in own if (folders := _folders(each)) is not None]
        labels = [each for each in _inner(_inner([root], _LABEL_FOLDERS), names) if _holds_xml(each)]
        pictures = tuple(_inner(_inner([root], _PICTURE_FOLDERS), names))
        own_folders += [Folders(each, (*pictures, each)) for each in labels]
        if own_folders:
            found_[split] = own_folders
    if not found_:
        whole = _folders(root)
        return {"train": [whole]} if whole is not None else {}
    return found_


def _inner(folders: Sequence[Path], names: Sequence[str]) -> list[Path]:
    return [inner for each in folders for inner in folders_in(each) if inner.name.lower() in names]


def _folders(root: Path) -> Folders | None:
    """The labels in a folder, or in ``Annotations`` there, with the folders beside them that may hold the pictures."""
    for labels in (*_inner([root], _LABEL_FOLDERS), root):
        if _holds_xml(labels):
            return Folders(labels, (*_inner([root], _PICTURE_FOLDERS), *dict.fromkeys((labels, root))))
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
