"""Round trips through the forms of other libraries: boxes, classes and pairs come back.

Each library's tests skip by its name where it is absent.
"""

from __future__ import annotations

import gc
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.errors import InputError
from icr.predictions import Predictions
from icr.relations import Relation

NAMES = ["plate", "vehicle", "车"]
SIZE = 640, 480


@st.composite
def samples(draw: st.DrawFn, name: str = "a.jpg") -> Sample:
    """Any boxes of a picture, any pairs among them."""
    number = draw(st.integers(0, 6))
    corner = st.tuples(st.floats(0, 500), st.floats(0, 400), st.floats(0.5, 100), st.floats(0.5, 80))
    rows = draw(st.lists(corner, min_size=number, max_size=number))
    boxes = np.array([(x, y, x + wide, y + high) for x, y, wide, high in rows]).reshape(-1, 4)
    labels = np.array(draw(st.lists(st.integers(0, 2), min_size=number, max_size=number)), np.int64)
    choices = [
        st.sampled_from([UNSTATED, NO_PARENT, *(each for each in range(number) if each != own)])
        for own in range(number)
    ]
    parents = np.array([draw(each) for each in choices], np.int64)
    told = draw(st.booleans())
    return Sample(
        Path("/pictures") / name,
        *SIZE,
        boxes,
        labels,
        parents,
        lines=np.arange(1, number + 1) * 3 if told else np.zeros(0, np.int64),
        attributes={"light": "night", "track": 7} if told else {},
        box_attributes=[{"text": f"京A{each}"} for each in range(number)] if told else [],
    )


def _same(one: Sample, other: Sample) -> None:
    assert np.allclose(one.boxes, other.boxes, rtol=0, atol=1e-9)
    assert one.labels.tolist() == other.labels.tolist()
    assert one.parents.tolist() == other.parents.tolist()
    assert one.box_attributes == other.box_attributes
    assert (one.image, one.width, one.height) == (other.image, other.width, other.height)
    assert one.boxes.dtype == other.boxes.dtype and other.labels.dtype == other.parents.dtype == np.int64


def _paired(image: Path = Path("a.jpg")) -> Sample:
    boxes = np.array([[70.0, 80, 100, 96], [40, 30, 140, 110], [300, 30, 400, 110]])
    return Sample(image, *SIZE, boxes, np.array([0, 1, 1]), np.array([1, NO_PARENT, UNSTATED]))


class TestSupervision:
    @pytest.fixture(autouse=True)
    def _needed(self) -> None:
        pytest.importorskip("supervision")

    @settings(max_examples=60, deadline=None)
    @given(sample=samples())
    def test_a_picture_there_and_back(self, sample: Sample) -> None:
        from icr.interchange.supervision import from_detections, to_detections

        back = from_detections(to_detections(sample, NAMES), sample.image, SIZE)
        _same(sample, back)
        assert back.lines.tolist() == sample.lines.tolist()

    def test_names_stand_where_supervision_looks_for_them(self) -> None:
        from icr.interchange.supervision import to_detections

        assert to_detections(_paired(), NAMES).data["class_name"].tolist() == ["plate", "vehicle", "vehicle"]

    def test_pairs_outlive_sorting_and_filtering(self) -> None:
        from icr.interchange.supervision import from_detections, to_detections

        found = to_detections(_paired(), NAMES)
        turned = from_detections(found[np.array([2, 1, 0])], Path("a.jpg"), SIZE)
        assert turned.parents.tolist() == [UNSTATED, NO_PARENT, 1]
        without_third = from_detections(found[np.array([True, True, False])], Path("a.jpg"), SIZE)
        assert without_third.parents.tolist() == [1, NO_PARENT]
        # The parent is gone, so there is none in what is left.
        plates = from_detections(found[found.class_id == 0], Path("a.jpg"), SIZE)
        assert plates.parents.tolist() == [NO_PARENT]

    def test_detections_of_others_say_nothing_of_pairs(self) -> None:
        import supervision

        from icr.interchange.supervision import from_detections

        bare = supervision.Detections(xyxy=np.array([[1.0, 2, 3, 4]], np.float32), class_id=np.array([1]))
        assert from_detections(bare, Path("a.jpg"), SIZE).parents.tolist() == [UNSTATED]
        rows = supervision.Detections(
            xyxy=np.zeros((3, 4)), class_id=np.zeros(3, int), data={"parent_id": [2.0, -1.0, 2.0]}
        )
        # Without numbers of their own, rows count; a box is not its own parent.
        assert from_detections(rows, Path("a.jpg"), SIZE).parents.tolist() == [2, NO_PARENT, NO_PARENT]
        empty = from_detections(supervision.Detections.empty(), Path("a.jpg"), SIZE)
        assert empty.boxes.shape == (0, 4) and empty.labels.shape == (0,)

    def test_what_cannot_be_told_apart_is_refused(self) -> None:
        import supervision

        from icr.interchange.supervision import from_detections, predictions_from_detections, to_detections

        joined = supervision.Detections.merge([to_detections(_paired(), NAMES)] * 2)
        with pytest.raises(InputError, match="box_id 0 stands twice"):
            from_detections(joined, Path("a.jpg"), SIZE)
        nameless = supervision.Detections(xyxy=np.zeros((1, 4)))
        with pytest.raises(InputError, match="no class_id"):
            from_detections(nameless, Path("a.jpg"), SIZE)
        with pytest.raises(InputError, match="no confidence"):
            predictions_from_detections(to_detections(_paired(), NAMES))
        odd = supervision.Detections(xyxy=np.zeros((1, 4)), class_id=np.zeros(1, int), data={"parent_id": ["x"]})
        with pytest.raises(InputError, match="something else than whole numbers"):
            from_detections(odd, Path("a.jpg"), SIZE)

    def test_predictions_there_and_back_best_first(self) -> None:
        from icr.interchange.supervision import predictions_from_detections, predictions_to_detections

        sample = _paired()
        found = Predictions(sample.boxes, np.array([0.9, 0.8, 0.3]), sample.labels)
        detections = predictions_to_detections(found, NAMES, np.array([1, -1, -1]))
        back, parents = predictions_from_detections(detections)
        assert np.array_equal(back.boxes, found.boxes) and np.array_equal(back.scores, found.scores)
        assert back.labels.tolist() == [0, 1, 1] and parents.tolist() == [1, -1, -1]
        shuffled, parents = predictions_from_detections(detections[np.array([2, 0, 1])])
        assert shuffled.scores.tolist() == [0.9, 0.8, 0.3] and parents.tolist() == [1, -1, -1]
        _, unsaid = predictions_from_detections(predictions_to_detections(found, NAMES))
        assert unsaid.tolist() == [UNSTATED] * 3

    def test_a_whole_split_there_and_back(self, tmp_path: Path) -> None:
        from icr.interchange.supervision import from_detection_dataset, to_detection_dataset

        for name in ("a.png", "b.png"):
            Image.new("RGB", SIZE).save(tmp_path / name)
        kept = Dataset(tmp_path, "yolo", NAMES, {"val": [_paired(tmp_path / "a.png"), _paired(tmp_path / "b.png")]})
        back = from_detection_dataset(to_detection_dataset(kept, "val"), split="val")
        assert back.names == NAMES and not back.findings and len(back.splits["val"]) == 2
        for one, other in zip(kept.splits["val"], back.splits["val"], strict=True):
            _same(one, other)
        with pytest.raises(InputError, match="no split 'test'; the data set has val"):
            to_detection_dataset(kept, "test")
        twice = Dataset(tmp_path, "yolo", NAMES, {"val": [_paired(tmp_path / "a.png")] * 2})
        with pytest.raises(InputError, match="stands twice in val"):
            to_detection_dataset(twice, "val")

    def test_pictures_that_are_gone_are_findings(self, tmp_path: Path) -> None:
        from icr.interchange.supervision import from_detection_dataset, to_detection_dataset

        gone = Dataset(tmp_path, "yolo", NAMES, {"train": [_paired(tmp_path / "a.png")]})
        back = from_detection_dataset(to_detection_dataset(gone, "train"))
        assert [each.id for each in back.findings] == ["picture.missing"]
        assert back.splits["train"][0].width == 0


class TestFiftyOne:
    """On samples in memory, and in a `fiftyone.Dataset` where FIFTYONE_DATABASE_URI names its database."""

    @pytest.fixture(autouse=True)
    def _needed(self) -> None:
        pytest.importorskip("fiftyone")

    @settings(max_examples=30, deadline=None)
    @given(several=st.lists(samples(), max_size=2), one=samples("b.jpg"))
    def test_a_data_set_there_and_back(self, several: list[Sample], one: Sample) -> None:
        from icr.interchange.fiftyone import from_samples, to_samples

        kept = Dataset(Path("x"), "yolo", NAMES, {"train": several, "val": [one]})
        made = to_samples(kept)
        # As it is stored, and as a copy, whose ids are others.
        for stored in ([type(each).from_dict(each.to_dict()) for each in made], [each.copy() for each in made]):
            back = from_samples(stored, NAMES)
            assert list(back.splits) == [split for split, held in kept.splits.items() if held]
            for split, held in back.splits.items():
                for before, after in zip(kept.splits[split], held, strict=True):
                    _same(before, after)
                    assert before.attributes == after.attributes

    def test_a_child_shares_an_instance_with_its_parent_and_a_chain_has_one(self) -> None:
        from icr.interchange.fiftyone import to_samples

        boxes = np.array([[10.0, 10, 20, 20]] * 6)
        parents = np.array([1, 2, NO_PARENT, 4, NO_PARENT, UNSTATED])
        sample = Sample(Path("a.jpg"), *SIZE, boxes, np.array([0, 1, 2, 0, 1, 0]), parents)
        labels = to_samples(Dataset(Path("x"), "yolo", NAMES, {"train": [sample]}))[0].ground_truth.detections
        instances = [str(each.instance.id) if each.has_field("instance") else None for each in labels]
        assert instances[0] == instances[1] == instances[2] and instances[3] == instances[4]
        assert len({instances[0], instances[3], instances[5]}) == 3 and instances[5] is None

    def test_what_was_deleted_or_drawn_by_hand(self, tmp_path: Path) -> None:
        import fiftyone

        from icr.interchange.fiftyone import from_samples, to_samples

        kept = Dataset(Path("x"), "yolo", NAMES, {"train": [_paired()]})
        (made,) = to_samples(kept)
        del made.ground_truth.detections[1]
        made.ground_truth.detections.append(fiftyone.Detection(label="plate", bounding_box=[0, 0, 0.5, 0.5]))
        (sample,) = from_samples([made], NAMES).splits["train"]
        assert sample.parents.tolist() == [NO_PARENT, UNSTATED, UNSTATED]
        assert sample.boxes[2].tolist() == [0, 0, 320, 240]
        made.ground_truth.detections.append(fiftyone.Detection(label="plate", bounding_box=[0, 0, 1, 1], box_id=0))
        with pytest.raises(InputError, match="box_id 0 stands twice"):
            from_samples([made], NAMES)
        with pytest.raises(InputError, match="label 'plate' is none of the names: vehicle"):
            from_samples(to_samples(kept), ["vehicle"])
        assert from_samples(to_samples(kept)).names == ["plate", "vehicle"]
        bare = fiftyone.Sample(filepath=str(tmp_path / "gone.jpg"))
        assert [each.id for each in from_samples([bare]).findings] == ["picture.missing"]
        unknown = Dataset(Path("x"), "yolo", NAMES, {"train": [_paired()]})
        unknown.splits["train"][0].width = 0
        with pytest.raises(InputError, match="its size is not known"):
            to_samples(unknown)

    @pytest.mark.skipif(
        "FIFTYONE_DATABASE_URI" not in os.environ, reason="FIFTYONE_DATABASE_URI names no database for 'fiftyone'"
    )
    def test_in_a_database(self, tmp_path: Path) -> None:
        import fiftyone

        from icr.interchange.fiftyone import from_samples, to_samples

        boxes = np.array([[10.0 + row, 10.5, 60 + 7 * row, 50.25] for row in range(6)])
        parents = np.array([1, 2, NO_PARENT, 4, NO_PARENT, UNSTATED])
        told = {"text": "京A1", "segmentation": [[1.0, 2, 3]], "deep": {"of.it": [1, {"b": None}]}}
        one = Sample(
            Path("/pictures/空 a.jpg"),
            *SIZE,
            boxes,
            np.array([0, 1, 2, 0, 1, 0]),
            parents,
            attributes={"light": "night", "tags": ["rain"]},
            box_attributes=[told, {"flag": True, "score": 0.5}, {}, {}, {}, {}],
        )
        kept = Dataset(Path("x"), "yolo", NAMES, {"train": [one], "val": [_paired(Path("/pictures/b.jpg"))]})
        name = f"icr-{tmp_path.parent.parent.name}-{tmp_path.parent.name}"
        made = fiftyone.Dataset(name, overwrite=True)
        names = [name, f"{name}-clone", f"{name}-read"]
        try:
            made.add_samples(to_samples(kept), progress=False)
            made.export(str(tmp_path / "out"), fiftyone.types.FiftyOneDataset, export_media=False, progress=False)
            read = fiftyone.Dataset.from_dir(
                str(tmp_path / "out"), fiftyone.types.FiftyOneDataset, name=names[2], progress=False
            )
            for held in (made, fiftyone.load_dataset(name), made.clone(names[1]), read):
                back = from_samples(held, NAMES)
                assert list(back.splits) == ["train", "val"]
                for split, (sample,) in back.splits.items():
                    _same(kept.splits[split][0], sample)
                    assert sample.attributes == kept.splits[split][0].attributes
                gc.collect()
                back.splits["train"][0].attributes["tags"].append("fog")
                back.splits["train"][0].box_attributes[0]["deep"]["of.it"].append(2)
            plates = made.filter_labels("ground_truth", fiftyone.ViewField("label") == "plate")
            assert from_samples(plates, NAMES).splits["train"][0].parents.tolist() == [NO_PARENT, NO_PARENT, UNSTATED]
            sample = made.match_tags("val").first()
            del sample.ground_truth.detections[0]
            sample.save()
            assert from_samples(made, NAMES).splits["val"][0].parents.tolist() == [NO_PARENT, UNSTATED]
        finally:
            for each in names:
                if fiftyone.dataset_exists(each):
                    fiftyone.delete_dataset(each)


class TestHuggingFace:
    @pytest.fixture(autouse=True)
    def _needed(self) -> None:
        pytest.importorskip("datasets")

    @settings(max_examples=15, deadline=None)
    @given(several=st.lists(samples(), min_size=1, max_size=3), one=samples("b.jpg"))
    def test_a_data_set_there_and_back(self, several: list[Sample], one: Sample) -> None:
        from icr.interchange.huggingface import from_huggingface, to_huggingface

        relations = (Relation("plate", ("vehicle", "车"), 1.5), Relation(1, 2))
        kept = Dataset(Path("x"), "yolo", NAMES, {"train": several, "val": [one], "test": []}, relations)
        back = from_huggingface(to_huggingface(kept))
        assert (back.names, back.relations, list(back.splits)) == (NAMES, relations, ["train", "val", "test"])
        assert not back.findings
        told = any(each.box_attributes for each in [*several, one])
        for split in kept.splits:
            assert len(back.splits[split]) == len(kept.splits[split])
            for before, after in zip(kept.splits[split], back.splits[split], strict=True):
                if told and not before.box_attributes:
                    assert after.box_attributes == [{}] * len(after.labels)
                    after.box_attributes = []
                _same(before, after)
                assert before.attributes == after.attributes

    def test_the_layout_is_the_usual_one(self, tmp_path: Path) -> None:
        from icr.interchange.huggingface import to_huggingface

        Image.new("RGB", SIZE, "red").save(tmp_path / "a.png")
        made = to_huggingface(Dataset(tmp_path, "yolo", NAMES, {"train": [_paired(tmp_path / "a.png")]}))["train"]
        row = made[0]
        assert row["image"].size == SIZE and (row["width"], row["height"], row["image_id"]) == (*SIZE, 0)
        assert row["objects"]["bbox"][0] == [70, 80, 30, 16] and row["objects"]["area"][0] == 480
        assert row["objects"]["category"] == [0, 1, 1] and row["objects"]["parent"] == [1, -1, -2]
        assert "attributes" not in row

    def test_pictures_within_the_set_go_to_a_new_folder(self, tmp_path: Path) -> None:
        import datasets

        from icr.interchange.huggingface import from_huggingface, to_huggingface

        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        for folder, colour in (("one", "red"), ("two", "blue")):
            Image.new("RGB", SIZE, colour).save(tmp_path / folder / "a.png")
        files = [tmp_path / "one" / "a.png", tmp_path / "two" / "a.png"]
        kept = Dataset(tmp_path, "yolo", NAMES, {"train": [_paired(each) for each in files]})
        given = to_huggingface(kept)["train"].remove_columns(["width", "height"])
        held = [{"bytes": each.read_bytes(), "path": "../../a.png"} for each in files]
        columns = {"image": held, "objects": [row["objects"] for row in given]}
        stored = datasets.Dataset.from_dict(columns, features=given.select_columns(["image", "objects"]).features)
        with pytest.raises(InputError, match=r"train\[0\] lies within the set .*images=Path"):
            from_huggingface(stored)
        back = from_huggingface(stored, images=tmp_path / "new")
        first, second = back.splits["train"]
        assert (first.image, second.image) == (tmp_path / "new/train/a.png", tmp_path / "new/train/a-1.png")
        assert [each.image.read_bytes() for each in (first, second)] == [each.read_bytes() for each in files]
        assert (first.width, first.height) == SIZE and first.parents.tolist() == [1, -1, -2]
        assert sorted(each.name for each in tmp_path.iterdir()) == ["new", "one", "two"]
        with pytest.raises(InputError, match="is not empty; nothing is written over"):
            from_huggingface(stored, images=tmp_path / "new")

    def test_sets_of_others(self) -> None:
        import datasets

        from icr.interchange.huggingface import from_huggingface

        rows = [
            {
                "image": "a.jpg",
                "width": 640,
                "height": 480,
                "objects": [{"bbox": [1.0, 2.0, 11.0, 12.0], "category": "vehicle"}],
            }
        ]
        features = datasets.Features(
            {
                "image": datasets.Image(),
                "width": datasets.Value("int32"),
                "height": datasets.Value("int32"),
                "objects": [
                    {"bbox": datasets.Sequence(datasets.Value("float32")), "category": datasets.Value("string")}
                ],
            }
        )
        other = datasets.Dataset.from_list(rows, features=features)
        with pytest.raises(InputError, match="no ClassLabel with names"):
            from_huggingface(other)
        back = from_huggingface(other, names=NAMES, box_format="xyxy")
        sample = back.splits["train"][0]
        assert sample.boxes.tolist() == [[1, 2, 11, 12]] and sample.labels.tolist() == [1]
        assert sample.parents.tolist() == [UNSTATED]
        with pytest.raises(InputError, match="split train has no column objects, but image"):
            from_huggingface(other.remove_columns("objects"))

    def test_what_cannot_be_used_is_a_finding_and_pairs_move_up(self) -> None:
        from icr.interchange.huggingface import from_huggingface, to_huggingface

        sample = _paired()
        given = to_huggingface(Dataset(Path("x"), "yolo", NAMES, {"train": [sample]}))["train"]

        def spoilt(row: dict[str, Any]) -> dict[str, Any]:
            objects = row["objects"]
            boxes = [[1.0, 1, 0, 5], *objects["bbox"], [1, 1, float("nan"), 5], [1, 1, -2, 5]]
            parents = [-1, 2, -1, 7, -1, -1]
            return {"objects": {**objects, "bbox": boxes, "category": [0, 0, 1, 0, 0, 0], "parent": parents}}

        back = from_huggingface(given.map(spoilt))
        kept = back.splits["train"][0]
        assert np.array_equal(kept.boxes, sample.boxes) and kept.parents.tolist() == [1, -1, -1]
        assert [each.id for each in back.findings] == [
            "labels.zero_size",
            "labels.not_finite",
            "labels.negative_size",
            "pairs.unknown_parent",
        ]
        assert "train[0], object 3: its parent 7" in back.findings[-1].message

    def test_saved_to_disk_and_loaded(self, tmp_path: Path) -> None:
        import datasets

        from icr.interchange.huggingface import from_huggingface, to_huggingface

        Image.new("RGB", SIZE, "red").save(tmp_path / "a.png")
        relation = Relation("plate", "vehicle")
        kept = Dataset(tmp_path, "yolo", NAMES, {"train": [_paired(tmp_path / "a.png")]}, (relation,))
        to_huggingface(kept).save_to_disk(tmp_path / "saved")
        back = from_huggingface(datasets.load_from_disk(tmp_path / "saved"), images=tmp_path / "pictures")
        _, after = kept.splits["train"][0], back.splits["train"][0]
        assert back.relations == (relation,) and after.parents.tolist() == [1, -1, -2]
        assert Image.open(after.image).size == SIZE
        assert json.loads(json.dumps(after.boxes.tolist())) == kept.splits["train"][0].boxes.tolist()
