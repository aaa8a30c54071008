"""What the commands that write an altered copy of a data set have in common."""

from __future__ import annotations

import os
from pathlib import Path

from icr.data import formats
from icr.data.dataset import Dataset
from icr.data.formats import Images
from icr.data.formats.text import counted
from icr.errors import InputError, nearest

FALLBACK = "coco"
"""What a set of a format that is only read is written as: the one that holds all that is known of a box."""


def images_way(text: str) -> Images:
    """Check the value of ``--images``.

    Raises:
        InputError: it is none of copy, link and reference.

    Example:
        >>> images_way("link")
        'link'
    """
    for way in formats.IMAGES:
        if way == text:
            return way
    raise InputError(f"--images {text}: expected {', '.join(formats.IMAGES)}{nearest(text, formats.IMAGES)}")


def check_writable(to: str) -> None:
    """Check the value of ``--to``.

    Raises:
        InputError: it is no format that is written.
    """
    writable = formats.names(writable=True)
    if to not in writable:
        raise InputError(f"--to {to}: expected {' or '.join(writable)}{nearest(to, writable)}")


def target_format(dataset: Dataset, to: str | None, fallback: str = FALLBACK) -> tuple[str, str]:
    """The format to write a copy in, and a sentence to say when it is not the set's own though nobody chose another.

    Raises:
        InputError: `to` is no format that is written.
    """
    if to is not None:
        check_writable(to)
        return to, ""
    if dataset.format in formats.names(writable=True):
        return dataset.format, ""
    return fallback, f"{dataset.format} is only read, so the copy is {fallback}"


def refuse_inside(dataset: Dataset, out: Path) -> None:
    """Make sure that a copy does not come to lie in the set itself.

    Raises:
        InputError: it would lie in the folder of the set, among its pictures.
    """
    source, place = (Path(os.path.abspath(each)) for each in (dataset.source, out))  # noqa: PTH100 (links stay)
    root = source if source.is_dir() else source.parent
    among = any(sample.image.is_relative_to(root) for samples in dataset.splits.values() for sample in samples[:1])
    if among and place.is_relative_to(root):
        raise InputError(f"{out} lies in the data set, which is not changed; give a folder outside of {root}")


def told_faults(dataset: Dataset) -> str:
    """A sentence on the faulty entries and unfinished pictures that a copy lacks; empty when there are none.

    Example:
        >>> from pathlib import Path
        >>> told_faults(Dataset(Path("d"), "yolo", ["plate"], {}))
        ''
    """
    unfinished = sum(each.id == "labels.unfinished" for each in dataset.findings)
    parts = [
        *([counted(dataset.faulty_entries, "faulty entry", "faulty entries")] if dataset.faulty_entries else []),
        *([f"{counted(unfinished, 'picture')} without finished labels"] if unfinished else []),
    ]
    if not parts:
        return ""
    return f"{' and '.join(parts)} of {dataset.source} not carried over; icr data check names each"
