"""UFPR-ALPR: both revisions, the official splits, and files as they should not be."""

from __future__ import annotations

from pathlib import Path

import pytest
from skimmed import read_both_ways  # noqa: F401 (a fixture)
from small_sets import ids, picture

from icr.data import formats
from icr.data.check import check
from icr.data.dataset import Dataset
from icr.errors import InputError
from icr.relations import Relation

pytestmark = pytest.mark.usefixtures("read_both_ways")

HEAD = """\
camera: GoPro Hero4 Silver
position_vehicle: 10 20 60 40
\ttype: car
\tmake: Volkswagen
\tmodel: Gol
\tyear: 2012
plate: AYO-9034
"""
LETTERS = "\tchar 1: 41 46 2 4\n\tchar 2: 44 46 2 4\n\tchar 10: 48 46 2 4\n"
NEW = f"{HEAD}corners: 40,45 50,44 51,50 40,51\n{LETTERS}"
OLD = f"{HEAD}position_plate: 40 45 10 5\n{LETTERS}"


def ufpr(root: Path, files: dict[str, str | bytes]) -> Path:
    """Write pictures with their label files, by path without suffix."""
    for name, content in files.items():
        image = picture(root / f"{name}.png")
        image.with_suffix(".txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def whole(root: Path) -> Path:
    return ufpr(
        root,
        {
            "training/track0001/track0001[01]": NEW,
            "training/track0001/track0001[02]": OLD,
            "validation/track0061/track0061[01]": NEW,
            "testing/track0150/track0150[30]": OLD.replace("car", "motorcycle"),
        },
    )


def one(root: Path, content: str | bytes) -> Dataset:
    return formats.read(ufpr(root, {"training/track0001/track0001[01]": content}))


def test_official_splits_and_both_revisions(tmp_path: Path) -> None:
    dataset = formats.read(whole(tmp_path / "UFPR-ALPR dataset"))
    assert dataset.format == "ufpr-alpr" and dataset.names == ["plate", "vehicle"]
    assert dataset.relations == (Relation("plate", "vehicle"),)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 2, "val": 1, "test": 1}
    new, old = dataset.splits["train"]
    assert new.boxes.tolist() == [[40, 44, 51, 51], [10, 20, 70, 60]]
    assert old.boxes.tolist() == [[40, 45, 50, 50], [10, 20, 70, 60]]
    for sample in (new, old):
        assert sample.labels.tolist() == [0, 1]
        assert sample.parents.tolist() == [1, -1]
        assert sample.lines.tolist() == [8, 2]
    assert check(dataset) == []


def test_attributes_are_kept(tmp_path: Path) -> None:
    sample = formats.read(whole(tmp_path)).splits["train"][0]
    assert sample.attributes == {"camera": "GoPro Hero4 Silver", "track": "track0001", "frame": 1}
    plate, vehicle = sample.box_attributes
    assert plate["text"] == "AYO-9034"
    assert plate["segmentation"] == [[40, 45, 50, 44, 51, 50, 40, 51]]
    assert plate["characters"] == [[41, 46, 43, 50], [44, 46, 46, 50], [48, 46, 50, 50]]
    assert vehicle == {"type": "car", "make": "Volkswagen", "model": "Gol", "year": "2012"}
    assert formats.read(tmp_path).splits["test"][0].box_attributes[1]["type"] == "motorcycle"


def test_the_folder_may_stand_in_another(tmp_path: Path) -> None:
    whole(tmp_path / "UFPR-ALPR dataset")
    assert len(formats.read(tmp_path).splits["train"]) == 2


def test_tracks_without_split_folders_go_by_number(tmp_path: Path) -> None:
    ufpr(tmp_path, {f"track{number:04}/track{number:04}[01]": NEW for number in (60, 61, 90, 91)})
    splits = formats.read(tmp_path).splits
    assert {split: [each.attributes["track"] for each in samples] for split, samples in splits.items()} == {
        "train": ["track0060"],
        "val": ["track0061", "track0090"],
        "test": ["track0091"],
    }


def test_one_split_alone(tmp_path: Path) -> None:
    assert list(formats.read(whole(tmp_path), splits=["val"]).splits) == ["val"]
    with pytest.raises(InputError, match=r"has no split 'tset'.*did you mean 'test'"):
        formats.read(tmp_path, splits=["tset"])


def test_a_track_in_the_wrong_split_is_told_of(tmp_path: Path) -> None:
    dataset = formats.read(ufpr(tmp_path, {"training/track0100/track0100[01]": NEW}))
    assert [(each.id, each.file) for each in dataset.findings] == [
        ("splits.unofficial", str(tmp_path / "training/track0100"))
    ]
    assert "official split is test" in dataset.findings[0].message


def test_corners_in_any_order_give_the_same_plate(tmp_path: Path) -> None:
    swapped = NEW.replace("40,45 50,44 51,50 40,51", "51,50 40,45 40,51 50,44")
    sample = one(tmp_path, swapped).splits["train"][0]
    assert sample.boxes[0].tolist() == [40, 44, 51, 51]
    assert sample.box_attributes[0]["segmentation"] == [[40, 45, 50, 44, 51, 50, 40, 51]]


@pytest.mark.parametrize(
    ("content", "finding", "line", "labels"),
    [
        (HEAD, "labels.fields", None, [1]),  # truncated before the plate's position
        (HEAD + "corners: 40,45 50,", "labels.fields", 8, [1]),  # truncated within it
        (NEW.replace("45 50,44", "45 5o,44"), "labels.not_a_number", 8, [1]),
        (NEW.replace("position_vehicle: 10 20 60 40\n", ""), "labels.fields", None, [0]),
        (NEW.replace("10 20 60 40", "10 20 -60 40"), "labels.negative_size", 2, [0]),
        (OLD.replace("40 45 10 5", "40 45 0 5"), "labels.zero_size", 8, [1]),
        (OLD.replace("40 45 10 5", "400 45 10 5"), "boxes.outside", 8, [1]),
        (OLD.replace("40 45 10 5", "nan 45 10 5"), "labels.not_a_number", 8, [1]),
        (NEW.replace("10 20 60 40", "1000 20 60 40"), "pairs.lost", 8, [0]),
        (NEW + "plate: ABC-1234\n", "labels.duplicate", 12, [0, 1]),
        (NEW + "what is this\n", "labels.fields", 12, [0, 1]),
        ("", "labels.empty", None, []),
        (NEW.replace("\n", "\r\n"), "text.crlf", None, [0, 1]),
        (b"\xef\xbb\xbf" + NEW.encode(), "text.bom", 1, [0, 1]),
    ],
)
def test_what_is_wrong_is_told_and_the_rest_is_read(
    content: str | bytes, finding: str, line: int | None, labels: list[int], tmp_path: Path
) -> None:
    dataset = one(tmp_path, content)
    assert (finding, line) in [(each.id, each.line) for each in dataset.findings]
    assert all(each.file.endswith("track0001[01].txt") for each in dataset.findings)
    assert dataset.splits["train"][0].labels.tolist() == labels


def test_other_encodings_are_left_out_and_told(tmp_path: Path) -> None:
    for place, content in enumerate((NEW.encode("utf-16"), NEW.replace("Gol", "Palió").encode("latin-1"))):
        dataset = one(tmp_path / str(place), content)
        assert ids(dataset.findings) == ["split.empty", "text.encoding"]


def test_missing_pictures_and_labels(tmp_path: Path) -> None:
    whole(tmp_path)
    track = tmp_path / "training" / "track0001"
    (track / "track0001[01].png").unlink()
    (track / "track0001[02].txt").unlink()
    picture(track / "track0001[03].png").write_bytes(b"no picture")
    dataset = formats.read(tmp_path)
    assert sorted((each.id, Path(each.file).name) for each in dataset.findings) == [
        ("labels.missing", "track0001[02].txt"),
        ("labels.no_picture", "track0001[01].txt"),
        ("picture.unreadable", "track0001[03].png"),
    ]
    assert [len(each.labels) for each in dataset.splits["train"]] == [0]


def test_frames_sort_as_numbers(tmp_path: Path) -> None:
    ufpr(tmp_path, {f"training/track0001/track0001[{number}]": NEW for number in (10, 9, 1)})
    assert [each.attributes["frame"] for each in formats.read(tmp_path).splits["train"]] == [1, 9, 10]


def test_forced_on_another_folder_it_says_what_it_expects(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected folders such as training/track0001"):
        formats.read(tmp_path, format="ufpr-alpr")
