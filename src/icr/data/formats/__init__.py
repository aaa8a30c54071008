"""Reading and writing data sets; one module a format, found by looking at the source.

A format of one's own is one call of `register` with a `Format`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from icr.data.dataset import Dataset
from icr.data.formats import coco, crpd, cvat, labelstudio, lsv_lp, ufpr_alpr, voc, yolo  # noqa: F401 (each registers itself)
from icr.data.formats.folders import new_folder
from icr.data.formats.registry import Format, Images, expected, get, names, recognised, register
from icr.errors import InputError, nearest

__all__ = ["Format", "Images", "get", "names", "read", "register", "write"]

IMAGES: tuple[Images, ...] = ("copy", "link", "reference")


def read(
    source: Path | str, *, format: str | None = None, splits: Sequence[str] | None = None, skim: bool = False
) -> Dataset:
    """Read a data set, pairs included; what cannot be used is left out and stands in its findings.

    Args:
        source: a `data.yaml`, a COCO JSON, or a folder that holds either.
        format: the format's name; None: found by looking.
        splits: read these alone; None: all.
        skim: where the format can, keep the samples in the user's cache folder and not in memory, and parse only what
            has changed since the last time, in several processes: call it under ``if __name__ == "__main__"``. The
            samples cannot be changed.

    Raises:
        InputError: the source does not exist, is of no known format or of several, or cannot be a data set at all.
    """
    if not str(source).strip():
        raise InputError("the path of the data set is empty; name a data.yaml, a COCO JSON or a folder")
    source = Path(source).expanduser()
    try:
        if not source.exists():
            raise InputError(f"{source} does not exist")
        chosen = _format_of(source, format)
        return (chosen.skim if skim and chosen.skim else chosen.read)(source, splits)
    except OSError as error:
        raise InputError(f"{error.filename or source} cannot be read: {error.strerror or error}") from None


def _format_of(source: Path, format: str | None) -> Format:
    if format is not None:
        return get(format)
    candidates = recognised(source)
    if len(candidates) > 1:
        several = " and ".join(each.name for each in candidates)
        raise InputError(f"{source} looks like {several}; choose with --format")
    if not candidates:
        raise InputError(f"{source} is no data set of a known format; expected {expected()}")
    return candidates[0]


def write(dataset: Dataset, out: Path, format: str, *, images: Images = "copy") -> tuple[str, ...]:
    """Write a data set, pairs and relations included, as a new folder that appears whole or not at all.

    Args:
        dataset: what to write.
        out: a folder that does not exist yet, or is empty.
        format: the format's name.
        images: ``copy`` them, ``link`` to them, or leave them where they are and ``reference`` them (COCO only).

    Returns:
        What the format could not hold, in words.

    Raises:
        InputError: the format is unknown or is only read, `out` is not empty, or a picture cannot be copied.
    """
    chosen = get(format)
    if chosen.write is None:
        raise InputError(f"format {format!r} is only read; those that are written: {', '.join(names(writable=True))}")
    if images not in IMAGES:
        raise InputError(f"images is {images!r}; expected {', '.join(IMAGES)}{nearest(images, IMAGES)}")
    try:
        with new_folder(out) as folder:
            return chosen.write(dataset, folder, images)
    except OSError as error:
        raise InputError(f"{error.filename or out} cannot be written: {error.strerror or error}") from None
