"""Samples in the cache: the same as those read into memory, not parsed again, never older than their files."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimmed import told

from icr.cli.commands import run
from icr.data import formats, parsing
from icr.data.dataset import Finding, Sample
from icr.data.formats import yolo
from icr.data.packing import pack, unpack

OLD = time.time() - 3600


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ICR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """Ten pictures, some with faults, changed an hour ago."""
    root = tmp_path / "plates"
    for kind in ("images", "labels", "pairs"):
        (root / kind / "train").mkdir(parents=True)
    for number in range(10):
        Image.new("RGB", (64, 48)).save(root / f"images/train/{number}.png")
        (root / f"labels/train/{number}.txt").write_text("0 0.5 0.5 0.1 0.05\n1 0.5 0.5 0.5 0.5\n" * (number % 3))
    (root / "labels/train/3.txt").write_text("0 0.5 0.5 0.1 0.05\n7 2 nan\n")
    (root / "labels/train/4.txt").unlink()
    (root / "images/train/5.png").write_bytes(b"no picture")
    (root / "pairs/train/2.txt").write_text("0 1\n2 -1\n")
    (root / "data.yaml").write_text("train: images/train\nnames: [plate, vehicle]\n")
    age(root)
    return root


def age(root: Path, when: float = OLD) -> None:
    for path in root.rglob("*"):
        os.utime(path, (when, when))


def same_as_in_memory(root: Path) -> None:
    whole, skimmed = formats.read(root), formats.read(root, skim=True)
    assert list(map(told, skimmed.splits["train"])) == list(map(told, whole.splits["train"]))
    assert skimmed.findings == whole.findings


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pictures that are parsed from here on."""
    names: list[str] = []
    stock = yolo._read_sample

    def spy(image: Path, *rest: object) -> Sample | None:
        names.append(image.name)
        return stock(image, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(yolo, "_read_sample", spy)
    return names


def test_the_same_as_in_memory_the_first_time_and_the_second(plates: Path) -> None:
    same_as_in_memory(plates)
    same_as_in_memory(plates)


def test_what_is_known_is_not_parsed_again(plates: Path, parsed: list[str]) -> None:
    assert len(list(formats.read(plates, skim=True).splits["train"])) == 9
    assert sorted(parsed) == [f"{number}.png" for number in range(10)], "each once, though all were fetched"
    parsed.clear()
    assert len(list(formats.read(plates, skim=True).splits["train"])) == 9
    assert parsed == []


@pytest.mark.parametrize("changed", ["labels/train/1.txt", "pairs/train/1.txt", "images/train/1.png"])
def test_what_has_changed_is_parsed_again(plates: Path, parsed: list[str], changed: str) -> None:
    formats.read(plates, skim=True)
    parsed.clear()
    path = plates / changed
    if path.suffix == ".png":
        Image.new("RGB", (80, 48)).save(path)
    else:
        path.write_text("0 0.5 0.5 0.2 0.05\n1 0.5 0.5 0.5 0.5\n" if "labels" in changed else "0 -1\n")
    os.utime(path, (OLD + 5, OLD + 5))
    skimmed = formats.read(plates, skim=True)
    assert parsed == ["1.png"]
    assert list(map(told, skimmed.splits["train"])) == list(map(told, formats.read(plates).splits["train"]))


def test_another_class_list_is_another_meaning(plates: Path) -> None:
    formats.read(plates, skim=True)
    (plates / "data.yaml").write_text("train: images/train\nnames: [plate]\n")
    same_as_in_memory(plates)


def test_files_changed_just_now_are_not_relied_on(plates: Path, parsed: list[str]) -> None:
    age(plates, time.time())
    formats.read(plates, skim=True)
    parsed.clear()
    samples = formats.read(plates, skim=True).splits["train"]
    assert len(parsed) == 10, "the next change might come within the same tick of the clock"
    assert len(list(samples)) == len(list(samples)) == 9 and len(parsed) == 10, "held for as long as they are looked at"


def test_two_files_that_exchange_their_names_are_known_apart(plates: Path) -> None:
    formats.read(plates, skim=True)
    one, other = (plates / f"labels/train/{number}.txt" for number in (1, 7))
    other.write_text("1 0.5 0.5 0.1 0.05\n0 0.5 0.5 0.5 0.5\n")
    os.utime(other, (OLD, OLD))  # of one size and one time, as from an archive
    formats.read(plates, skim=True)
    one.rename(plates / "other")
    other.rename(one)
    (plates / "other").rename(other)
    same_as_in_memory(plates)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text(plates: Path) -> None:
    for kind, suffix, source in (("images", ".png", "0.png"), ("labels", ".txt", "3.txt")):
        name = os.fsencode(plates / kind / "train") + b"/\xff" + suffix.encode()
        Path(os.fsdecode(name)).write_bytes((plates / kind / "train" / source).read_bytes())
    age(plates)
    same_as_in_memory(plates)
    same_as_in_memory(plates)


def test_processes_that_end_at_once_are_done_without(plates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_WORTH_PROCESSES", 0)
    monkeypatch.setattr(parsing, "_PART", 3)
    monkeypatch.setattr(parsing, "_begin", os._exit)  # as where a script has no main guard
    same_as_in_memory(plates)


def test_without_a_cache_the_labels_are_read(plates: Path, cache: Path) -> None:
    cache.write_text("a file in its place")
    same_as_in_memory(plates)


def test_a_spoilt_row_is_as_good_as_none(plates: Path, cache: Path) -> None:
    import sqlite3

    formats.read(plates, skim=True)
    base = sqlite3.connect(cache / "labels.sqlite")
    base.execute("UPDATE labels SET body = x'00'")
    base.commit()
    base.close()
    same_as_in_memory(plates)


def test_a_cache_emptied_meanwhile_is_made_up_for(plates: Path, cache: Path) -> None:
    samples = formats.read(plates, skim=True).splits["train"]
    (cache / "labels.sqlite").unlink()
    assert list(map(told, samples)) == list(map(told, formats.read(plates).splits["train"]))


def test_other_processes_read_the_same(plates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10, 90):
        (plates / f"images/train/{number}.png").write_bytes((plates / "images/train/0.png").read_bytes())
        (plates / f"labels/train/{number}.txt").write_text("0 0.5 0.5 0.1 0.05\n")
    age(plates)
    monkeypatch.setattr(parsing, "_WORTH_PROCESSES", 10)
    same_as_in_memory(plates)


def test_places_and_slices(plates: Path) -> None:
    samples, whole = formats.read(plates, skim=True).splits["train"], formats.read(plates).splits["train"]
    assert told(samples[-1]) == told(whole[-1])
    assert list(map(told, samples[2:7:2])) == list(map(told, whole[2:7:2]))
    with pytest.raises(IndexError):
        samples[9]
    with pytest.raises(ValueError, match="read-only"):
        samples[1].boxes[0] = 0


def test_a_check_says_the_same_of_what_it_knows(plates: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for options in ([], [], ["--fresh"]):
        assert run(["data", "check", str(plates), "--relation", "plate:vehicle", "--json", *options]) == 1
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] == said[2]


NUMBERS = st.floats(-1e6, 1e6)
PLAIN = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | NUMBERS


@given(
    boxes=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 9), st.integers(-2, 9)), max_size=5),
    lines=st.booleans(),
    attributes=st.dictionaries(st.text(), PLAIN, max_size=3),
    messages=st.lists(st.text(), max_size=3),
    file=st.none() | st.just(Path("/d/labels/车 牌.txt")),
)
def test_packing_loses_nothing(
    boxes: list[tuple[float, ...]],
    lines: bool,
    attributes: dict[str, object],
    messages: list[str],
    file: Path | None,
) -> None:
    rows = np.array(boxes, np.float64).reshape(-1, 6)
    sample = Sample(
        Path("/d/a.jpg"),
        640,
        480,
        rows[:, :4],
        rows[:, 4].astype(np.int64),
        rows[:, 5].astype(np.int64),
        file,
        np.arange(len(rows)) if lines else np.zeros(0, np.int64),
        attributes,
        [attributes] * len(rows) if attributes else [],
    )
    findings = [Finding("labels.class", "error", "/d/a.txt", None, message) for message in messages]
    made, found = unpack(pack(sample, findings), sample.image)
    assert made is not None and told(made) == told(sample) and found == findings
    assert unpack(pack(None, findings), sample.image) == (None, findings)


@pytest.mark.parametrize("body", [b"", b"\0" * 10, b"\1" * 30, pack(None, []) + b"{", pack(None, []) + b"[1]"])
def test_what_was_not_packed_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(body, Path("a.jpg"))
