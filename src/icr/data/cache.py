"""What decoding pictures has shown, kept in the user's cache folder, so that a second check need not decode them.

A picture is known again by its path, its size and the time it was last changed. The cache is one SQLite file: it holds
numbers and bytes, nothing in it is ever run, several processes may use it at once, and only what is asked for is read.
A file that is not this program's, or that cannot be read or written, is as good as none.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr.data.pictures import Decoded, decode_all

if TYPE_CHECKING:
    import sqlite3

_OURS = 0x49435231
"""Marks an SQLite file as this cache."""

_MAGIC = b"SQLite format 3\x00"
_FORM = 1
_LARGEST = 512 * 2**20
"""A larger file is begun anew: a million pictures fit."""

_CHUNK = 500
_SETTLED = 2_000_000_000
"""Nanoseconds since the last change before a picture is kept: the next change might come within the same clock tick."""


def folder() -> Path:
    """The folder of the cache: what ``ICR_CACHE`` names, else ``icr`` in the user's cache folder.

    Example:
        >>> os.environ["ICR_CACHE"] = "/tmp/kept"
        >>> folder().as_posix()
        '/tmp/kept'
        >>> del os.environ["ICR_CACHE"]
    """
    named = os.environ.get("ICR_CACHE")
    if named:
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = os.environ.get("XDG_CACHE_HOME") or "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "icr"


def decoded(
    paths: Sequence[Path], progress: Callable[[int, int], None] | None = None, *, fresh: bool = False
) -> Iterator[Decoded]:
    """Decode pictures, in order, but those that are known from before and have not changed since.

    Args:
        paths: the picture files.
        progress: called with the number done and their total.
        fresh: decode all of them; what is found is kept as ever.
    """
    with closing(_Store(folder() / "pictures.sqlite")) as store:
        for start in range(0, len(paths), _CHUNK):
            chunk = paths[start : start + _CHUNK]
            keys = [_key(path) for path in chunk]
            known = [None if fresh or key is None else store.get(key) for key in keys]
            new = decode_all([path for path, each in zip(chunk, known, strict=True) if each is None])
            added = []
            for at, (path, key, each) in enumerate(zip(chunk, keys, known, strict=True)):
                found = next(new) if each is None else each
                # Read again: what was decoded must be what the key stands for.
                if each is None and key is not None and _settled(key) and _key(path) == key:
                    added.append((*key, found))
                yield found
                if progress is not None:
                    progress(start + at + 1, len(paths))
            store.add(added)


Key = tuple[bytes, int, int]
"""Path, size in bytes, time of the last change in nanoseconds."""


def _key(path: Path) -> Key | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return os.fsencode(path), status.st_size, status.st_mtime_ns


def _settled(key: Key) -> bool:
    return abs(time.time_ns() - key[2]) > _SETTLED


class _Store:
    """The SQLite file; every fault of it means that nothing is known and nothing is kept."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._base: sqlite3.Connection | None = None
        if _is_ours(file):
            self._open()

    def _open(self) -> None:
        try:
            import sqlite3

            from PIL import __version__ as pillow

            if self._file.exists() and self._file.stat().st_size > _LARGEST:
                self._file.unlink()
            base = sqlite3.connect(self._file, timeout=2, isolation_level=None)
            self._base = base
            # Another version of Pillow may decode what this one does not.
            form = zlib.crc32(f"{_FORM} {pillow}".encode()) & 0x7FFFFFFF
            if base.execute("PRAGMA user_version").fetchone()[0] != form:
                base.execute("BEGIN IMMEDIATE")
                base.execute("DROP TABLE IF EXISTS pictures")
                base.execute(
                    "CREATE TABLE pictures (path BLOB PRIMARY KEY, size INTEGER, changed INTEGER, failure TEXT,"
                    " digest BLOB, hash BLOB, thumbnail BLOB) WITHOUT ROWID"
                )
                base.execute(f"PRAGMA application_id = {_OURS}")
                base.execute(f"PRAGMA user_version = {form}")
                base.execute("COMMIT")
            base.execute("PRAGMA synchronous = OFF")  # a crash may lose the cache, which costs time alone
        except Exception as error:
            self._give_up(error)

    def get(self, key: Key) -> Decoded | None:
        if self._base is None:
            return None
        try:
            row = self._base.execute(
                "SELECT failure, digest, hash, thumbnail FROM pictures WHERE path = ? AND size = ? AND changed = ?", key
            ).fetchone()
        except Exception as error:
            self._give_up(error)
            return None
        return _checked(row) if row is not None else None

    def add(self, found: Sequence[tuple[bytes, int, int, Decoded]]) -> None:
        if not found:
            return
        if self._base is None:
            if not _may_begin(self._file):
                return
            self._open()
        if self._base is None:
            return
        rows = [(*key, each.failure, each.digest, each.hash, each.thumbnail) for *key, each in found]
        try:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.executemany("INSERT OR REPLACE INTO pictures VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            self._base.execute("COMMIT")
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        if self._base is not None:
            with suppress(Exception):
                self._base.close()
            self._base = None

    def _give_up(self, error: Exception) -> None:
        """Go on without; a spoilt file that was ours makes room for a new one, a busy one is left to its users."""
        import sqlite3

        self.close()
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            with suppress(OSError):
                self._file.unlink()


def _is_ours(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(72)
    except (OSError, ValueError):
        return False
    return head.startswith(_MAGIC) and head[68:72] == _OURS.to_bytes(4, "big")


def _may_begin(file: Path) -> bool:
    """Whether a new cache can be begun: nothing of that name is there, and its folder can be made."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return not file.exists() or file.stat().st_size == 0
    except (OSError, ValueError):
        return False


def _checked(row: tuple[Any, ...]) -> Decoded | None:
    """A row as it should be, else None."""
    failure, digest, hash_, thumbnail = row
    sound = (
        (failure is None or isinstance(failure, str))
        and all(isinstance(each, bytes) for each in (digest, hash_, thumbnail))
        and (len(digest), len(hash_), len(thumbnail)) in ((16, 32, 256), (16, 0, 0), (0, 0, 0))
    )
    return Decoded(failure, digest, hash_, thumbnail) if sound else None
