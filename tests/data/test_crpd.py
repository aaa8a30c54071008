"""CRPD: blanks or commas, any corner order, three subsets, and files as they should not be."""

from __future__ import annotations

from pathlib import Path

import pytest
from skimmed import read_both_ways  # noqa: F401 (a fixture)
from small_sets import ids, picture

from icr.data import formats
from icr.data.check import check, relations_to_check
from icr.data.choosing import choose
from icr.data.dataset import Dataset
from icr.errors import InputError

pytestmark = pytest.mark.usefixtures("read_both_ways")

ROW = "10 5 30 5 30 20 10 20 0 京A12345"


def crpd(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write pictures with their label files, by ``subset/split/stem``."""
    for name, content in files.items():
        subset, split, stem = name.split("/")
        picture(root / subset / split / "images" / f"{stem}.jpg")
        file = root / subset / split / "labels" / f"{stem}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def one(root: Path, content: str | bytes) -> Dataset:
    return formats.read(crpd(root, {"CRPD_multi/train/48_1053": content}))


def test_subsets_and_splits(tmp_path: Path) -> None:
    names = [f"CRPD_{subset}/{split}/1" for subset in ("single", "double", "multi") for split in ("train", "test")]
    dataset = formats.read(crpd(tmp_path / "CRPD all", dict.fromkeys([*names, "CRPD_double/val/7"], ROW)))
    assert dataset.format == "crpd" and dataset.names == ["plate"]
    assert {split: [each.attributes["subset"] for each in samples] for split, samples in dataset.splits.items()} == {
        "train": ["double", "multi", "single"],
        "val": ["double"],
        "test": ["double", "multi", "single"],
    }
    single = formats.read(tmp_path / "CRPD all" / "CRPD_single")
    assert {split: len(samples) for split, samples in single.splits.items()} == {"train": 1, "test": 1}


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        ROW.replace(" ", ","),
        ROW.replace(" ", ", "),
        ROW.replace(" ", "\t"),
        "30 20 10 5 10 20 30 5 0 京A12345",
        "10.0 5.0 30 5 30 20.0 10 20 0 京A12345\n\n",
    ],
)
def test_blanks_or_commas_and_any_corner_order(row: str, tmp_path: Path) -> None:
    dataset = one(tmp_path, row)
    sample = dataset.splits["train"][0]
    assert sample.boxes.tolist() == [[10, 5, 30, 20]]
    assert sample.lines.tolist() == [1] and sample.parents.tolist() == [-2]
    assert sample.box_attributes == [
        {"segmentation": [[10, 5, 30, 5, 30, 20, 10, 20]], "type": "blue", "text": "京A12345"}
    ]
    assert dataset.findings == []


@pytest.mark.parametrize(("kind", "name"), enumerate(("blue", "yellow, one line", "yellow, two lines", "white")))
def test_types_by_name_and_text_may_be_missing(kind: int, name: str, tmp_path: Path) -> None:
    said = one(tmp_path, f"10 5 30 5 30 20 10 20 {kind}").splits["train"][0].box_attributes[0]
    assert said["type"] == name and "text" not in said


@pytest.mark.parametrize(
    ("content", "finding", "line"),
    [
        (f"{ROW}\n10 5 30 5 30 20", "labels.fields", 2),
        (f"{ROW}\n10 5 30 5 30 20 10 二十 0 京A", "labels.not_a_number", 2),
        (f"10 5 inf 5 30 20 10 20 0\n{ROW}", "labels.not_a_number", 1),
        (f"{ROW}\n10 5 10 5 10 5 10 5 0", "labels.zero_size", 2),
        (f"{ROW}\n10 5 20 10 30 15 40 20 0", "labels.zero_size", 2),  # four corners on a slanting line
        (f"{ROW}\n1000 5 1030 5 1030 20 1000 20 0", "boxes.outside", 2),
        (ROW.encode() + b"\xef\xbb\xbf", "", None),
        (f"\ufeff{ROW}", "text.bom", 1),
        (f"{ROW}\r\n", "text.crlf", None),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_is_read(
    content: str | bytes, finding: str, line: int | None, tmp_path: Path
) -> None:
    dataset = one(tmp_path, content)
    assert [(each.id, each.line) for each in dataset.findings] == ([(finding, line)] if finding else [])
    assert len(dataset.splits["train"][0].labels) == 1


def test_a_strange_type_is_told_and_the_plate_kept(tmp_path: Path) -> None:
    dataset = one(tmp_path, "10 5 30 5 30 20 10 20 9 京A12345")
    assert ids(dataset.findings) == ["labels.attribute"]
    assert dataset.splits["train"][0].box_attributes[0]["type"] == "9"


def test_empty_files_and_other_encodings(tmp_path: Path) -> None:
    dataset = one(tmp_path / "a", "\n \n")
    assert ids(dataset.findings) == ["labels.empty"] and len(dataset.splits["train"]) == 1
    dataset = one(tmp_path / "b", ROW.encode("gb18030"))
    assert ids(dataset.findings) == ["split.empty", "text.encoding"]


def test_known_bad_files_are_named(tmp_path: Path) -> None:
    names = ["CRPD_multi/train/44_0191", "CRPD_single/val/48_0951", "CRPD_single/train/44_0191"]
    dataset = formats.read(crpd(tmp_path, dict.fromkeys(names, ROW)))
    assert [(each.id, Path(each.file).name) for each in dataset.findings] == [
        ("labels.known_bad", "44_0191.txt"),
        ("labels.known_bad", "48_0951.txt"),
    ]
    assert "CRPD_multi/train 44_0191" in dataset.findings[0].message


def test_missing_pictures_and_labels(tmp_path: Path) -> None:
    crpd(tmp_path, {f"CRPD_multi/train/{stem}": ROW for stem in "abc"})
    split = tmp_path / "CRPD_multi" / "train"
    (split / "images" / "a.jpg").unlink()
    (split / "labels" / "b.txt").unlink()
    (split / "images" / "c.jpg").write_bytes(b"")
    dataset = formats.read(tmp_path)
    assert sorted((each.id, Path(each.file).name) for each in dataset.findings) == [
        ("labels.missing", "b.txt"),
        ("labels.no_picture", "a.txt"),
        ("picture.unreadable", "c.jpg"),
    ]


def test_a_check_says_that_it_has_no_pairs(tmp_path: Path) -> None:
    dataset = formats.read(crpd(tmp_path, {"CRPD_multi/train/1": ROW}))
    assert "pairs are not checked" in relations_to_check((), dataset).said
    assert ids(check(dataset, ())) == ["relations.unknown"]
    assert check(dataset, ())[-1].message == "the set has one class, so there are no pairs to check"
    with pytest.raises(InputError, match="has one class, plate, so there are no pairs; icr data add-parents"):
        choose([], dataset)


def test_forced_on_another_folder_it_says_what_it_expects(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder such as CRPD_multi"):
        formats.read(tmp_path, format="crpd")
