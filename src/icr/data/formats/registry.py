"""The open table of data-set formats: a format is registered by its name in one line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from icr.data.dataset import Dataset
from icr.data.remembered import ReadAll, read_now, read_pictures
from icr.errors import InputError, nearest

Images = Literal["copy", "link", "reference"]
"""What becomes of the pictures of a data set that is written: copied, linked to, or left where they are."""

Reader: TypeAlias = Callable[[Path, "Sequence[str] | None"], Dataset]
PictureReader: TypeAlias = Callable[[Path, "Sequence[str] | None", ReadAll], Dataset]
Writer: TypeAlias = Callable[[Dataset, Path, Images], "tuple[str, ...]"]


@dataclass(frozen=True)
class Format:
    """A way of laying out a data set on disk.

    Attributes:
        name: what ``--format`` and ``--to`` call it.
        expects: what a source of this format is, in words, for the error that tells of one that is of none.
        recognise: whether a source looks like this format; only looks, never reads far.
        read: reads a source, or only the named splits of it.
        write: writes into an empty folder and returns, in words, what the format could not hold; None: read only.
        skim: reads as `read` does, but keeps no sample in memory and parses none anew that has not changed; its samples
            cannot be changed. None: `read` does for it.
    """

    name: str
    expects: str
    recognise: Callable[[Path], bool]
    read: Reader
    write: Writer | None = None
    skim: Reader | None = None

    @classmethod
    def by_picture(
        cls,
        name: str,
        expects: str,
        recognise: Callable[[Path], bool],
        read: PictureReader,
        write: Writer | None = None,
    ) -> Format:
        """A format that is read picture by picture, both into memory and by skimming.

        Args:
            name, expects, recognise, write: as of `Format`.
            read: takes as its third argument the function that reads its pictures, such as
                `icr.data.remembered.read_now`.
        """

        def into_memory(source: Path, splits: Sequence[str] | None = None) -> Dataset:
            return read(source, splits, read_now)

        def skim(source: Path, splits: Sequence[str] | None = None) -> Dataset:
            return read(source, splits, read_pictures)

        return cls(name, expects, recognise, into_memory, write, skim)


_formats: dict[str, Format] = {}


def register(each: Format) -> Format:
    """Add a format, or replace the one of the same name."""
    _formats[each.name] = each
    return each


def names(*, writable: bool = False) -> list[str]:
    """The names of the formats that can be read, or of those that can be written."""
    return [name for name, each in _formats.items() if not writable or each.write is not None]


def get(name: str) -> Format:
    """The format of a name.

    Raises:
        InputError: there is no such format.
    """
    if name not in _formats:
        raise InputError(f"format {name!r} is unknown; expected {' or '.join(names())}{nearest(name, names())}")
    return _formats[name]


def expected() -> str:
    """What a source may be, in words: of each known format once."""
    kinds = list(dict.fromkeys(each.expects for each in _formats.values()))
    return f"{'; '.join(kinds[:-1])}; or {kinds[-1]}" if len(kinds) > 1 else "".join(kinds)


def recognised(source: Path) -> list[Format]:
    """The formats that a source looks like."""
    return [each for each in _formats.values() if each.recognise(source)]
