"""What decoding pictures has shown, kept in the user's cache folder, so that a second check need not decode them.

A picture is known again by its path, its size, the time it was last changed and, where the system keeps it, the time at
which its name or place was: two files from one archive that exchange their names are known apart.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from icr.data.pictures import Decoded, Question, decode_all
from icr.data.sqlite_file import SqliteFile, folder

_FORM = 3
_LARGEST = 512 * 2**20
"""A larger file is begun anew: a million pictures fit."""

_COLUMNS = (
    "path BLOB PRIMARY KEY, size INTEGER, changed INTEGER, moved INTEGER, failure TEXT, digest BLOB, hash BLOB, "
    "thumbnail BLOB, asked BLOB, answer BLOB"
)
_CHUNK = 500
_SETTLED = 2_000_000_000
"""Nanoseconds since the last change before a picture is kept: the next change might come within the same clock tick."""


def decoded(
    paths: Sequence[Path | str],
    progress: Callable[[int, int], None] | None = None,
    *,
    fresh: bool = False,
    ask: Callable[[int], Question | None] | None = None,
) -> Iterator[Decoded]:
    """Decode pictures, in order, but those that are known from before and have not changed since.

    Args:
        paths: the picture files.
        progress: called with the number done and their total.
        fresh: decode all of them; what is found is kept as ever.
        ask: what is to be told besides of the picture at a place in `paths`; one that is known, but not the answer to
            this, is decoded again.
    """
    with closing(_open()) as store:
        for start in range(0, len(paths), _CHUNK):
            chunk = paths[start : start + _CHUNK]
            keys = [_key(path) for path in chunk]
            questions = [ask(start + at) if ask else None for at in range(len(chunk))]
            asked = [b"" if question is None else question.key for question in questions]
            known = [
                None if fresh or key is None else _known(store, key, of) for key, of in zip(keys, asked, strict=True)
            ]
            unknown = [at for at, each in enumerate(known) if each is None]
            new = decode_all([Path(chunk[at]) for at in unknown], [questions[at] for at in unknown])
            added: list[tuple[Any, ...]] = []
            for at, (path, key, each) in enumerate(zip(chunk, keys, known, strict=True)):
                found = next(new) if each is None else each
                # Read again: what was decoded must be what the key stands for.
                if each is None and key is not None and _settled(key) and _key(path) == key:
                    row = (found.failure, found.digest, found.hash, found.thumbnail, asked[at], found.answer)
                    added.append((*key, *row))
                yield found
                if progress is not None:
                    progress(start + at + 1, len(paths))
            store.add(added)


Key = tuple[bytes, int, int, int]
"""Path, size in bytes, times of the last change of the content and of the file's name and place in nanoseconds."""


def _key(path: Path | str) -> Key | None:
    try:
        status = os.stat(path)  # noqa: PTH116 (called for every picture of large sets)
    except (OSError, ValueError):
        return None
    return os.fsencode(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _settled(key: Key) -> bool:
    return abs(time.time_ns() - key[2]) > _SETTLED


def _open() -> SqliteFile:
    from PIL import __version__ as pillow

    # Another version of Pillow may decode what this one does not.
    return SqliteFile(folder() / "pictures.sqlite", "pictures", _COLUMNS, f"{_FORM} {pillow}", _LARGEST)


def _known(store: SqliteFile, key: Key, asked: bytes) -> Decoded | None:
    """What is known of a picture, if the answer to what is asked is, too; where nothing is asked none is given."""
    columns = "failure, digest, hash, thumbnail, asked, answer"
    rows = store.rows(f"SELECT {columns} FROM pictures WHERE path = ? AND size = ? AND changed = ? AND moved = ?", key)
    return _checked(rows[0], asked) if rows else None


def _checked(row: tuple[Any, ...], asked: bytes) -> Decoded | None:
    """A row as it should be, else None."""
    failure, digest, hash_, thumbnail, question, answer = row
    sound = (
        (failure is None or isinstance(failure, str))
        and all(isinstance(each, bytes) for each in (digest, hash_, thumbnail))
        and (len(digest), len(hash_), len(thumbnail)) in ((16, 32, 256), (16, 0, 0), (0, 0, 0))
        and (not asked or (question == asked and isinstance(answer, bytes) and len(answer) == (2 if hash_ else 0)))
    )
    return Decoded(failure, digest, hash_, thumbnail, answer if asked else b"") if sound else None
