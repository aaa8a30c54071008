"""Round trips between the formats, and what Ultralytics is given to train on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_sets import CAR, PLATE, YAML, annotation, coco_content, coco_set, ids, picture, same_boxes, yolo_set

from icr.data.convert import prepare_yolo
from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.data.formats import read, write
from icr.errors import InputError
from icr.relations import Relation

SIZES = ((64, 48), (37, 91), (1280, 17))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of each of `SIZES`, three a split."""
    root = tmp_path_factory.mktemp("pictures")
    for index in range(3):
        for split in ("train", "val", "test"):
            picture(root / split / f"{index}.png", SIZES[index])
    return root


names = st.lists(
    st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs", "S")), min_size=1, max_size=12),
    min_size=2,
    max_size=4,
    unique=True,
)
side = st.floats(1e-3, 1)
attributes = st.dictionaries(
    st.sampled_from(["light", "video", "weather", "Straße"]),
    st.one_of(st.sampled_from(["day", "雨"]), st.integers(), st.lists(st.booleans(), max_size=2)),
)


@st.composite
def samples(draw: st.DrawFn, image: Path, size: tuple[int, int], classes: int) -> Sample:
    """A picture's boxes, some sticking out, with parents of every kind but circles."""
    count = draw(st.integers(0, 5))
    width, height = size
    boxes = []
    for _ in range(count):
        w, h = draw(side) * width, draw(side) * height
        x, y = draw(st.floats(-0.9, 0.9)) * w, draw(st.floats(-0.9, 0.9)) * h
        left, top = draw(st.sampled_from([x, max(x, 0.0), width - w])), draw(st.sampled_from([y, height - h]))
        boxes.append([left, top, left + w, top + h])
    parents = [draw(st.sampled_from([NO_PARENT, UNSTATED, *range(row)])) for row in range(count)]
    order = draw(st.permutations(range(count)))
    place = {old: new for new, old in enumerate(order)}
    return Sample(
        image,
        width,
        height,
        np.array([boxes[old] for old in order], np.float64).reshape(-1, 4),
        np.array([draw(st.integers(0, classes - 1)) for _ in order], np.int64),
        np.array([place[parents[old]] if parents[old] >= 0 else parents[old] for old in order], np.int64),
        attributes=draw(attributes),
    )


@st.composite
def datasets(draw: st.DrawFn, root: Path) -> Dataset:
    """A data set over the pictures of the fixture."""
    found = draw(names)
    splits = draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=1, max_size=3, unique=True))
    parent = st.one_of(st.sampled_from(found[1:]), st.lists(st.sampled_from(found[1:]), min_size=1, unique=True))
    relation = st.builds(Relation, st.just(found[0]), parent, st.floats(0, 10))
    return Dataset(
        root,
        "test",
        found,
        {
            split: [
                draw(samples(root / split / f"{index}.png", SIZES[index], len(found)))
                for index in draw(st.permutations(range(3)))[: draw(st.integers(1, 3))]
            ]
            for split in sorted(splits, key=["train", "val", "test"].index)
        },
        tuple(draw(st.lists(relation, max_size=1))),
        category_ids=draw(st.permutations(range(5, 5 + len(found)))),
    )


def assert_same(one: Dataset, other: Dataset) -> None:
    """Assert that nothing differs but where things lie."""
    assert other.names == one.names
    assert other.relations == one.relations
    assert other.category_ids == one.category_ids
    assert [each for each in other.findings if each.severity == "error"] == []
    assert list(other.splits) == list(one.splits)
    for split, expected in one.splits.items():
        by_name = {sample.image.name: sample for sample in other.splits[split]}
        assert len(by_name) == len(expected)
        for sample in expected:
            same_boxes(by_name[sample.image.name], sample)
            kept = {key: value for key, value in by_name[sample.image.name].attributes.items() if key != "image_id"}
            assert kept == sample.attributes


@pytest.mark.parametrize("way", [["yolo"], ["coco"], ["yolo", "coco", "yolo"], ["coco", "yolo", "coco"]])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_round_trips_lose_nothing(data: st.DataObject, way: list[str], pictures: Path, tmp_path: Path) -> None:
    dataset = data.draw(datasets(pictures))
    before = dataset
    for step, format in enumerate(way):
        out = tmp_path / str(step)
        assert write(before, out, format, images="link") == ()
        before = read(out)
        assert before.format == format
    assert_same(dataset, before)
    for each in tmp_path.iterdir():
        shutil.rmtree(each)


def test_what_yolo_cannot_hold_is_said(tmp_path: Path) -> None:
    marked = annotation(iscrowd=1, segmentation=[[1, 1, 2, 2, 3, 1]], text="x", area=3)
    dataset = read(coco_set(tmp_path / "a", coco_content(annotations=[marked])))
    said = write(dataset, tmp_path / "b", "yolo")
    assert said == (
        "1 outline (segmentation): only the boxes are written",
        "the crowd mark of 1 box: they become ordinary boxes",
        "attributes: text",
    )


class TestPrepare:
    """`prepare_yolo`: the data.yaml of a training run."""

    def prepare(self, source: Path, out: Path) -> tuple[Path, Dataset, list[str]]:
        said: list[str] = []
        file = prepare_yolo(read(source), out, say=said.append)
        return file, read(file), said

    def test_a_sound_yolo_set_is_used_where_it_lies(self, tmp_path: Path) -> None:
        yolo_set(tmp_path / "set", yaml=f"{YAML}pairs: order\ndownload: rm -rf /\n")
        file, prepared, said = self.prepare(tmp_path / "set", tmp_path / "run")
        assert file == tmp_path / "run" / "data.yaml" and said == []
        content = yaml.safe_load(file.read_text())
        assert content == {
            "path": str(tmp_path / "run" / "data"),
            "train": str(tmp_path / "run" / "data" / "train.txt"),
            "val": str(tmp_path / "run" / "data" / "val.txt"),
            "pairs": "order",
            "names": {0: "plate", 1: "car"},
            "relations": [{"child": "plate", "parent": "car", "weight": 2.5}],
        }
        sample = prepared.splits["train"][0]
        assert sample.image == tmp_path / "set" / "images" / "train" / "a.png"
        assert sample.parents.tolist() == [1, NO_PARENT]

    def test_coco_becomes_a_tree_of_links_with_pairs(self, tmp_path: Path) -> None:
        for name in ("train.json", "val.json"):
            coco_set(tmp_path / "set", name=name)
        _, prepared, said = self.prepare(tmp_path / "set", tmp_path / "run")
        assert len(said) == 1 and "the set is COCO" in said[0]
        sample = prepared.splits["train"][0]
        assert sample.image.is_symlink() and sample.image.resolve() == tmp_path / "set" / "images" / "a.png"
        same_boxes(sample, read(tmp_path / "set").splits["train"][0])

    def test_only_the_faulty_row_is_lost_not_its_picture(self, tmp_path: Path) -> None:
        rows = ["0 0.5 0.5 nan 0.1", "0 0.5 0.5 0.1 0.05", CAR, CAR, "1 0.95 0.5 0.2 0.5"]
        yolo_set(tmp_path / "set", {"a": rows, "b": [PLATE, CAR]})
        (tmp_path / "set/pairs/train").mkdir(parents=True)
        (tmp_path / "set/pairs/train/a.txt").write_text("1 3\n")
        _, prepared, said = self.prepare(tmp_path / "set", tmp_path / "run")
        first, second = prepared.splits["train"]
        assert first.labels.tolist() == [0, 1, 1] and second.labels.tolist() == [0, 1]
        assert first.parents.tolist() == [1, NO_PARENT, NO_PARENT], "the pair with the repeat moves to the first"
        assert first.boxes[2].tolist() == pytest.approx([85, 20, 100, 60])
        text = "\n".join(said)
        assert "Ultralytics would drop the whole picture (labels.not_finite)" in text
        assert "1 box repeating another" in text and "1 box sticking out" in text and "1 faulty row" in text
        assert (tmp_path / "set/labels/train/a.txt").read_text().startswith("0 0.5 0.5 nan"), "the set is untouched"

    def test_crowds_are_left_out(self, tmp_path: Path) -> None:
        crowd = annotation(id=12, category_id=9, bbox=[20, 20, 60, 40], iscrowd=1)
        for name in ("train.json", "val.json"):
            coco_set(tmp_path / "set", coco_content(annotations=[crowd, annotation(parent_id=12)]), name=name)
        _, prepared, said = self.prepare(tmp_path / "set", tmp_path / "run")
        assert prepared.splits["train"][0].parents.tolist() == [NO_PARENT]
        assert "1 box marked as a crowd" in said[1] or "2 boxes marked as a crowd" in said[1]

    @pytest.mark.parametrize(
        ("rows", "reason"),
        [
            (["1 1.005 0.5 0.2 0.5"], ""),
            (["1 1.05 0.5 0.2 0.5"], "boxes that stick out"),
            (["1 0.5 0.5 1.2 0.5"], "boxes that stick out"),
            ([CAR, CAR], "repeated rows"),
            (["1 0.1 0.1 0.9 0.1 0.9 0.9", CAR], "mix outlines and boxes"),
            (["1 7 7 0.1 0.1"], "boxes.outside"),
            (["5 0.5 0.5 0.1 0.1"], "labels.class"),
        ],
    )
    def test_why_a_yolo_set_is_written_anew(self, tmp_path: Path, rows: list[str], reason: str) -> None:
        yolo_set(tmp_path / "set", {"a": rows})
        file, _, said = self.prepare(tmp_path / "set", tmp_path / "run")
        assert reason in " ".join(said)
        assert yaml.safe_load(file.read_text())["train"].endswith("images/train" if reason else "train.txt")

    def test_pictures_that_ultralytics_would_rewrite_are_not_exposed(self, tmp_path: Path) -> None:
        yolo_set(tmp_path / "set", suffix=".jpg")
        file = tmp_path / "set/images/train/a.jpg"
        file.write_bytes(file.read_bytes()[:-2])
        _, prepared, said = self.prepare(tmp_path / "set", tmp_path / "run")
        assert "rewrite JPEG files" in said[0] and prepared.splits["train"][0].image.is_symlink()

    def test_train_and_val_are_needed(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="the val split has no usable picture; training needs train and val"):
            prepare_yolo(read(coco_set(tmp_path)), tmp_path / "run")

    def test_relations_may_be_given(self, tmp_path: Path) -> None:
        file = prepare_yolo(read(yolo_set(tmp_path / "set")), tmp_path / "run", relations=[Relation("car", "plate")])
        assert read(file).relations == (Relation("car", "plate"),)

    def test_twice_into_one_folder(self, tmp_path: Path) -> None:
        for name in ("train.json", "val.json"):
            coco_set(tmp_path / "set", name=name)
        for _ in range(2):
            _, prepared, _ = self.prepare(tmp_path / "set", tmp_path / "run")
        assert len(prepared.splits["train"]) == 1


BAD = (
    "0 nan 0.5 0.1 0.1", "0 0.5 0.5 -0.1 0.1", "7 0.5 0.5 0.1 0.1", "0 0.5", "0 0.5 0.5 0.1 0.1 0.9", "x y z",
    "0 1.2 0.5 0.5 0.1", "0 9 9 0.1 0.1", "1 0.1 0.1 0.9 0.1 0.9 0.9", "0 0.999 0.5 0.1 1.5", PLATE, PLATE,
)  # fmt: skip


@pytest.fixture
def prepared_from_bad(tmp_path: Path) -> Iterator[Path]:
    """The data.yaml prepared from a set in which every picture has one fault."""
    yolo_set(tmp_path / "set", {str(index): [row, PLATE, CAR] for index, row in enumerate(BAD)})
    yield prepare_yolo(read(tmp_path / "set"), tmp_path / "run")


def test_ultralytics_takes_every_picture(prepared_from_bad: Path) -> None:
    utils = pytest.importorskip("ultralytics.data.utils", reason="Ultralytics is not installed")
    dataset = read(prepared_from_bad)
    assert len(dataset.splits["train"]) == len(BAD)
    for sample in dataset.splits["train"]:
        found = utils.verify_image_label(
            (str(sample.image), str(sample.label_file), "", False, len(dataset.names), 0, 0, False)
        )
        assert found[-2] == 0 and found[-1] == "", found[-1]
        np.testing.assert_allclose(found[1], np.loadtxt(str(sample.label_file), ndmin=2), rtol=1e-6)
    assert ids(dataset.findings) == []
