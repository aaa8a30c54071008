"""YOLO: `data.yaml`, `images/` and `labels/` beside each other, pairs in `pairs/` or by declared line order."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from icr.data.compact import Paths, hashes, stand_again
from icr.data.dataset import UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.boxes import cut_circles, kept_parents, usable
from icr.data.formats.objects import picture_size
from icr.data.formats.registry import Format, register
from icr.data.formats.splits import fill
from icr.data.formats.text import counted, read_lines
from icr.data.formats.yolo_config import Config, find_config, list_pictures, read_config
from icr.data.formats.yolo_rows import Ints, Rows, keep_usable, pairs_by_order, parse_pairs, parse_rows
from icr.data.formats.yolo_write import label_rows, pair_rows, relation_block, write, write_config, write_split
from icr.data.manifest import read_manifest, told_of
from icr.data.remembered import ReadAll, describe, read_now
from icr.errors import InputError
from icr.relations import ResolvedRelation, resolve
from icr.version import __version__

__all__ = [
    "label_file",
    "label_rows",
    "pair_rows",
    "pairs_file",
    "read",
    "relation_block",
    "write",
    "write_config",
    "write_split",
]


def label_file(image: Path) -> Path:
    """The label file of a picture: ``labels`` in place of the last folder ``images``; else it lies beside the picture.

    Example:
        >>> label_file(Path("/d/images/train/a.jpg")).as_posix()
        '/d/labels/train/a.txt'
        >>> label_file(Path("/d/train/a.jpg")).as_posix()
        '/d/train/a.txt'
    """
    return Path(_label_file(str(image)))


def pairs_file(image: Path) -> Path:
    """The pairs file of a picture: ``pairs`` in place of the last folder ``images``; else in ``pairs/`` beside it.

    Example:
        >>> pairs_file(Path("/d/images/train/a.jpg")).as_posix()
        '/d/pairs/train/a.txt'
        >>> pairs_file(Path("/d/train/a.jpg")).as_posix()
        '/d/train/pairs/a.txt'
    """
    return Path(_pairs_file(str(image)))


# In terms of text, for these are called several times for every picture of large sets.


def _label_file(image: str) -> str:
    return _beside_images(image, "labels") or f"{os.path.splitext(image)[0]}.txt"  # noqa: PTH122


def _pairs_file(image: str) -> str:
    folder, name = os.path.split(image)
    return _beside_images(image, "pairs") or os.path.join(folder, "pairs", f"{os.path.splitext(name)[0]}.txt")  # noqa: PTH118, PTH122


def _beside_images(image: str, folder: str) -> str:
    before, images, after = image.rpartition(f"{os.sep}images{os.sep}")
    stem = os.path.splitext(after)[0]  # noqa: PTH122
    return f"{before}{os.sep}{folder}{os.sep}{stem}.txt" if images else ""


def read(source: Path, splits: Sequence[str] | None = None, read_all: ReadAll = read_now) -> Dataset:
    """Read a YOLO data set.

    Raises:
        InputError: there is no `data.yaml`, or it cannot be one.
    """
    file = find_config(source)
    if file is None:
        raise InputError(f"{source} is no data.yaml and holds none; expected one with names:, train: and val:")
    findings: list[Finding] = []
    config = read_config(Path(os.path.abspath(file)), findings)  # noqa: PTH100 (links stay as they are)
    relations = _order_by(config) if config.ordered else ()
    parse = partial(_parse, len(config.names), config.ordered, tuple(relations))
    meaning = f"yolo {__version__} {len(config.names)} {config.ordered} {relations}"
    manifest = read_manifest(config.file)
    folders: set[str] = set()
    every: list[Paths] = []

    def read_split(split: str) -> Sequence[Sample]:
        entries: list[Paths] = []
        for entry in config.splits[split]:
            listed, is_folder = list_pictures(entry, config, findings)
            entries.append(listed)
            if is_folder:
                beside = (_beside_images(each, "labels") for each in listed)
                folders.update(os.path.dirname(each) for each in beside if each)  # noqa: PTH120
        pictures = entries[0] if len(entries) == 1 else Paths(chain(*entries))
        for again in stand_again(pictures):
            findings.append(found("picture.listed_twice", pictures[again], f"stands twice in {split} of {file.name}"))
        every.append(pictures)
        samples, said = read_all(pictures, parse, _files_of, meaning)
        findings.extend(said)
        if samples and all(sample.label_file is None for sample in samples):
            _replace_missing_labels(samples, split, config.file, findings)
        if manifest:
            describe(samples, partial(told_of, manifest))
        return samples

    dataset = Dataset(source, "yolo", config.names, {}, config.relations, findings, category_ids=config.category_ids)
    fill(dataset, dict.fromkeys(config.splits, config.file), splits, read_split)
    _report_stray_labels(folders, every, findings)
    return dataset


def _order_by(config: Config) -> Sequence[ResolvedRelation]:
    """The relations that tell the order of rows; none where those declared are faulty, which commands refuse later."""
    try:
        return resolve(config.relations, config.names)
    except InputError:
        return ()


def _replace_missing_labels(samples: Sequence[Sample], split: str, file: Path, findings: list[Finding]) -> None:
    """Say once that a whole split has no label file, in place of saying so of each picture."""
    own = {str(label_file(sample.image)) for sample in samples}
    findings[:] = [each for each in findings if each.id != "labels.missing" or each.file not in own]
    expected = label_file(samples[0].image)
    message = f"not one of the {counted(len(samples), 'picture')} of {split} has a label file; expected e.g. {expected}"
    findings.append(found("labels.none", file, message))


def _report_stray_labels(folders: Iterable[str], every: Sequence[Paths], findings: list[Finding]) -> None:
    count = sum(map(len, every))
    read_labels = array("q", np.sort(hashes((_label_file(each) for pictures in every for each in pictures), count)))
    for folder in sorted(map(Path, folders)):
        for each in sorted(_strays(folder, read_labels)):
            findings.append(found("labels.no_picture", each, "there is no picture of this name in images/"))


def _strays(folder: Path, known: Sequence[int]) -> Iterator[str]:
    """The .txt files in a folder whose paths' hashes are not among those known; none where it cannot be opened."""
    with suppress(OSError), os.scandir(folder) as entries:
        for each in entries:
            if each.name.endswith(".txt") and each.name != "classes.txt":
                number = hash(each.path)
                at = bisect_left(known, number)
                if at == len(known) or known[at] != number:
                    yield each.path


def _files_of(image: str) -> tuple[str, str, str]:
    return image, _label_file(image), _pairs_file(image)


def _parse(
    classes: int, ordered: bool, relations: Sequence[ResolvedRelation], image: str
) -> tuple[Sample | None, list[Finding]]:
    findings: list[Finding] = []
    return _read_sample(Path(image), classes, ordered, relations, findings), findings


def _read_sample(
    image: Path,
    classes: int,
    ordered: bool,
    relations: Sequence[ResolvedRelation],
    findings: list[Finding],
) -> Sample | None:
    """One picture with its labels; None when it cannot be used, which is a finding."""
    size = picture_size(image, findings)
    if size is None:
        return None
    file = label_file(image)
    try:
        lines = read_lines(file, findings)
    except FileNotFoundError:
        findings.append(found("labels.missing", file, "there is no label file; the picture counts as empty"))
        return Sample(image, size.width, size.height, np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64))
    if lines is None:
        return None
    rows = parse_rows(lines, file, classes, findings)
    if not rows.classes:
        findings.append(found("labels.empty", file, "has no row; the picture counts as empty"))
    parents = _read_pairs(image, rows, file, ordered, relations, findings)
    return _in_pixels(image, size.width, size.height, file, rows, parents, findings)


def _read_pairs(
    image: Path,
    rows: Rows,
    labels: Path,
    ordered: bool,
    relations: Sequence[ResolvedRelation],
    findings: list[Finding],
) -> Ints:
    """The parent of each usable row, among the usable rows."""
    sidecar = pairs_file(image)
    try:
        lines = read_lines(sidecar, findings)
    except FileNotFoundError:
        lines = None
    if lines is not None:
        return keep_usable(parse_pairs(lines, sidecar, len(rows.classes), findings), rows, labels, findings)
    if ordered:
        return keep_usable(pairs_by_order(rows, labels, relations, findings), rows, labels, findings)
    return np.full(len(rows.labels), UNSTATED, np.int64)


def _in_pixels(
    image: Path, width: int, height: int, file: Path, rows: Rows, parents: Ints, findings: list[Finding]
) -> Sample:
    with np.errstate(over="ignore", invalid="ignore"):
        centres, halves = rows.boxes[:, :2], rows.boxes[:, 2:] / 2
        boxes = np.concatenate([centres - halves, centres + halves], 1) * np.array([width, height, width, height])
    keep = usable(boxes, width, height, lambda place: (file, int(rows.lines[place]), "box"), findings)
    attributes: list[dict[str, Any]] = [{} for _ in rows.lines] if rows.outlines else []
    for row, outline in rows.outlines.items():
        attributes[row]["segmentation"] = [[value * (height if at % 2 else width) for at, value in enumerate(outline)]]
    lost = keep & (parents >= 0) & ~keep[np.maximum(parents, 0)] if len(keep) else keep
    for each in np.flatnonzero(lost).tolist():
        message = f"the parent of the box is the box of line {rows.lines[parents[each]]}, which cannot be used"
        findings.append(found("pairs.lost", file, message, int(rows.lines[each])))
    parents = kept_parents(parents, keep)
    sample = Sample(image, width, height, boxes[keep], rows.labels[keep], parents, file, rows.lines[keep])
    if attributes:
        sample.box_attributes = [attributes[each] for each in np.flatnonzero(keep).tolist()]
    cut_circles(sample, pairs_file(image), findings)
    return sample


FORMAT = register(
    Format.by_picture(
        "yolo",
        "a data.yaml, or a folder that holds one",
        lambda source: find_config(source) is not None,
        read,
        write,
    )
)
