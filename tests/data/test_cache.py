"""What is remembered of pictures, when it counts, and that no fault of the cache is a fault of the check."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from scene_pictures import save, view

from icr.data import cache
from icr.data.pictures import Question, decode, decode_all


def old_picture(file: Path, seed: int = 0) -> Path:
    """A picture that was last changed long ago."""
    save(view(seed), file)
    os.utime(file, (10**9, 10**9))
    return file


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures that are decoded."""
    names: list[str] = []

    def told(paths: Sequence[Path], questions: Sequence[Question | None] | None = None) -> object:
        names.extend(path.name for path in paths)
        return decode_all(paths, questions)

    monkeypatch.setattr(cache, "decode_all", told)
    return names


def test_a_second_look_decodes_nothing(tmp_path: Path, own_cache: Path, decodings: list[str]) -> None:
    paths = [old_picture(tmp_path / "ä b.png"), old_picture(tmp_path / "b.jpg", 1)]
    (tmp_path / "c.jpg").write_bytes(paths[1].read_bytes()[:-400])
    os.utime(tmp_path / "c.jpg", (10**9, 10**9))
    paths.append(tmp_path / "c.jpg")
    told: list[tuple[int, int]] = []
    first = list(cache.decoded(paths, lambda done, total: told.append((done, total))))
    assert told == [(1, 3), (2, 3), (3, 3)] and first == [decode(path) for path in paths]
    assert first[2].failure and first[0].hash
    assert sorted(decodings) == ["b.jpg", "c.jpg", "ä b.png"]
    decodings.clear()
    assert list(cache.decoded(paths)) == first and decodings == []
    assert [each.name for each in own_cache.iterdir()] == ["pictures.sqlite"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.jpg", "c.jpg", "ä b.png"]
    assert list(cache.decoded(paths, fresh=True)) == first and len(decodings) == 3


def test_a_changed_picture_is_decoded_again(tmp_path: Path, decodings: list[str]) -> None:
    file = old_picture(tmp_path / "a.png")
    before = list(cache.decoded([file]))
    save(view(1), file)
    os.utime(file, (10**9 + 1, 10**9 + 1))
    assert list(cache.decoded([file])) == [decode(file)] != before
    assert decodings == ["a.png", "a.png"]


def test_two_pictures_that_exchange_their_names_are_decoded_again(tmp_path: Path) -> None:
    one, other = (old_picture(tmp_path / f"{seed}.bmp", seed) for seed in range(2))
    assert one.stat().st_size == other.stat().st_size
    before = list(cache.decoded([one, other]))
    one.rename(tmp_path / "between")
    other.rename(one)
    (tmp_path / "between").rename(other)  # of one size and one time, as from an archive
    assert list(cache.decoded([one, other])) == before[::-1] != before


def test_a_picture_changed_this_moment_is_not_kept(tmp_path: Path, own_cache: Path) -> None:
    file = save(view(0), tmp_path / "a.png")
    list(cache.decoded([file, tmp_path / "absent.png", tmp_path / "a\x00b.png"]))
    assert list(own_cache.iterdir()) == []


def spoilt_text(file: Path) -> None:
    file.write_bytes(b"no database\n" * 100)


def spoilt_other_program(file: Path) -> None:
    with sqlite3.connect(file) as base:
        base.execute("CREATE TABLE pictures (path)")
    base.close()


def spoilt_folder(file: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize("spoil", [spoilt_text, spoilt_other_program, spoilt_folder])
def test_a_foreign_file_is_left_alone(
    spoil: Callable[[Path], None], tmp_path: Path, own_cache: Path, decodings: list[str]
) -> None:
    file = own_cache / "pictures.sqlite"
    spoil(file)
    before = file.read_bytes() if file.is_file() else None
    picture = old_picture(tmp_path / "a.png")
    for _ in range(2):
        assert list(cache.decoded([picture])) == [decode(picture)]
    assert decodings == ["a.png", "a.png"]
    assert (file.read_bytes() if file.is_file() else None) == before


@pytest.mark.parametrize("place", [20, 100, 5000])
def test_a_spoilt_cache_is_begun_anew(place: int, tmp_path: Path, own_cache: Path, decodings: list[str]) -> None:
    pictures = [old_picture(tmp_path / f"{number}.png", number) for number in range(20)]
    expected = list(cache.decoded(pictures))
    file = own_cache / "pictures.sqlite"
    data = bytearray(file.read_bytes())
    end = 68 if place < 68 else place + 2000  # by byte 68 the file is known as this program's
    data[place:end] = b"\xab" * (end - place)
    file.write_bytes(data)
    for _ in range(3):
        assert list(cache.decoded(pictures)) == expected
    decodings.clear()
    assert list(cache.decoded(pictures)) == expected and decodings == []


def test_rows_that_cannot_be_are_not_believed(tmp_path: Path, own_cache: Path) -> None:
    picture = old_picture(tmp_path / "a.png")
    expected = list(cache.decoded([picture]))
    for change in ("hash = 'text'", "digest = x'00'", "failure = x'07'", "thumbnail = NULL"):
        base = sqlite3.connect(own_cache / "pictures.sqlite")
        with base:
            base.execute(f"UPDATE pictures SET {change}")
        base.close()
        assert list(cache.decoded([picture])) == expected


def test_another_version_of_pillow_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decodings: list[str]
) -> None:
    picture = old_picture(tmp_path / "a.png")
    list(cache.decoded([picture]))
    monkeypatch.setattr("PIL.__version__", "0.0")
    list(cache.decoded([picture]))
    list(cache.decoded([picture]))
    assert decodings == ["a.png", "a.png"]


def test_without_a_cache_folder_all_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decodings: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ICR_CACHE", str(tmp_path / "file" / "below"))
    picture = old_picture(tmp_path / "a.png")
    assert list(cache.decoded([picture])) == [decode(picture)] and decodings == ["a.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_cache_is_read(tmp_path: Path, own_cache: Path, decodings: list[str]) -> None:
    picture = old_picture(tmp_path / "a.png")
    list(cache.decoded([picture]))
    (own_cache / "pictures.sqlite").chmod(stat.S_IRUSR)
    own_cache.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert len(list(cache.decoded([picture]))) == 1 and decodings == ["a.png"]


def test_a_cache_that_is_too_large_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decodings: list[str]
) -> None:
    picture = old_picture(tmp_path / "a.png")
    list(cache.decoded([picture]))
    monkeypatch.setattr(cache, "_LARGEST", 1000)
    list(cache.decoded([picture]))
    assert decodings == ["a.png", "a.png"]


def test_several_processes_at_once(tmp_path: Path, own_cache: Path) -> None:
    pictures = [old_picture(tmp_path / f"{number}.png", number) for number in range(30)]
    code = (
        "import sys; from pathlib import Path; from icr.data import cache;"
        "print(sum(each.failure is None for each in cache.decoded(sorted(Path(sys.argv[1]).glob('*.png')))))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [each.communicate()[0].strip() for each in running] == ["30"] * 3
    base = sqlite3.connect(own_cache / "pictures.sqlite")
    assert base.execute("SELECT count(*) FROM pictures").fetchone() == (len(pictures),)
    base.close()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ICR_CACHE": "/a"}, "/a"),
        ({"ICR_CACHE": "", "XDG_CACHE_HOME": "/b"}, "/b/icr"),
        ({"ICR_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/c"}, "/c/.cache/icr"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other cache folders")
def test_where_it_lies(environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    assert cache.folder() == Path(expected)
