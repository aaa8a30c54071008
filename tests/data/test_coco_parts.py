"""Persons in COCO JSON with ``h_bbox`` and ``f_bbox``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_sets import coco_content, coco_set, ids, same_boxes

from icr.data import formats
from icr.data.check import check
from icr.data.dataset import Dataset
from icr.relations import Relation


def person(number: int = 1, **changed: Any) -> dict[str, Any]:
    return {"id": number, "image_id": 7, "category_id": 3, "bbox": [20, 10, 40, 60], **changed}


def persons(root: Path, *annotations: dict[str, Any], categories: tuple[str, ...] = ("person", "car")) -> Dataset:
    listed = [{"id": key, "name": name} for key, name in zip((3, 9, 4), categories, strict=False)]
    return formats.read(coco_set(root, coco_content(categories=listed, annotations=list(annotations))))


def test_heads_and_faces_become_boxes_with_their_persons_as_parents(tmp_path: Path) -> None:
    dataset = persons(
        tmp_path,
        person(1, h_bbox=[30, 12, 10, 12], f_bbox=[32, 15, 6, 7], vis_ratio=0.8),
        person(2, bbox=[50, 10, 40, 60], h_bbox=[60, 12, 10, 12]),
        {"id": 3, "image_id": 7, "category_id": 9, "bbox": [1, 1, 9, 9]},
    )
    assert dataset.names == ["person", "car", "head", "face"] and dataset.category_ids == [3, 9, 10, 11]
    assert dataset.relations == (Relation("head", "person"), Relation("face", "person"))
    sample = dataset.splits["train"][0]
    assert sample.labels.tolist() == [0, 0, 1, 2, 2, 3]
    assert sample.parents.tolist() == [-2, -2, -2, 0, 1, 0]
    assert sample.boxes[3:].tolist() == [[30, 12, 40, 24], [60, 12, 70, 24], [32, 15, 38, 22]]
    assert sample.box_attributes == [{"vis_ratio": 0.8}, {}, {}, {}, {}, {}]
    assert check(dataset) == []


def test_a_class_and_a_relation_of_that_name_are_used(tmp_path: Path) -> None:
    content = coco_content(
        categories=[{"id": 3, "name": "person"}, {"id": 9, "name": "head"}],
        annotations=[person(h_bbox=[30, 12, 10, 12])],
        relations=[{"child": "head", "parent": "person", "weight": 1.5}],
    )
    dataset = formats.read(coco_set(tmp_path, content))
    assert dataset.names == ["person", "head"]
    assert dataset.relations == (Relation("head", "person", 1.5),)
    assert dataset.splits["train"][0].labels.tolist() == [0, 1]


@pytest.mark.parametrize("value", [None, [], [0, 0, 0, 0], [-1, -1, -1, -1]])
def test_a_part_that_is_not_there(value: Any, tmp_path: Path) -> None:
    dataset = persons(tmp_path, person(h_bbox=value))
    assert dataset.findings == []
    assert dataset.splits["train"][0].labels.tolist() == [0]


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        ([30, 12, 10], "labels.fields"),
        ("30 12 10 12", "labels.fields"),
        ([30, 12, "10", 12], "labels.not_a_number"),
        ([30, 12, True, 12], "labels.not_a_number"),
        ([30, 12, float("nan"), 12], "labels.not_finite"),
        ([30, 12, 10**400, 12], "labels.not_finite"),
        ([30, 12, 0, 12], "labels.zero_size"),
        ([30, 12, -10, 12], "labels.negative_size"),
        ([3000, 12, 10, 12], "boxes.outside"),
    ],
)
def test_a_part_that_cannot_be_used_is_told(value: Any, finding: str, tmp_path: Path) -> None:
    dataset = persons(tmp_path, person(h_bbox=value))
    assert ids(dataset.findings) == [finding]
    assert "h_bbox of annotation 1 of a.png" in dataset.findings[0].message
    assert dataset.splits["train"][0].labels.tolist() == [0]


def test_nothing_changes_where_there_are_none(tmp_path: Path) -> None:
    dataset = persons(tmp_path, person())
    assert dataset.names == ["person", "car"] and dataset.relations == ()
    assert dataset.splits["train"][0].box_attributes == []


@pytest.mark.parametrize("to", ["yolo", "coco"])
def test_round_trip(to: str, tmp_path: Path) -> None:
    before = persons(tmp_path / "a", person(1, h_bbox=[30, 12, 10, 12], f_bbox=[32, 15, 6, 7]))
    formats.write(before, tmp_path / "b", to)
    after = formats.read(tmp_path / "b")
    assert after.findings == [] and after.names == before.names and after.relations == before.relations
    same_boxes(before.splits["train"][0], after.splits["train"][0])
