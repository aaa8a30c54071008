"""Repaired copies: what is mended, what stays, and that the set itself is left as it is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image
from scene_pictures import label, rows, save, scenes, view

from icr.data.check import check, examine
from icr.data.dataset import Dataset
from icr.data.formats import read, write
from icr.data.repair import repaired


def mended(root: Path) -> tuple[Dataset, Counter[str]]:
    """The repaired set and what was done, having made sure that the set itself was not touched."""
    dataset = read(root)
    before = [(each.image, each.boxes.tolist(), each.labels.tolist()) for s in dataset.splits.values() for each in s]
    repair = repaired(dataset, examine(dataset))
    after = [(each.image, each.boxes.tolist(), each.labels.tolist()) for s in dataset.splits.values() for each in s]
    assert before == after
    return repair.dataset, repair.done


def names(dataset: Dataset) -> dict[str, list[str]]:
    """The pictures of each split by name."""
    return {split: [sample.image.stem for sample in samples] for split, samples in dataset.splits.items()}


def test_a_sound_set_stays_as_it_is(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a", "b"]})
    dataset, done = mended(root)
    assert not done and names(dataset) == names(read(root))


def test_evaluation_keeps_what_stands_in_two_splits(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a", "b", "c", "d"], "val": ["v", "w"], "test": ["t"]})
    data = (root / "images/train/a.jpg").read_bytes()
    for name in ("train/b", "val/v", "test/t"):  # twice in train, once in each of the others
        (root / "images" / f"{name}.jpg").write_bytes(data)
    save(Image.open(root / "images/train/c.jpg"), root / "images/val/w.jpg", quality=40)
    dataset, done = mended(root)
    assert names(dataset) == {"train": ["d"], "val": ["w"], "test": ["t"]}
    assert done == {"splits.shared": 3, "splits.alike": 1}


def test_one_picture_listed_in_two_splits_and_twice_in_one(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a", "b"], "val": ["v"]})
    (root / "train.txt").write_text("images/train/a.jpg\nimages/train/a.jpg\nimages/val/v.jpg\n")
    (root / "data.yaml").write_text((root / "data.yaml").read_text().replace("train: images/train", "train: train.txt"))
    dataset, done = mended(root)
    assert names(dataset)["train"] == ["a"] and names(dataset)["val"] == ["v"]
    assert done == {"picture.listed_twice": 1, "splits.shared": 1}


@pytest.mark.parametrize("same", [True, False])
def test_copies_within_a_split_go_if_their_boxes_are_the_same(same: bool, tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a", "b", "c"]})
    for name in ("b", "c"):
        (root / f"images/train/{name}.jpg").write_bytes((root / "images/train/a.jpg").read_bytes())
        if same:
            label(root, "train", name, rows(1))
    dataset, done = mended(root)
    assert names(dataset)["train"] == (["a"] if same else ["a", "b", "c"])
    assert done == ({"picture.duplicate": 2} if same else {})


def test_a_broken_picture_goes(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a", "b"]})
    (root / "images/train/b.jpg").write_bytes((root / "images/train/b.jpg").read_bytes()[:-900])
    dataset, done = mended(root)
    assert names(dataset)["train"] == ["a"] and done == {"picture.truncated": 1}


def test_boxes_are_mended_and_pairs_follow(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["a"]})
    # a car twice, a plate that belongs to the second of the two, a car that sticks out; in pixels of 320 x 240
    label(root, "train", "a", ["1 0.5 0.5 0.4 0.4", "1 0.5 0.5 0.4 0.4", "0 0.5 0.55 0.05 0.03", "1 0.95 0.5 0.3 0.2"])
    (root / "pairs" / "train").mkdir(parents=True)
    (root / "pairs" / "train" / "a.txt").write_text("2 1\n")
    dataset, done = mended(root)
    sample = dataset.splits["train"][0]
    assert sample.labels.tolist() == [1, 0, 1] and sample.parents.tolist() == [-1, 0, -1]
    assert sample.boxes[2].tolist() == pytest.approx([256, 96, 320, 144])
    assert done == {"labels.duplicate": 1, "boxes.partly_outside": 1}


def test_classes_are_exchanged_back(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": [f"p{number}" for number in range(20)]})
    label(root, "train", "p4", rows(70, swapped=True))
    dataset, done = mended(root)
    assert dataset.splits["train"][4].labels.tolist() == [0, 1] and done == {"labels.swapped": 1}


def test_the_copy_is_sound_whatever_was_wrong(tmp_path: Path) -> None:
    root = scenes(tmp_path / "spoilt", {"train": [f"p{number}" for number in range(20)], "test": ["t", "u"]})
    label(root, "train", "p0", [*rows(90), "7 0.5 0.5 0.1 0.1", "0 nan 0 0 0", "0 0.5 0.5"])
    label(root, "train", "p1", [*rows(91), rows(91)[0]])
    label(root, "train", "p2", rows(92, swapped=True))
    label(root, "train", "p9000", rows(93))
    (root / "images/train/p3.jpg").write_bytes(b"no picture")
    (root / "labels/train/p4.txt").write_bytes(b"\xff\xfe0\x00")
    save(view(1), root / "images/test/t.jpg", quality=30)
    dataset, _ = mended(root)
    found = Counter(each.id for each in check(read(root)))
    assert set(found) == {
        "labels.class",
        "labels.not_finite",
        "labels.fields",
        "labels.duplicate",
        "labels.swapped",
        "labels.no_picture",
        "picture.unreadable",
        "text.encoding",
        "splits.alike",
        "pairs.orphan",
    }
    for format in ("yolo", "coco"):
        write(dataset, tmp_path / format, format)
        assert check(read(tmp_path / format)) == []
