"""The splits of a data set: what people call them, where they lie, and filling a set with those asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from icr.data.dataset import Dataset, Sample
from icr.data.findings import found
from icr.data.formats.objects import folders_in
from icr.errors import InputError, nearest

NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
"""The splits in their usual order, each with what folders of it are called."""

_MEANT = {name: split for split, names in NAMES.items() for name in names}


def meant_by(name: str) -> str | None:
    """The split that a name means, in upper or lower case; None when it means none.

    Example:
        >>> meant_by("Validation"), meant_by("images")
        ('val', None)
    """
    return _MEANT.get(name.lower())


def split_of(stated: str, key: str) -> str:
    """The split of a picture: as stated, else as a folder of its name says, else train.

    Example:
        >>> split_of("Validation", "a.jpg"), split_of("", "images/test/a.jpg"), split_of("default", "a.jpg")
        ('val', 'test', 'train')
    """
    names = (stated, *PurePosixPath(key).parts[:-1])
    return next((split for each in names if (split := meant_by(each))), "train")


def roots(source: Path) -> tuple[Path, ...]:
    """Where the folders of a set may lie: in `source`, or in the one folder that it holds, as archives unpack."""
    inner = folders_in(source)
    return (source, *inner) if len(inner) == 1 else (source,)


def requested(there: Sequence[str], wanted: Sequence[str] | None, source: Path) -> list[str]:
    """The splits to read, in the data set's order.

    Raises:
        InputError: a wanted split is not there.
    """
    for each in wanted or ():
        if each not in there:
            raise InputError(f"{source} has no split {each!r}; it has {', '.join(there)}{nearest(each, there)}")
    return [each for each in there if wanted is None or each in wanted]


def fill(
    dataset: Dataset, places: Mapping[str, Path], wanted: Sequence[str] | None, read: Callable[[str], Sequence[Sample]]
) -> Dataset:
    """Read into a data set the splits wanted; one without a usable picture is a finding.

    Args:
        dataset: without samples yet.
        places: every split that is there, each with the file or folder to name when it is empty.
        wanted: read these alone; None: all.
        read: reads a split.

    Raises:
        InputError: a split is wanted that there is not.
    """
    splits: dict[str, Sequence[Sample]] = {}
    for split in requested(list(places), wanted, dataset.source):
        splits[split] = read(split)
        if not splits[split]:
            dataset.findings.append(found("split.empty", places[split], f"{split} has no usable picture"))
    dataset.splits = splits
    return dataset
