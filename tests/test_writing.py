"""Results are written to new places, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from icr.errors import InputError
from icr.writing import make_folder, refuse_existing, refuse_filled, whole, write_file


def test_nothing_is_written_over(tmp_path: Path) -> None:
    refuse_filled(tmp_path)
    refuse_filled(tmp_path / "new")
    refuse_existing(tmp_path / "new.csv", "--list")
    (tmp_path / "there").write_text("")
    for out in (tmp_path, tmp_path / "there"):
        with pytest.raises(InputError, match="exists and is n"):
            refuse_filled(out)
    with pytest.raises(InputError, match=r"--list .*there exists already"):
        refuse_existing(tmp_path / "there", "--list")
    with pytest.raises(InputError, match="there is no folder"):
        refuse_existing(tmp_path / "absent" / "x.csv", "--list")
    with pytest.raises(InputError, match=r"--out .* is a file, so no folder can be made in it"):
        refuse_existing(tmp_path / "there" / "x.png", "--out", folder_made=True)
    refuse_existing(tmp_path / "absent" / "x.png", "--out", folder_made=True)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write_file(file, "é")
    with pytest.raises(RuntimeError), whole(file) as part:
        part.write_text("half")
        raise RuntimeError
    assert file.read_bytes() == b"\xc3\xa9" and list(tmp_path.iterdir()) == [file]
    write_file(file, b"new")
    assert file.read_text() == "new"


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match="cannot be written: Not a directory"):
        write_file(tmp_path / "a" / "b", "")
    with pytest.raises(InputError, match="cannot be made"):
        make_folder(tmp_path / "a" / "b" / "c")
