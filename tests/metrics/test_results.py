"""COCO results files: read for COCO and for other data, written back, and refused in one line when malformed."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from random_sets import NAMES, make_random_set

from icr.data.dataset import Dataset, Finding, Sample
from icr.data.formats import read
from icr.errors import InputError
from icr.metrics.coco import coco_metrics
from icr.metrics.results import image_ids, read_results, write_results
from icr.predictions import Predictions

ENTRY = {"image_id": "a", "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.5}


def picture(path: str, **attributes) -> Sample:
    nothing = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
    return Sample(Path(path), 640, 480, *nothing, attributes=attributes)


def yolo(*paths: str, **others) -> Dataset:
    splits = {"val": [picture(path) for path in paths]}
    return Dataset(Path("data.yaml"), "yolo", ["plate", "vehicle"], splits, **others)


def coco(*ids: int) -> Dataset:
    splits = {"val": [picture(f"/d/{each}.jpg", image_id=each) for each in ids]}
    return Dataset(Path("val.json"), "coco", ["plate", "vehicle"], splits, category_ids=[3, 17])


def results_file(folder: Path, content) -> Path:
    path = folder / "results.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_coco_ids(tmp_path: Path) -> None:
    path = results_file(
        tmp_path,
        [
            ENTRY | {"image_id": 9, "category_id": 17, "score": 0.2},
            ENTRY | {"image_id": 9, "category_id": 3, "score": 0.9},
            ENTRY | {"image_id": 4.0, "category_id": 17.0},
        ],
    )
    results = read_results(path, coco(4, 9, 11), "val")
    assert [each.labels.tolist() for each in results.predictions] == [[1], [0, 1], []]
    assert results.predictions[1].scores.tolist() == [0.9, 0.2]
    assert results.predictions[0].boxes.tolist() == [[1, 2, 31, 42]]
    assert results.said == []


@pytest.mark.parametrize(
    "image_id",
    ["b", "b.jpg", "two/b", "two/b.jpg"],
)
def test_names_of_pictures(tmp_path: Path, image_id: str) -> None:
    path = results_file(tmp_path, [ENTRY | {"image_id": image_id}])
    results = read_results(path, yolo("/d/one/a.jpg", "/d/two/b.jpg"), "val")
    assert [len(each.labels) for each in results.predictions] == [0, 1]


def test_names_of_digits_may_be_whole_numbers(tmp_path: Path) -> None:
    # Ultralytics writes int("000139") for 000139.jpg.
    path = results_file(tmp_path, [ENTRY | {"image_id": 139}, ENTRY | {"image_id": "000140"}])
    results = read_results(path, yolo("/d/000139.jpg", "/d/000140.jpg"), "val")
    assert [len(each.labels) for each in results.predictions] == [1, 1]


def test_a_name_shared_by_two_pictures_needs_its_folder(tmp_path: Path) -> None:
    data = yolo("/d/one/a.jpg", "/d/two/a.jpg")
    assert image_ids(data.splits["val"]) == ["one/a", "two/a"]
    with pytest.raises(InputError, match="or more than one"):
        read_results(results_file(tmp_path, [ENTRY]), data, "val")
    results = read_results(results_file(tmp_path, [ENTRY | {"image_id": "two/a"}]), data, "val")
    assert [len(each.labels) for each in results.predictions] == [0, 1]


def test_categories_count_from_one_unless_the_file_uses_zero(tmp_path: Path) -> None:
    ones = read_results(results_file(tmp_path, [ENTRY | {"category_id": 2}]), yolo("/d/a.jpg"), "val")
    assert ones.predictions[0].labels.tolist() == [1]
    assert "1 plate, 2 vehicle" in ones.said[0]
    both = [ENTRY | {"category_id": 1}, ENTRY | {"category_id": 0}]
    zeros = read_results(results_file(tmp_path, both), yolo("/d/a.jpg"), "val")
    assert sorted(zeros.predictions[0].labels.tolist()) == [0, 1]
    assert "0 plate, 1 vehicle" in zeros.said[0]
    stated = read_results(
        results_file(tmp_path, [ENTRY | {"category_id": 0}]), yolo("/d/a.jpg", category_ids=[5, 0]), "val"
    )
    assert stated.predictions[0].labels.tolist() == [1] and stated.said == []


def test_other_splits_and_unusable_pictures_are_left_out_aloud(tmp_path: Path) -> None:
    data = yolo("/d/a.jpg")
    data.splits["train"] = [picture("/d/t.jpg")]
    data.findings.append(Finding("picture.missing", "error", "/d/gone.jpg", None, "there is no such picture"))
    path = results_file(tmp_path, [ENTRY, ENTRY | {"image_id": "t"}, ENTRY | {"image_id": "gone"}])
    results = read_results(path, data, "val")
    assert len(results.predictions[0].labels) == 1
    assert "2 of 3 detections are in pictures outside val and left out" in results.said[-1]
    with pytest.raises(InputError, match="no detection in a picture of val"):
        read_results(results_file(tmp_path, [ENTRY | {"image_id": "t"}]), data, "val")


def test_no_detection_at_all_is_a_result(tmp_path: Path) -> None:
    results = read_results(results_file(tmp_path, []), yolo("/d/a.jpg"), "val")
    assert len(results.predictions[0].labels) == 0
    assert "no detection at all" in results.said[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score": 1.5}, "entry 1: score 1.5; expected a number in 0..1"),
        ({"score": -0.1}, "score -0.1"),
        ({"score": float("nan")}, "score nan"),
        ({"score": "0.5"}, "score '0.5'"),
        ({"score": True}, "score True"),
        ({"bbox": [1, 2, 3]}, r"bbox \[1, 2, 3\]; expected four finite numbers"),
        ({"bbox": [1, 2, 3, float("inf")]}, "four finite numbers"),
        ({"bbox": [1, 2, 3, 10**400]}, "four finite numbers"),
        ({"bbox": [1, 2, -3, 4]}, "negative side"),
        ({"bbox": None}, "bbox None"),
        ({"image_id": "nowhere"}, "image_id 'nowhere' is no picture.*such as 'a'"),
        ({"image_id": ["a"]}, r"image_id \['a'\]"),
        ({"image_id": 7}, "image_id 7"),
        ({"category_id": 3}, "category_id 3 is unknown; the data has 1 plate, 2 vehicle"),
        ({"category_id": "plate"}, "category_id 'plate' is unknown"),
        ({"category_id": {}}, "category_id {} is unknown"),
    ],
)
def test_a_malformed_entry_is_named(tmp_path: Path, change, message: str) -> None:
    path = results_file(tmp_path, [ENTRY, ENTRY | change])
    with pytest.raises(InputError, match=message) as error:
        read_results(path, yolo("/d/a.jpg"), "val")
    assert "results.json, entry 1: " in str(error.value)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{nope", "line 1: not JSON"),
        ("", "line 1: not JSON"),
        ("[" * 100_000, "not JSON"),
        ("3", "holds a int; expected a list"),
        ({"images": [], "annotations": []}, "is a COCO data set"),
        ([ENTRY, 5], "entry 1: found int 5"),
        ([{key: value for key, value in ENTRY.items() if key != "score"} | {"scores": 1}], "entry 0: score is missing"),
        ([ENTRY, {}], "entry 1: image_id is missing"),
    ],
)
def test_a_file_that_is_no_results(tmp_path: Path, content, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_results(results_file(tmp_path, content), yolo("/d/a.jpg"), "val")
    assert "\n" not in str(error.value)


def test_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_results(tmp_path / "none.json", yolo("/d/a.jpg"), "val")
    path = tmp_path / "bytes.json"
    path.write_bytes(b"\xff\xfe\x00[")
    with pytest.raises(InputError, match="not JSON"):
        read_results(path, yolo("/d/a.jpg"), "val")


@pytest.mark.parametrize("ids", [True, False])
def test_what_is_written_is_read_back(tmp_path: Path, ids: bool) -> None:
    samples, predictions = make_random_set(2)
    for index, sample in enumerate(samples):
        sample.attributes = {"image_id": 100 - index} if ids else {}
    data = Dataset(Path("d"), "coco" if ids else "yolo", NAMES, {"val": samples}, category_ids=[8, 2, 4] if ids else [])
    path = tmp_path / "out.json"
    write_results(path, data, "val", predictions)
    again = read_results(path, data, "val").predictions
    for before, after in zip(predictions, again, strict=True):
        np.testing.assert_allclose(after.boxes, before.boxes, atol=1e-9)
        np.testing.assert_array_equal(after.scores, before.scores)
        np.testing.assert_array_equal(after.labels, before.labels)
    with pytest.raises(InputError, match="nothing is written over"):
        write_results(path, data, "val", predictions)
    assert list(tmp_path.iterdir()) == [path]


def test_one_prediction_for_each_picture(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_results(tmp_path / "out.json", yolo("/d/a.jpg"), "val", [])
    nowhere = Predictions(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))
    with pytest.raises(InputError, match="cannot be written"):
        write_results(tmp_path / "no" / "out.json", yolo("/d/a.jpg"), "val", [nowhere])


def noisy_results(annotations: list[dict], rng: np.random.Generator) -> list[dict]:
    found = []
    for each in annotations:
        x, y, width, height = each["bbox"]
        for spread in (0.05, 0.4):
            move = rng.normal(0, spread, 2) * (width, height)
            found.append(
                {
                    "image_id": each["image_id"],
                    "category_id": each["category_id"],
                    "bbox": [x + move[0], y + move[1], width, height],
                    "score": float(rng.random()),
                }
            )
    return found


def test_real_pictures_equal_pycocotools_on_the_same_files(oid_car_plate: Path, tmp_path: Path) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    labels = oid_car_plate / "val.json"
    annotations = json.loads(labels.read_text())["annotations"]
    path = results_file(tmp_path, noisy_results(annotations, np.random.default_rng(0)))
    data = read(oid_car_plate)
    samples = data.splits["val"]
    ours = coco_metrics(samples, data.names, read_results(path, data, "val").predictions).classes
    with contextlib.redirect_stdout(io.StringIO()):
        ground = COCO(str(labels))
        theirs = COCOeval(ground, ground.loadRes(str(path)), "bbox")
        for label, category in enumerate(data.category_ids):
            theirs.params.catIds = [category]
            theirs.evaluate()
            theirs.accumulate()
            theirs.summarize()
            got = [ours[label][metric] for metric in ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR")]
            assert got == pytest.approx([*theirs.stats[:6], theirs.stats[8]], abs=1e-9)
