"""Labels that are sound row by row and yet cannot be meant."""

from __future__ import annotations

from pathlib import Path

from scene_pictures import NAMES, label, rows, save, scenes, view, where

from icr.data.check import check
from icr.data.formats import read, write
from icr.relations import Relation

MANY = {"train": [f"p{number}" for number in range(30)]}


def test_exchanged_classes_in_some_files(tmp_path: Path) -> None:
    root = scenes(tmp_path, MANY)
    for name in ("p3", "p8"):
        label(root, "train", name, rows(100 + len(name) + int(name[1:]), swapped=True))
    findings = [each for each in check(read(root)) if each.id != "pairs.orphan"]
    assert where(findings) == [("labels.swapped", "p3.txt"), ("labels.swapped", "p8.txt")]
    message = "as labelled no plate of p3.jpg lies in a car; with the classes exchanged they do"
    assert findings[0].message == message


def test_a_relation_the_wrong_way_round_is_no_exchange(tmp_path: Path) -> None:
    findings = check(read(scenes(tmp_path, MANY)), (Relation("car", "plate"),))
    assert {each.id for each in findings} == {"pairs.orphan", "pairs.none"}


def test_orphans_and_plates_outside_are_no_exchange(tmp_path: Path) -> None:
    root = scenes(tmp_path, MANY)
    label(root, "train", "p1", ["0 0.1 0.1 0.05 0.03", "1 0.7 0.7 0.3 0.3"])
    label(root, "train", "p2", ["0 0.1 0.1 0.05 0.03"])
    label(root, "train", "p3", ["1 0.7 0.7 0.3 0.3", "1 0.7 0.7 0.1 0.1"])
    assert where(check(read(root))) == [("pairs.orphan", "p1.txt"), ("pairs.orphan", "p2.txt")]


def test_two_plates_in_one_car_where_all_others_have_one(tmp_path: Path) -> None:
    root = scenes(tmp_path, MANY)
    label(root, "train", "p5", rows(500, plates=2))
    finding = check(read(root))[0]
    assert where([finding]) == [("pairs.several", "p5.txt")] and finding.line == 3
    assert finding.message == "car holds 2 of plate (lines 1, 2); 97% of those that hold any hold one"


def test_two_plates_in_one_car_that_may_hold_one(tmp_path: Path) -> None:
    root = scenes(tmp_path, {"train": ["p0", "p1"]})
    label(root, "train", "p1", rows(500, plates=2))
    assert check(read(root)) == []
    (finding,) = check(read(root), (Relation("plate", "car", one_to_one=True),))
    assert where([finding]) == [("pairs.several", "p1.txt")]
    assert finding.message == "car holds 2 of plate (lines 1, 2); the relation is declared one to one"


def test_two_in_one_are_usual_in_some_sets(tmp_path: Path) -> None:
    root = scenes(tmp_path, MANY)
    for name in MANY["train"][:5]:
        label(root, "train", name, rows(500 + int(name[1:]), plates=2))
    assert check(read(root)) == []


def test_a_plate_that_may_belong_to_the_car_behind_counts_for_neither(tmp_path: Path) -> None:
    root = scenes(tmp_path, MANY)
    two = rows(500, plates=2)
    label(root, "train", "p5", [*two, two[-1].replace("0.301234 0.341234", "0.501234 0.541234")])
    assert {each.id for each in check(read(root))} == {"pairs.ambiguous"}


def test_labels_copied_to_another_picture(tmp_path: Path) -> None:
    root = scenes(tmp_path, MANY)
    label(root, "val", "val_sound", rows(7))
    assert where(check(read(root))) == [("labels.repeated", "val_sound.txt")]
    # a picture that shows the same has the same boxes by right
    save(view(7), root / "images" / "val" / "val_sound.jpg", quality=50)
    assert where(check(read(root))) == [("splits.alike", "val_sound.jpg")]


def test_repeated_boxes_in_one_file_name_both_pictures(tmp_path: Path) -> None:
    root = scenes(tmp_path / "yolo", {"train": ["first", "second"]})
    label(root, "train", "second", (root / "labels/train/first.txt").read_text().splitlines())
    write(read(root), tmp_path / "coco", "coco")
    (finding,) = check(read(tmp_path / "coco"))
    assert where([finding]) == [("labels.repeated", "train.json")]
    first, second = (tmp_path / "coco/images/train" / f"{name}.jpg" for name in ("first", "second"))
    assert finding.message == f"the 2 boxes of {second} stand exactly as those of another picture, {first}"


def test_round_numbers_may_stand_twice(tmp_path: Path) -> None:
    root = scenes(tmp_path, {}, yaml=NAMES)
    for split in ("train", "val"):
        label(root, split, f"{split}_sound", ["0 0.5 0.5 0.1 0.05", "1 0.5 0.5 0.6 0.5"])
    assert {each.id for each in check(read(root))} == {"relations.unknown"}
