"""Label Studio's JSON: files as it exports them, and round trips with their pairs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated_sets import SIZES, annotated_datasets, assert_same_set
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_sets import coco_set, ids, picture

from icr.cli.commands import run
from icr.data.dataset import NO_PARENT, UNSTATED
from icr.data.formats import read, write
from icr.errors import InputError
from icr.relations import Relation


def region(key: str, label: str, box: tuple[float, ...], **changed: Any) -> dict[str, Any]:
    """A rectangle as the tool writes it; `box` is x, y, width, height in percent, and None takes a key out."""
    x, y, width, height = box
    whole = {
        "original_width": 100,
        "original_height": 80,
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]},
        "id": key,
        "from_name": "label",
        "to_name": "image",
        "type": "rectanglelabels",
        "origin": "manual",
        **changed,
    }
    return {name: value for name, value in whole.items() if value is not None}


CAR = region("Dx_aB91ISN", "car", (20, 25, 60, 50))
PLATE = region("t5sp3TyXPo", "plate", (45, 62.5, 10, 5))


def arrow(one: dict[str, Any], other: dict[str, Any], direction: str = "right") -> dict[str, Any]:
    return {"from_id": one["id"], "to_id": other["id"], "type": "relation", "direction": direction, "labels": ["in"]}


def annotated(*result: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """An annotation of the full export."""
    return {
        "id": 1001,
        "completed_by": 1,
        "result": list(result),
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-03-09T22:16:08.728353Z",
        "updated_at": "2026-03-09T22:16:08.728378Z",
        "lead_time": 4.288,
        "prediction": {},
        "result_count": 0,
        "task": 1,
        "parent_prediction": None,
        **changed,
    }


def task(*annotations: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "annotations": list(annotations),
        "file_upload": "1f2e3d4c-a.png",
        "drafts": [],
        "predictions": [],
        "data": {"image": "/data/upload/1/1f2e3d4c-a.png"},
        "meta": {},
        "created_at": "2026-03-09T21:52:49.513742Z",
        "updated_at": "2026-03-09T22:16:08.746926Z",
        "project": 83,
        **changed,
    }


def export(root: Path, content: Any, *pictures: str) -> Path:
    """An export beside a folder with the pictures."""
    root.mkdir(parents=True, exist_ok=True)
    file = root / "project-1-at-2026-03-09-22-16.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    for name in pictures or ("a.png",):
        picture(root / "images" / name)
    return file


def test_an_export_with_a_relation(tmp_path: Path) -> None:
    dataset = read(export(tmp_path, [task(annotated(PLATE, CAR, arrow(PLATE, CAR)))]))
    assert dataset.format == "labelstudio" and dataset.findings == []
    assert dataset.names == ["car", "plate"] and dataset.relations == (Relation("plate", "car"),)
    (sample,) = dataset.splits["train"]
    np.testing.assert_allclose(sample.boxes, [[45, 50, 55, 54], [20, 20, 80, 60]])
    assert sample.labels.tolist() == [1, 0] and sample.parents.tolist() == [1, NO_PARENT]


@pytest.mark.parametrize(
    ("link", "child"),
    [
        (arrow(PLATE, CAR), "plate"),
        (arrow(CAR, PLATE, "left"), "plate"),
        (arrow(CAR, PLATE, "bi"), "plate"),
        (arrow(PLATE, CAR, "bi"), "plate"),
        (arrow(CAR, PLATE), "car"),
    ],
)
def test_arrows_of_each_direction(tmp_path: Path, link: dict[str, Any], child: str) -> None:
    dataset = read(export(tmp_path, [task(annotated(PLATE, CAR, link))]))
    sample = dataset.splits["train"][0]
    assert [dataset.names[label] for label in sample.labels[sample.parents >= 0]] == [child]
    assert dataset.relations[0].child == child


def test_an_arrow_drawn_the_wrong_way_is_turned_round(tmp_path: Path) -> None:
    more = [region(f"p{index}", "plate", (25 + 10 * index, 60, 5, 5)) for index in range(2)]
    links = [arrow(more[0], CAR), arrow(more[1], CAR), arrow(CAR, PLATE)]
    dataset = read(export(tmp_path, [task(annotated(CAR, PLATE, *more, *links))]))
    assert dataset.relations == (Relation("plate", "car"),)
    assert dataset.splits["train"][0].parents.tolist() == [NO_PARENT, 0, 0, 0]


def test_a_note_says_that_there_is_no_parent(tmp_path: Path) -> None:
    alone = region("p", "plate", (25, 60, 5, 5), meta={"text": ["No parent", "dirty"]})
    dataset = read(export(tmp_path, [task(annotated(CAR, PLATE, alone, arrow(PLATE, CAR)))]))
    sample = dataset.splits["train"][0]
    assert sample.parents.tolist() == [NO_PARENT, 0, NO_PARENT]
    assert sample.box_attributes == [{}, {}, {"note": "dirty"}]


@pytest.mark.parametrize("mark", ["auto", "machine"])
@pytest.mark.parametrize(
    ("origin", "kept"), [("prediction", False), ("prediction-changed", False), ("manual", False), (None, True)]
)
def test_a_detectors_box_is_a_persons_once_submitted(tmp_path: Path, mark: str, origin: str | None, kept: bool) -> None:
    """Without an origin nobody had it in the editor: imported so, or made an annotation by the hundred."""
    said = {"source": mark, "score": 0.9, "occluded": True}
    box = region("c", "car", (20, 25, 60, 50), origin=origin, meta={"icr": said})
    sample = read(export(tmp_path, [task(annotated(box))])).splits["train"][0]
    assert sample.box_attributes == [said if kept else {"occluded": True}]


def test_what_a_set_itself_calls_source_stays(tmp_path: Path) -> None:
    said = {"source": "dashcam 3", "score": 0.9}
    box = region("c", "car", (20, 25, 60, 50), origin="prediction-changed", meta={"icr": said})
    assert read(export(tmp_path, [task(annotated(box))])).splits["train"][0].box_attributes == [said]


def test_of_several_annotations_one_counts(tmp_path: Path) -> None:
    first = annotated(CAR, updated_at="2026-03-09T22:16:08Z")
    later = annotated(CAR, PLATE, updated_at="2026-03-10T22:16:08Z")
    cancelled = annotated(updated_at="2026-03-11T22:16:08Z", was_cancelled=True)
    dataset = read(export(tmp_path / "a", [task(later, first, cancelled)]))
    assert len(dataset.splits["train"][0].labels) == 2
    assert [each.message for each in dataset.findings] == ["task 1 has 2 annotations; the one changed last is used"]
    truth = {**first, "ground_truth": True}
    dataset = read(export(tmp_path / "b", [task(later, truth, cancelled)]))
    assert len(dataset.splits["train"][0].labels) == 1 and ids(dataset.findings) == ["labels.several"]


@pytest.mark.parametrize(
    ("unfinished", "said"),
    [
        (task(annotated(CAR, was_cancelled=True)), "1 cancelled annotation and no other"),
        (task(), "no annotation"),
        (task(annotations=None), "no annotation"),
        (task(predictions=[{"model_version": "m", "score": 0.9, "result": [CAR]}]), "predictions that nobody"),
    ],
)
def test_unfinished_tasks_are_left_out(tmp_path: Path, unfinished: dict[str, Any], said: str) -> None:
    done = task(annotated(CAR), data={"image": "/data/local-files/?d=images/b.png"})
    dataset = read(export(tmp_path, [done, unfinished], "a.png", "b.png"))
    assert [sample.image.name for sample in dataset.splits["train"]] == ["b.png"]
    assert ids(dataset.findings) == ["labels.unfinished"] and said in dataset.findings[0].message


def test_a_picture_without_objects(tmp_path: Path) -> None:
    done = task(annotated(CAR), data={"image": "b.png"})
    dataset = read(export(tmp_path, [done, task(annotated())], "a.png", "b.png"))
    assert [len(sample.labels) for sample in dataset.splits["train"]] == [1, 0]
    assert ids(dataset.findings) == ["labels.empty"]


def changed_value(**changed: Any) -> dict[str, Any]:
    return region("x", "car", (20, 25, 60, 50), value={**CAR["value"], **changed})


@pytest.mark.parametrize(
    ("result", "kind"),
    [
        (changed_value(rotation=11.5), "labels.rotated"),
        (changed_value(rotation="x"), "labels.rotated"),
        (region("x", "car", (20, 25, 60, 50), image_rotation=90), "labels.rotated"),
        (changed_value(x=None), "labels.not_a_number"),
        (changed_value(x="20"), "labels.not_a_number"),
        (changed_value(width=10**400), "labels.not_finite"),
        (changed_value(width=-3), "labels.negative_size"),
        (changed_value(width=0), "labels.zero_size"),
        (changed_value(x=120), "boxes.outside"),
        (changed_value(rectanglelabels=[]), "labels.class"),
        (region("x", "car", (1, 1, 1, 1), value=3), "labels.fields"),
        ({"id": "x"}, "labels.fields"),
        ({"id": "x", "type": "polygonlabels", "value": {"points": [[1, 2]]}}, "labels.shape"),
        ({"id": "x", "type": "brushlabels", "value": {"rle": [1, 2]}}, "labels.shape"),
        (arrow(PLATE, {"id": "gone"}), "pairs.unknown_parent"),
        (arrow(PLATE, PLATE), "pairs.self"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_named(tmp_path: Path, result: dict[str, Any], kind: str) -> None:
    dataset = read(export(tmp_path, [task(annotated(PLATE, result))]))
    (sample,) = dataset.splits["train"]
    assert sample.labels.tolist() == [dataset.names.index("plate")] and sample.parents.tolist() == [UNSTATED]
    assert ids(dataset.findings) == [kind] and "task 1" in dataset.findings[0].message
    assert dataset.findings[0].severity == "error"


def test_two_parents_and_circles(tmp_path: Path) -> None:
    other = region("c2", "car", (10, 10, 80, 80))
    links = [arrow(PLATE, CAR), arrow(PLATE, other), arrow(PLATE, CAR)]
    dataset = read(export(tmp_path / "a", [task(annotated(PLATE, CAR, other, *links))]))
    assert dataset.splits["train"][0].parents.tolist() == [1, NO_PARENT, NO_PARENT]
    assert ids(dataset.findings) == ["pairs.repeated"]
    around = [arrow(CAR, other), arrow(other, CAR)]
    dataset = read(export(tmp_path / "b", [task(annotated(PLATE, CAR, other, *around))]))
    assert dataset.splits["train"][0].parents.tolist() == [NO_PARENT] * 3
    assert ids(dataset.findings) == ["pairs.circle"]


def test_what_else_is_said_of_regions_and_pictures(tmp_path: Path) -> None:
    box = {key: value for key, value in CAR["value"].items() if key != "rectanglelabels"}
    plain = {**CAR, "type": "rectangle", "value": box}
    said = [
        {"id": CAR["id"], "type": "labels", "from_name": "l", "value": {**box, "labels": ["car"]}},
        {"id": CAR["id"], "type": "textarea", "from_name": "text", "value": {**box, "text": ["京A"]}},
        {"id": CAR["id"], "type": "choices", "from_name": "colour", "value": {**box, "choices": ["red", "white"]}},
        {"id": "p", "type": "choices", "from_name": "light", "value": {"choices": ["night"]}},
    ]
    sample = read(export(tmp_path, [task(annotated(plain, *said))])).splits["train"][0]
    assert sample.boxes.tolist() == [[20, 20, 80, 60]]
    assert sample.box_attributes == [{"text": "京A", "colour": ["red", "white"]}]
    assert sample.attributes == {"light": "night"}


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/1/1f2e3d4c-a.png",
        "/data/local-files/?d=frames%2Fimages%2Fa.png",
        "s3://bucket/some/a.png",
        "https://example.com/x/a.png?token=1",
        "images/a.png",
        "file:///home/someone/a.png",
    ],
)
def test_the_picture_of_any_address_is_found_beside_the_file(tmp_path: Path, address: str) -> None:
    dataset = read(export(tmp_path, [task(annotated(CAR), data={"image": address})]))
    assert dataset.splits["train"][0].image == tmp_path / "images" / "a.png"


def test_pictures_are_not_looked_for_elsewhere(tmp_path: Path) -> None:
    secret = picture(tmp_path / "secret.png")
    tasks = [task(annotated(CAR), data={"image": address}) for address in (str(secret), "../secret.png", "b\x00.png")]
    dataset = read(export(tmp_path / "set", tasks))
    assert dataset.splits["train"] == []
    assert ids(dataset.findings) == ["picture.missing"] * 3 + ["split.empty"]


def test_splits_and_sizes(tmp_path: Path) -> None:
    tasks = [
        task(annotated(CAR), data={"image": "x/val/a.png"}),
        task(annotated(region("c", "car", (1, 1, 9, 9), original_width=50)), data={"image": "b.png", "split": "test"}),
    ]
    dataset = read(export(tmp_path, tasks, "a.png", "b.png"))
    assert {split: [s.image.name for s in own] for split, own in dataset.splits.items()} == {
        "val": ["a.png"],
        "test": ["b.png"],
    }
    assert ids(dataset.findings) == ["picture.size_mismatch"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "found an empty list"),
        ('[{"data": 3}]', "found no task with data"),
        ('[{"data": {"image": "a.png"}}', "no readable JSON"),
        ([{"image": "a.png", "annotator": 1, "label": [{"x": 1, "rectanglelabels": ["car"]}]}], "JSON-MIN loses"),
        ([task(annotated(changed_value(rotation=5)))], "not one rectangle can be used"),
        ([{"data": {"image": "a.txt"}, "annotations": []}], "not one rectangle can be used"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(export(tmp_path, content), format="labelstudio")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_coco_is_not_taken_for_it_nor_the_other_way_round(tmp_path: Path) -> None:
    assert read(coco_set(tmp_path / "coco")).format == "coco"
    assert read(export(tmp_path / "ls", [task(annotated(CAR))]).parent).format == "labelstudio"
    results = tmp_path / "results.json"
    results.write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]')
    with pytest.raises(InputError, match="give it to icr eval"):
        read(results)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for split in ("train", "val", "test"):
        for name, size in SIZES.items():
            picture(root / split / name, size)
    return root


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_round_trips_lose_nothing(data: st.DataObject, pictures: Path, tmp_path: Path) -> None:
    dataset = data.draw(annotated_datasets(pictures))
    out = tmp_path / "out"
    assert write(dataset, out, "labelstudio", images="link") == ()
    assert_same_set(dataset, read(out))
    shutil.rmtree(out)


def test_what_the_tool_is_given_and_what_comes_back(tmp_path: Path) -> None:
    """Written tasks, as the tool gives them back: ids of its own, uploaded names, a pair drawn anew, a file beside."""
    coco_set(tmp_path / "set")
    out = tmp_path / "tool"
    assert run(["data", "convert", str(tmp_path / "set"), "--to", "labelstudio", "--out", str(out)]) == 0
    (given,) = json.loads((out / "tasks.json").read_text())
    assert given["data"] == {"image": "/data/local-files/?d=images/train/a.png", "picture": "train/a.png"}
    plate, car, link = given["annotations"][0]["result"]
    assert plate["value"] == {
        "x": 45.0, "y": 47.5, "width": 10.0, "height": 5.0, "rotation": 0, "rectanglelabels": ["plate"]
    }  # fmt: skip
    assert link == {"type": "relation", "from_id": "box0", "to_id": "box1", "direction": "right", "labels": ["in"]}
    assert (out / "interface.xml").read_text().startswith("<View>")
    plate["id"], car["id"] = "aaaaaaaaaa", "bbbbbbbbbb"
    back = {**task(annotated(car, plate, arrow(car, plate, "left"))), "data": given["data"]}
    (out / "project-7.json").write_text(json.dumps([back]))
    dataset = read(out)
    assert dataset.names == ["plate", "car"] and dataset.category_ids == [3, 9]
    (sample,) = dataset.splits["train"]
    np.testing.assert_allclose(sample.boxes, [[20, 20, 80, 60], [45, 38, 55, 42]])
    assert sample.parents.tolist() == [NO_PARENT, 0] and sample.image.name == "a.png"
