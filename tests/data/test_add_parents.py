"""Parents from a detector: marked, not doubled, paired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icr.data import formats
from icr.data.add_parents import Added, Settings, add_parents, class_map, with_parent_classes
from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.errors import InputError
from icr.predictions import Predictions
from icr.relations import Relation, ResolvedRelation

RELATIONS = (ResolvedRelation(0, (1,)),)
CLASSES = {2: 1, 7: 1}
"""A COCO detector's car and truck as vehicles."""

PLATE = (45.0, 40.0, 55.0, 44.0)
CAR, WIDER, FAR = (20.0, 10.0, 80.0, 60.0), (5.0, 2.0, 98.0, 75.0), (0.0, 70.0, 20.0, 79.0)
DEFAULTS = Settings()
NAMES = ("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck")
Found = tuple[tuple[float, float, float, float], float, int]


class Fake:
    """A detector that finds the same in every picture."""

    def __init__(self, *found: Found) -> None:
        self.names = list(NAMES)
        self.found = sorted(found, key=lambda each: -each[1])
        self.asked: list[int] = []

    def predict(
        self, images: Sequence[Path | np.ndarray], *, imgsz: int | None = None, conf: float = 0.001, iou: float = 0.7,
        max_det: int = 300, batch: int = 16,
    ) -> Iterator[Predictions]:  # fmt: skip
        self.asked.append(len(images))
        for image in images:
            assert isinstance(image, np.ndarray) and image.shape == (80, 100, 3)
            yield Predictions(
                np.array([box for box, _, _ in self.found], np.float64).reshape(-1, 4),
                np.array([score for _, score, _ in self.found], np.float64),
                np.array([label for _, _, label in self.found], np.int64),
            )


def dataset(
    folder: Path,
    boxes: Sequence[Sequence[float]] = (PLATE,),
    labels: Sequence[int] = (0,),
    parents: Sequence[int] | None = None,
    count: int = 1,
) -> Dataset:
    samples = []
    for number in range(count):
        image = folder / f"{number}.png"
        Image.new("RGB", (100, 80)).save(image)
        placed = np.array(boxes, np.float64).reshape(-1, 4)
        stated = np.array([UNSTATED] * len(labels) if parents is None else parents, np.int64)
        samples.append(Sample(image, 100, 80, placed, np.array(labels, np.int64), stated))
    return Dataset(folder, "crpd", ["plate", "vehicle"], {"train": samples}, (Relation("plate", "vehicle"),))


def add(before: Dataset, *found: Found, settings: Settings = DEFAULTS, one_to_one: Sequence[int] = ()) -> Added:
    return add_parents(before, RELATIONS, Fake(*found), CLASSES, settings, one_to_one=one_to_one)


def test_a_parent_is_added_marked_and_paired(tmp_path: Path) -> None:
    before = dataset(tmp_path)
    added = add(before, (CAR, 0.91234, 2), (FAR, 0.6, 7), (WIDER, 0.4, 2), ((0, 0, 50, 50), 0.9, 0))
    sample = added.dataset.splits["train"][0]
    assert sample.boxes.tolist() == [list(PLATE), list(CAR), list(FAR)]
    assert sample.labels.tolist() == [0, 1, 1]
    assert sample.parents.tolist() == [1, NO_PARENT, NO_PARENT]
    assert sample.box_attributes == [
        {}, {"source": "machine", "score": 0.9123}, {"source": "machine", "score": 0.6}
    ]  # fmt: skip
    assert (added.boxes, added.pairs, added.by_machine, added.open) == ({"vehicle": 2}, 1, 1, 0)
    assert before.splits["train"][0].labels.tolist() == [0], "the set is left as it was"


def test_marks_survive_in_coco_and_are_said_to_be_lost_in_yolo(tmp_path: Path) -> None:
    added = add(dataset(tmp_path), (CAR, 0.9, 2))
    assert formats.write(added.dataset, tmp_path / "coco", "coco") == ()
    after = formats.read(tmp_path / "coco").splits["train"][0]
    assert after.box_attributes[1]["source"] == "machine" and after.box_attributes[1]["score"] == 0.9
    assert "source" not in after.box_attributes[0]
    assert after.parents.tolist() == [1, NO_PARENT]
    assert formats.write(added.dataset, tmp_path / "yolo", "yolo") == ("attributes: score, source",)


def test_only_holders_on_request(tmp_path: Path) -> None:
    added = add(dataset(tmp_path), (CAR, 0.9, 2), (FAR, 0.8, 2), settings=Settings(holding=True))
    assert added.boxes == {"vehicle": 1}


def test_boxes_that_are_there_are_not_doubled(tmp_path: Path) -> None:
    nearly = (21.0, 11.0, 81.0, 60.0)
    added = add(dataset(tmp_path, [PLATE, CAR], [0, 1]), (nearly, 0.9, 2))
    assert added.boxes == {"vehicle": 0} and added.pairs == 1 and added.by_machine == 0
    # A car that is a truck, too, for the detector is one vehicle: the surer.
    added = add(dataset(tmp_path), (CAR, 0.7, 7), (nearly, 0.9, 2))
    assert added.dataset.splits["train"][0].boxes[1:].tolist() == [list(nearly)]
    # A plate in the same place is no vehicle.
    assert add(dataset(tmp_path, [CAR], [0]), (CAR, 0.9, 2)).boxes == {"vehicle": 1}


def test_boxes_are_cut_off_at_the_edge(tmp_path: Path) -> None:
    added = add(dataset(tmp_path), ((-5.0, -9.0, 110.0, 90.0), 0.9, 2), ((100.2, 3.0, 120.0, 9.0), 0.9, 2))
    assert added.dataset.splits["train"][0].boxes[1:].tolist() == [[0, 0, 100, 80]]


def test_ambiguous_children_stay_open(tmp_path: Path) -> None:
    added = add(dataset(tmp_path, parents=[NO_PARENT]), (CAR, 0.9, 2), (WIDER, 0.8, 7))
    assert added.boxes == {"vehicle": 2} and (added.pairs, added.ambiguous, added.open) == (0, 1, 1)
    assert added.dataset.splits["train"][0].parents.tolist() == [UNSTATED, NO_PARENT, NO_PARENT]


def test_one_to_one(tmp_path: Path) -> None:
    other = (7.0, 40.0, 15.0, 44.0)
    found = (CAR, 0.9, 2), (WIDER, 0.8, 7)
    before = dataset(tmp_path, [PLATE, other], [0, 0])
    assert add(before, *found).ambiguous == 1
    added = add(before, *found, one_to_one=[0])
    assert added.dataset.splits["train"][0].parents.tolist() == [2, 3, NO_PARENT, NO_PARENT]


@pytest.mark.parametrize("said", [UNSTATED, NO_PARENT])
def test_children_outside_say_what_they_said(said: int, tmp_path: Path) -> None:
    added = add(dataset(tmp_path, parents=[said]), (FAR, 0.9, 2))
    assert added.dataset.splits["train"][0].parents.tolist() == [said, NO_PARENT]
    assert (added.pairs, added.open, added.ambiguous) == (0, 1, 0)


def test_containment(tmp_path: Path) -> None:
    half = (0.0, 0.0, 51.0, 60.0)  # six tenths of the plate
    assert add(dataset(tmp_path), (half, 0.9, 2)).pairs == 1
    added = add(dataset(tmp_path), (half, 0.9, 2), settings=Settings(inside=0.7))
    assert added.pairs == 0 and added.dataset.splits["train"][0].parents.tolist()[0] == UNSTATED
    assert add(dataset(tmp_path), (half, 0.9, 2), settings=Settings(inside=0.7, holding=True)).boxes == {"vehicle": 0}


def test_stated_pairs_stay(tmp_path: Path) -> None:
    before = dataset(tmp_path, [PLATE, WIDER], [0, 1], [1, NO_PARENT])
    added = add(before, (CAR, 0.9, 2))
    assert added.dataset.splits["train"][0].parents.tolist() == [1, NO_PARENT, NO_PARENT]
    assert added.pairs == 0 and added.boxes == {"vehicle": 1}


def test_pictures_that_cannot_be_read_are_kept_and_named(tmp_path: Path) -> None:
    before = dataset(tmp_path, count=20)
    (tmp_path / "3.png").write_bytes(b"no picture")
    fake = Fake((CAR, 0.9, 2))
    seen: list[tuple[int, int]] = []
    added = add_parents(before, RELATIONS, fake, CLASSES, progress=lambda done, total: seen.append((done, total)))
    assert fake.asked == [7, 8, 4], "a few pictures at a time"
    assert [len(each.labels) for each in added.dataset.splits["train"]] == [2] * 3 + [1] + [2] * 16
    assert len(added.unreadable) == 1 and "3.png" in added.unreadable[0]
    assert seen[-1] == (20, 20) and len(seen) == 20


def test_annotations_of_a_coco_set_keep_their_ids(tmp_path: Path, oid_car_plate: Path) -> None:
    before = formats.read(oid_car_plate, splits=["val"])
    before.splits["val"] = before.splits["val"][:2]

    class InCorner(Fake):
        def predict(self, images: Sequence[Path | np.ndarray], **options: object) -> Iterator[Predictions]:  # type: ignore[override]
            for _ in images:
                yield Predictions(np.array([[0.0, 0, 30, 30]]), np.array([0.9]), np.array([2]))

    car = before.names.index("car")
    relations = (ResolvedRelation(before.names.index("carplate"), (car,)),)
    added = add_parents(before, relations, InCorner(), {2: car})
    formats.write(added.dataset, tmp_path / "out", "coco", images="reference")
    after = formats.read(tmp_path / "out").splits["val"]
    for one, other in zip(before.splits["val"], after, strict=True):
        assert other.lines.tolist()[:-1] == one.lines.tolist()
    ids = np.concatenate([each.lines for each in after])
    assert len(set(ids.tolist())) == len(ids)


def test_class_map() -> None:
    assert class_map([], ["person", "Car"], {"car": 4}) == {1: 4}
    assert class_map(["car, bus=vehicle", "Truck = vehicle"], NAMES, {"vehicle": 1}) == {2: 1, 5: 1, 7: 1}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "the detector has no class vehicle; it has person, bicycle, .* as in --map person=vehicle"),
        (["car"], "expected detector classes = parent class"),
        (["=vehicle"], "expected detector classes = parent class"),
        (["car=vehicel"], "'vehicel' is no parent class .* did you mean 'vehicle'"),
        (["cra=vehicle"], "the detector has no class 'cra'; .* did you mean 'car'"),
        (["car=vehicle", "car=other"], "gives car of the detector to two classes"),
    ],
)
def test_maps_that_cannot_be_meant(given: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        class_map(given, NAMES, {"vehicle": 1, "other": 2} if given[1:] else {"vehicle": 1})


def test_new_classes_get_new_category_ids() -> None:
    before = Dataset(Path("d"), "coco", ["plate"], {}, category_ids=[7])
    made, new = with_parent_classes(before, [Relation("plate", ("vehicle", "0"))])
    assert (made.names, made.category_ids, new) == (["plate", "vehicle"], [7, 8], ["vehicle"])
    assert with_parent_classes(made, [Relation("plate", "vehicle")])[1] == []
