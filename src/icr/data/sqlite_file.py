"""An SQLite file in the user's cache folder: numbers and bytes, nothing that is ever run, shared by several processes.

Every fault of such a file means that nothing is known and nothing is kept; it never stops the work.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3

_OURS = 0x49435231
"""Marks an SQLite file as one of ours."""

_MAGIC = b"SQLite format 3\x00"


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


class SqliteFile:
    """One table in one file; a file that is not this program's, or that cannot be used, is as good as none.

    Args:
        file: the file; begun when first something is added.
        table: the table's name.
        columns: its definition, as in ``CREATE TABLE``.
        form: what the rows mean; a file of another form is emptied.
        largest: bytes; a larger file is begun anew.
    """

    def __init__(self, file: Path, table: str, columns: str, form: str, largest: int) -> None:
        self._file, self._table, self._columns, self._largest = file, table, columns, largest
        self._form = zlib.crc32(form.encode()) & 0x7FFFFFFF
        self._base: sqlite3.Connection | None = None
        if _is_ours(file):
            self._open()

    def rows(self, question: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        """The rows that a ``SELECT`` finds; none where the file cannot be used."""
        if self._base is None:
            return []
        try:
            return self._base.execute(question, values).fetchall()
        except Exception as error:
            self._give_up(error)
            return []

    def add(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Put rows in, each in the place of one with the same key."""
        if not rows:
            return
        if self._base is None:
            if not _may_begin(self._file):
                return
            self._open()
        if self._base is None:
            return
        marks = ", ".join("?" * len(rows[0]))
        try:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.executemany(f"INSERT OR REPLACE INTO {self._table} VALUES ({marks})", rows)
            self._base.execute("COMMIT")
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        """Let go of the file."""
        if self._base is not None:
            with suppress(Exception):
                self._base.close()
            self._base = None

    def _open(self) -> None:
        try:
            import sqlite3

            if self._file.exists() and self._file.stat().st_size > self._largest:
                self._file.unlink()
            base = sqlite3.connect(self._file, timeout=2, isolation_level=None)
            self._base = base
            if self._is_foreign(base):
                base.execute("BEGIN IMMEDIATE")
                if self._is_foreign(base):  # still: another process may have begun it meanwhile
                    base.execute(f"DROP TABLE IF EXISTS {self._table}")
                    base.execute(f"CREATE TABLE {self._table} ({self._columns}) WITHOUT ROWID")
                    base.execute(f"PRAGMA application_id = {_OURS}")
                    base.execute(f"PRAGMA user_version = {self._form}")
                base.execute("COMMIT")
            base.execute("PRAGMA cache_size = -500")  # in kilobytes: rows are read about once
            base.execute("PRAGMA synchronous = OFF")  # a crash may lose the cache, which costs time alone
        except Exception as error:
            self._give_up(error)

    def _is_foreign(self, base: sqlite3.Connection) -> bool:
        return bool(base.execute("PRAGMA user_version").fetchone()[0] != self._form)

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
