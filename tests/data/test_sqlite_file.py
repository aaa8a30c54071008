"""The SQLite file of a cache, where several processes begin it."""

from __future__ import annotations

from pathlib import Path

import pytest

from icr.data.sqlite_file import SqliteFile


def opened(file: Path, form: str = "1") -> SqliteFile:
    return SqliteFile(file, "kept", "key INTEGER PRIMARY KEY, value TEXT", form, 1_000_000)


def test_what_another_process_began_at_the_same_moment_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second looked before the first had written its form, and asks again once it may write."""
    first = opened(tmp_path / "cache.sqlite")
    first.add([(1, "of the first")])
    true_answer, asked = SqliteFile._is_foreign, []

    def late(self: SqliteFile, base: object) -> bool:
        asked.append(True)
        return len(asked) == 1 or true_answer(self, base)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteFile, "_is_foreign", late)
    second = opened(tmp_path / "cache.sqlite")
    assert len(asked) == 2
    second.add([(2, "of the second")])
    assert first.rows("SELECT * FROM kept", ()) == [(1, "of the first"), (2, "of the second")]


def test_a_file_of_another_form_is_emptied(tmp_path: Path) -> None:
    opened(tmp_path / "cache.sqlite").add([(1, "old")])
    assert opened(tmp_path / "cache.sqlite", form="2").rows("SELECT * FROM kept", ()) == []
