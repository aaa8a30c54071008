"""COCO JSON: layouts, categories, pairs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sets import HEIGHT, WIDTH, annotation, coco_content, coco_set, ids, picture, same_boxes

from icr.data.check import check
from icr.data.dataset import NO_PARENT, UNSTATED
from icr.data.formats import read, write
from icr.errors import InputError
from icr.relations import Relation


def test_boxes_categories_and_pairs(tmp_path: Path) -> None:
    dataset = read(coco_set(tmp_path))
    sample = dataset.splits["train"][0]
    assert sample.boxes.tolist() == [[45, 38, 55, 42], [20, 20, 80, 60]]
    assert dataset.names == ["plate", "car"] and dataset.category_ids == [3, 9]
    assert sample.labels.tolist() == [0, 1]
    assert sample.parents.tolist() == [1, NO_PARENT]
    assert sample.lines.tolist() == [11, 12]
    assert sample.attributes == {"image_id": 7}
    assert sample.image == tmp_path / "images" / "a.png"
    assert dataset.findings == []


def test_what_is_not_stated_stays_open(tmp_path: Path) -> None:
    content = coco_content(annotations=[annotation(), annotation(id=12, category_id=9, parent_id=None)])
    assert read(coco_set(tmp_path, content)).splits["train"][0].parents.tolist() == [UNSTATED, UNSTATED]


def test_pairs_are_found_by_id_whatever_the_order(tmp_path: Path) -> None:
    content = coco_content(
        annotations=[
            annotation(id=5, category_id=9, bbox=[0, 0, 50, 50]),
            annotation(id=900, parent_id=2),
            annotation(id=2, category_id=9, bbox=[20, 20, 60, 40]),
        ]
    )
    assert read(coco_set(tmp_path, content)).splits["train"][0].parents.tolist() == [UNSTATED, 2, UNSTATED]


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (["train.json", "val.json", "test.json"], ["train", "val", "test"]),
        (["annotations/instances_train.json"], ["train"]),
        (["train/_annotations.coco.json", "valid/_annotations.coco.json"], ["train", "val"]),
        (["result.json"], ["train"]),
        (["test_plates.json", "my plates.json"], ["train", "test"]),
        (["annotations/instances_default.json", "annotations/captions_default.json"], ["train"]),
        (["annotations/instances_val2017.json", "annotations/instances_train2017.json"], ["train", "val"]),
    ],
)
def test_folders(tmp_path: Path, files: list[str], splits: list[str]) -> None:
    for name in files:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(coco_content()))
        picture((tmp_path if "/" not in name or "annotations/" in name else file.parent) / "a.png")
    dataset = read(tmp_path)
    assert list(dataset.splits) == splits and dataset.findings == []


def test_json_files_that_are_no_set_or_several(tmp_path: Path) -> None:
    (tmp_path / "findings.json").write_text('{"findings": []}')
    (tmp_path / "results.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]')
    with pytest.raises(InputError, match="is no data set of a known format"):
        read(tmp_path)
    for name in ("one.json", "two.json"):  # of one split: which of them?
        (tmp_path / name).write_text(json.dumps(coco_content()))
    with pytest.raises(InputError, match="is no data set of a known format"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "split"),
    [("val.json", "val"), ("instances_val.json", "val"), ("plates.json", "train"), ("Test.json", "test")],
)
def test_a_file_speaks_of_its_split(tmp_path: Path, name: str, split: str) -> None:
    assert list(read(coco_set(tmp_path, name=name)).splits) == [split]


def test_classes_of_several_files_are_merged_by_name(tmp_path: Path) -> None:
    coco_set(tmp_path)
    other = coco_content(categories=[{"id": 3, "name": "car"}, {"id": 4, "name": "plate"}, {"id": 5, "name": "bus"}])
    other["annotations"] = [annotation(), annotation(id=12, category_id=4), annotation(id=13, category_id=5)]
    coco_set(tmp_path, other, name="val.json")
    dataset = read(tmp_path)
    assert dataset.names == ["plate", "car", "bus"] and dataset.category_ids == [3, 9, 5]
    assert dataset.splits["val"][0].labels.tolist() == [1, 0, 2]
    assert ids(dataset.findings) == ["coco.categories_differ"]


@pytest.mark.parametrize("where", ["relations", "info"])
def test_relations(tmp_path: Path, where: str) -> None:
    block = [{"child": "plate", "parent": "car", "weight": 1.5}]
    content = coco_content(**({"relations": block} if where == "relations" else {"info": {"relations": block}}))
    assert read(coco_set(tmp_path, content)).relations == (Relation("plate", "car", 1.5),)


def test_everything_else_is_kept(tmp_path: Path) -> None:
    crowd = annotation(iscrowd=1, area=7.5, segmentation={"counts": "abc", "size": [80, 100]}, text="冀R")
    content = coco_content(annotations=[crowd, annotation(id=12)], info={"year": 2026}, licenses=[{"id": 1}])
    content["images"][0]["light"] = "night"
    dataset = read(coco_set(tmp_path / "a", content))
    write(dataset, tmp_path / "b", "coco")
    written = json.loads((tmp_path / "b" / "train.json").read_text())
    assert written["info"] == {"year": 2026} and written["licenses"] == [{"id": 1}]
    assert written["categories"] == content["categories"]
    assert written["images"] == [{**content["images"][0], "file_name": "images/train/a.png"}]
    assert written["annotations"][0] == crowd
    assert written["annotations"][1] == {**annotation(id=12), "area": 40, "iscrowd": 0}


def test_reference_leaves_pictures_where_they_are(tmp_path: Path) -> None:
    dataset = read(coco_set(tmp_path / "a"))
    write(dataset, tmp_path / "b", "coco", images="reference")
    assert [each.name for each in (tmp_path / "b").iterdir()] == ["train.json"]
    again = read(tmp_path / "b")
    assert again.findings == [] and again.splits["train"][0].image == tmp_path / "a" / "images" / "a.png"
    same_boxes(again.splits["train"][0], dataset.splits["train"][0])


def test_labels_alone_can_be_read(tmp_path: Path) -> None:
    file = coco_set(tmp_path)
    (tmp_path / "images" / "a.png").unlink()
    dataset = read(file)
    sample = dataset.splits["train"][0]
    assert (sample.width, sample.height, len(sample.boxes)) == (WIDTH, HEIGHT, 2)
    assert ids(dataset.findings) == ["picture.none_found"]


def test_the_real_photographs(oid_car_plate: Path) -> None:
    dataset = read(oid_car_plate)
    boxes = {split: np.bincount(np.concatenate([s.labels for s in dataset.splits[split]])) for split in dataset.splits}
    # The counts of its ATTRIBUTION.md.
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 150, "val": 50}
    assert {split: each.tolist() for split, each in boxes.items()} == {"train": [265, 203], "val": [120, 69]}
    assert dataset.findings == []


@pytest.mark.parametrize(
    ("faulty", "finding"),
    [
        (annotation(bbox=["45", "38", "10", "4"]), "labels.not_a_number"),
        (annotation(bbox=[45, 38, True, 4]), "labels.not_a_number"),
        (annotation(bbox=[45, 38, 10]), "labels.fields"),
        (annotation(bbox={"x": 1}), "labels.fields"),
        (annotation(bbox=None), "labels.fields"),
        (annotation(category_id=None), "labels.fields"),
        (annotation(bbox=[45, 38, float("nan"), 4]), "labels.not_finite"),
        (annotation(bbox=[45, float("inf"), 10, 4]), "labels.not_finite"),
        (annotation(bbox=[10**400, 38, 10, 4]), "labels.not_finite"),
        (annotation(bbox=[1e300, 38, 10, 4]), "labels.not_finite"),
        (annotation(bbox=[45, 38, -10, 4]), "labels.negative_size"),
        (annotation(bbox=[45, 38, 0, 4]), "labels.zero_size"),
        (annotation(category_id=4), "labels.class"),
        (annotation(category_id="3"), "labels.class"),
        (annotation(image_id=8), "coco.unknown_image"),
        (annotation(image_id=[7]), "coco.unknown_image"),
        (annotation(bbox=[500, 38, 10, 4]), "boxes.outside"),
        ("text", "labels.fields"),
    ],
)
def test_an_annotation_that_cannot_be_used_is_left_out(tmp_path: Path, faulty: Any, finding: str) -> None:
    dataset = read(coco_set(tmp_path, coco_content(annotations=[faulty, annotation(id=99)])))
    assert ids(dataset.findings) == [finding] and dataset.findings[0].severity == "error"
    assert dataset.splits["train"][0].lines.tolist() == [99]


@pytest.mark.parametrize(
    ("odd", "finding"),
    [
        (annotation(id=99, bbox=[1, 1, 5, 5]), "coco.duplicate_id"),
        (annotation(), "labels.duplicate"),
        (annotation(id="x"), "coco.id_missing"),
        (annotation(bbox=[95, 38, 10, 4]), "boxes.partly_outside"),
        (annotation(bbox=[45, 38, 0.5, 4]), "boxes.tiny"),
        (annotation(parent_id=5), "pairs.unknown_parent"),
        (annotation(parent_id="99"), "pairs.unknown_parent"),
        (annotation(parent_id=11), "pairs.self"),
    ],
)
def test_an_odd_annotation_is_kept_and_said(tmp_path: Path, odd: dict[str, Any], finding: str) -> None:
    dataset = read(coco_set(tmp_path, coco_content(annotations=[annotation(id=99), odd])))
    assert finding in ids(dataset.findings)
    assert len(dataset.splits["train"][0].boxes) == 2
    assert (dataset.splits["train"][0].parents < 0).all()


def test_pairs_that_go_round_are_cut(tmp_path: Path) -> None:
    ring = [annotation(id=each, bbox=[each, 1, 9, 9], parent_id=each % 3 + 1) for each in (1, 2, 3)]
    into = annotation(id=4, bbox=[30, 1, 9, 9], parent_id=1)
    dataset = read(coco_set(tmp_path, coco_content(annotations=[*ring, into])))
    assert ids(dataset.findings) == ["pairs.circle"]
    assert dataset.splits["train"][0].parents.tolist() == [NO_PARENT, NO_PARENT, NO_PARENT, 0]


@pytest.mark.parametrize(
    ("images", "finding"),
    [
        ([{"id": 7, "file_name": "a.png"}, {"id": 7, "file_name": "b.png"}], "coco.duplicate_image"),
        ([{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "a.png"}], "picture.listed_twice"),
        ([{"id": 7, "file_name": "a.png"}, {"id": "8", "file_name": "b.png"}], "coco.image"),
        ([{"id": 7, "file_name": "a.png"}, "b.png"], "coco.image"),
        ([{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b.png"}], "picture.missing"),
        ([{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "../../etc/passwd"}], "paths.climbs"),
        ([{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "/etc/passwd"}], "paths.climbs"),
        ([{"id": 7, "file_name": "a.png", "width": 50, "height": 40}], "picture.size_mismatch"),
        ([{"id": 7, "file_name": "a.png", "width": "100", "height": 80}], "picture.size_mismatch"),
    ],
)
def test_images(tmp_path: Path, images: list[Any], finding: str) -> None:
    dataset = read(coco_set(tmp_path, coco_content(images=images)))
    assert finding in ids(dataset.findings)
    assert dataset.splits["train"][0].image.name == "a.png"


@pytest.mark.parametrize(
    "categories", [[], [{"id": "1", "name": "plate"}], [{"id": 1}], ["plate"], [{"id": 1, "name": 3}]]
)
def test_without_usable_categories_there_is_no_data_set(tmp_path: Path, categories: list[Any]) -> None:
    with pytest.raises(InputError, match="no usable categories"):
        read(coco_set(tmp_path, coco_content(categories=categories)))


@pytest.mark.parametrize("place", ["top", "info"])
def test_relations_that_cannot_be_read_are_a_finding_and_refuse_to_be_used(place: str, tmp_path: Path) -> None:
    faulty = [{"child": "plate"}]
    content = coco_content(**({"relations": faulty} if place == "top" else {"info": {"relations": faulty}}))
    dataset = read(coco_set(tmp_path, content))
    assert [(each.id, each.message[:36]) for each in dataset.findings] == [
        ("relations.invalid", "relations[0]: parent is missing; exp")
    ]
    assert len(dataset.splits["train"][0].labels) == 2
    with pytest.raises(InputError, match="parent is missing"):
        list(dataset.relations)
    assert "relations.invalid" in {each.id for each in check(dataset)}
