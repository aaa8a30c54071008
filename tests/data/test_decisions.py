"""Decisions of a person: written for people, read back, refused where they cannot be meant."""

from __future__ import annotations

import csv
import io
import string
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.data.decisions import COLUMNS, read, write
from icr.data.pairing import propose
from icr.errors import InputError
from icr.relations import ResolvedRelation

RELATIONS = (ResolvedRelation(0, (1, 2)),)
PLATE, CAR, WIDER, WIDEST = [165.0, 185, 195, 195], [100.0, 100, 260, 220], [50.0, 50, 300, 300], [0.0, 0, 400, 400]


def dataset(names: tuple[str, ...] = ("a.jpg",), classes: tuple[str, ...] = ("plate", "car", "bus")) -> Dataset:
    """Each picture has a plate in a car in a bus."""
    samples = [
        Sample(
            Path("/d") / name, 640, 480, np.array([PLATE, CAR, WIDER]), np.array([0, 1, 2]), np.array([UNSTATED] * 3),
            Path("/d/labels.txt"), np.array([1, 2, 4]),
        )
        for name in names
    ]  # fmt: skip
    return Dataset(Path("/d"), "yolo", list(classes), {"train": samples})


def listed(file: Path, made: Dataset) -> list[dict[str, Any]]:
    """The list as anyone would read it."""
    write(propose(made, RELATIONS).doubts, made.names, file)
    if file.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))
    return list(yaml.safe_load(file.read_text(encoding="utf-8")))


def rewrite(file: Path, rows: list[dict[str, Any]], delimiter: str = ",", encoding: str = "utf-8") -> None:
    """What an editor or a spreadsheet leaves behind."""
    if file.suffix != ".csv":
        file.write_text(yaml.safe_dump(rows, allow_unicode=True), encoding="utf-8")
        return
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    file.write_bytes(buffer.getvalue().encode(encoding))


def test_a_list_is_for_people(tmp_path: Path) -> None:
    row = listed(tmp_path / "a.csv", dataset())[0]
    assert tuple(row) == COLUMNS
    assert row == {
        "split": "train",
        "picture": "a.jpg",
        "child": "0",
        "line": "1",
        "what": "30 x 10 plate at 165, 185",
        "box": "165.0 185.0 195.0 195.0",
        "candidates": "1: 160 x 120 car at 100, 100, holds 100% | 2: 250 x 250 bus at 50, 50, holds 100%",
        "suggested": "1",
        "decision": "",
    }
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf"), "spreadsheets need the mark"
    entry = listed(tmp_path / "a.yaml", dataset())[0]
    assert tuple(entry) == COLUMNS and entry["decision"] is None
    assert entry["candidates"][1] == "160 x 120 car at 100, 100, holds 100%"
    text = (tmp_path / "a.yaml").read_text()
    assert text.startswith("# ") and text.endswith("  decision:\n")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.csv", "a.yaml"]


@pytest.mark.parametrize("suffix", [".csv", ".yaml"])
def test_an_untouched_list_decides_nothing(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"a{suffix}"
    listed(file, dataset())
    assert read(file, dataset(), RELATIONS) == {}


@pytest.mark.parametrize("suffix", [".csv", ".yaml"])
@pytest.mark.parametrize(
    ("written", "meant"),
    [("2", 2), (2, 2), ("2.0", 2), (" 1 ", 1), ("none", NO_PARENT), ("None", NO_PARENT), ("-1", NO_PARENT), ("?", None),
     ("", None)],
)  # fmt: skip
def test_ways_of_writing_a_decision(suffix: str, written: Any, meant: int | None, tmp_path: Path) -> None:
    file = tmp_path / f"a{suffix}"
    row = listed(file, dataset())[0]
    rewrite(file, [{**row, "decision": written}])
    expected = {} if meant is None else {("train", "a.jpg", 0): meant}
    assert read(file, dataset(), RELATIONS) == expected


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_spreadsheets_of_other_countries(delimiter: str, tmp_path: Path) -> None:
    row = listed(tmp_path / "a.csv", dataset())[0]
    rewrite(tmp_path / "a.csv", [{**row, "decision": "1"}], delimiter=delimiter)
    assert read(tmp_path / "a.csv", dataset(), RELATIONS) == {("train", "a.jpg", 0): 1}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"decision": "0"}, "decision is .0.; expected the number of a car or bus, none, or nothing .car or bus box"),
        ({"decision": "7"}, "boxes of a.jpg are 1, 2"),
        ({"decision": "car"}, "decision is 'car'"),
        ({"picture": "b.jpg", "decision": "1"}, "no picture 'b.jpg' in 'train'; did you mean 'a.jpg'"),
        ({"split": "val", "decision": "1"}, "no picture 'a.jpg' in 'val'"),
        ({"child": "3"}, "child is '3'; a.jpg has boxes 0 to 2"),
        ({"child": "x"}, "child is 'x'"),
        ({"child": "1", "box": "100 100 260 220", "decision": "2"}, "box 1 is a car, which is no child"),
        ({"box": "1 2 3 4"}, "is at 165.0 185.0 195.0 195.0 in the data set, which is another one or has changed"),
        ({"box": "nan 185 195 195"}, "list the children anew"),
        ({"box": "?"}, "list the children anew"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".csv", ".yaml"])
def test_what_cannot_be_meant_is_refused(suffix: str, changed: dict[str, str], said: str, tmp_path: Path) -> None:
    file = tmp_path / f"a{suffix}"
    row = listed(file, dataset())[0]
    rewrite(file, [{**row, **changed}])
    where = "line 2" if suffix == ".csv" else "entry 1"
    with pytest.raises(InputError, match=said) as error:
        read(file, dataset(), RELATIONS)
    assert str(error.value).startswith(f"{file}, {where}: ") and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", b"", "stand in a .csv or .yaml file, not in .txt"),
        ("a", b"", "one without suffix"),
        ("a.csv", b"picture,decision\r\n", "line 1: split is missing, found 'picture, decision'"),
        ("a.csv", b"", "line 1: split is missing, found nothing"),
        ("a.csv", b"\xff\xfe\x00", "no UTF-8 text; save it as CSV UTF-8"),
        ("a.yaml", b"{", "line 1"),
        ("a.yaml", b"decision: 1", "found dict; expected a list of children"),
        ("a.yaml", b"- 1", "entry 1: found 1"),
        ("a.yaml", b"- {picture: a.jpg}", "entry 1: split is missing"),
        ("absent.csv", None, "cannot be read"),
    ],
)
def test_files_that_are_no_list(name: str, content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        read(tmp_path / name, dataset(), RELATIONS)


def test_an_empty_yaml_list_decides_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# nothing\n")
    assert read(tmp_path / "a.yaml", dataset(), RELATIONS) == {}


def test_the_same_child_twice(tmp_path: Path) -> None:
    row = listed(tmp_path / "a.csv", dataset())[0]
    rewrite(tmp_path / "a.csv", [{**row, "decision": "1"}, {**row, "decision": "1"}, {**row, "decision": ""}])
    assert read(tmp_path / "a.csv", dataset(), RELATIONS) == {("train", "a.jpg", 0): 1}
    rewrite(tmp_path / "a.csv", [{**row, "decision": "1"}, {**row, "decision": "2"}])
    with pytest.raises(InputError, match=r"line 3: child 0 of a\.jpg is decided twice"):
        read(tmp_path / "a.csv", dataset(), RELATIONS)


def test_names_that_a_spreadsheet_would_run(tmp_path: Path) -> None:
    made = dataset(("=1+1.jpg",), ("=1+1", "@car", "车, a|b"))
    row = listed(tmp_path / "a.csv", made)[0]
    assert not any(str(value).startswith(("=", "+", "-", "@")) for value in row.values())
    rewrite(tmp_path / "a.csv", [{**row, "decision": "1"}])
    assert read(tmp_path / "a.csv", made, RELATIONS) == {("train", "=1+1.jpg", 0): 1}


words = st.text(string.ascii_letters + string.digits + " ._-冀R,;'\"#:\\", min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(words.map(lambda word: f"x{word}.jpg"), min_size=1, max_size=4, unique_by=lambda name: name.lower()),
    st.lists(words, min_size=3, max_size=3, unique=True),
    st.sampled_from([".csv", ".yaml"]),
    st.data(),
)
def test_round_trip(names: list[str], classes: list[str], suffix: str, data: st.DataObject) -> None:
    made = dataset(tuple(names), tuple(classes))
    doubts = propose(made, RELATIONS).doubts
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"list{suffix}"
        rows = listed(file, made)
        assert len(rows) == len(names)
        chosen = [data.draw(st.sampled_from([None, NO_PARENT, 1, 2])) for _ in rows]
        for row, parent in zip(rows, chosen, strict=True):
            row["decision"] = {None: "", NO_PARENT: "none"}.get(parent, parent)
        rewrite(file, rows, encoding="utf-8-sig")
        decided = read(file, made, RELATIONS)
    expected = {each.place: parent for each, parent in zip(doubts, chosen, strict=True) if parent is not None}
    assert decided == expected
    again = propose(made, RELATIONS, decisions=decided)
    assert {each.place for each in again.doubts} == {each.place for each in doubts} - set(expected)
    for index, parent in enumerate(chosen):
        if parent is not None:
            assert again.dataset.splits["train"][index].parents[0] == parent


heads = st.sampled_from(
    [b"", b"\xef\xbb\xbf", ",".join(COLUMNS).encode() + b"\r\n", b"- {split: train, picture: a.jpg, child: 0, box: "]
)
pieces = st.one_of(
    st.binary(max_size=30),
    st.text(max_size=30).map(str.encode),
    st.sampled_from(
        [
            b'"',
            b"\x00",
            b"&a [*a]",
            b"2001-02-30",
            b"!!python/object:x",
            b"train,a.jpg,0,1,x,165 185 195 195,y,1,",
            b"1e999",
        ]
    ),
)


@settings(max_examples=300, deadline=None)
@given(heads, st.lists(pieces, max_size=6).map(b"".join), st.sampled_from([".csv", ".yaml"]))
def test_whatever_the_file_holds_it_is_one_line(head: bytes, rest: bytes, suffix: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"list{suffix}"
        file.write_bytes(head + rest)
        try:
            assert set(read(file, dataset(), RELATIONS)) <= {("train", "a.jpg", 0)}
        except InputError as error:
            assert str(error).isprintable() and len(str(error)) < 600
