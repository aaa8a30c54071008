"""Splits: a partition, no group in two parts, the same for the same seed, alike in light and sizes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from icr.data import formats
from icr.data.dataset import UNSTATED, Dataset, Sample
from icr.data.dealing import arrange, arrange_exactly
from icr.data.grouping import group, samples_of
from icr.data.split import Parts, Split, parse_parts, split, told, write_lists
from icr.errors import InputError
from icr.relations import ResolvedRelation

RELATIONS = (ResolvedRelation(0, (1,)),)
RATIOS = parse_parts("0.8,0.1,0.1", "--ratios", False)


def sample(name: str, sides: Sequence[float] = (), **attributes: Any) -> Sample:
    """A picture with a plate of each of these sides, and one car."""
    boxes = np.array([[0, 0, side, side] for side in (*sides, 300.0)], np.float64)
    labels = np.array([0] * len(sides) + [1], np.int64)
    path = Path("/d") / name
    return Sample(path, 640, 480, boxes, labels, np.full(len(labels), UNSTATED), attributes=attributes)


def dataset(*samples: Sample, **splits: list[Sample]) -> Dataset:
    return Dataset(Path("/d"), "yolo", ["plate", "car"], splits or {"train": list(samples)})


def videos(count: int, frames: int = 5, seed: int = 0) -> Dataset:
    """Videos by day or night, of plates of one size each."""
    draw = random.Random(seed)
    made = []
    for video in range(count):
        light, side = draw.choice(["day", "night"]), draw.choice([10, 50, 200])
        for frame in range(draw.randint(1, frames)):
            made.append(sample(f"v{video}_{frame}.jpg", [side], video=f"v{video}", light=light))
    return dataset(*made)


def homes(made: Split) -> dict[str, str]:
    """The part of each picture."""
    return {each.image.name: part for part, samples in made.dataset.splits.items() for each in samples}


def split_(before: Dataset, parts: Parts = RATIOS, by: str | None = None, **options: Any) -> Split:
    return split(before, group(before, by), parts, relations=RELATIONS, **options)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 30), st.integers(1, 8), st.integers(0, 99), st.sampled_from(["8,1,1", "1,1", "0.5,0.3,0.2"]))
def test_a_split_is_a_partition_of_whole_groups(count: int, frames: int, seed: int, ratios: str) -> None:
    before = videos(count, frames, seed)
    parts = parse_parts(ratios, "--ratios", False)
    made = split_(before, parts, seed=seed)
    found = [each.image for samples in made.dataset.splits.values() for each in samples]
    assert sorted(found) == sorted(each.image for each in samples_of(before)), "each picture once, none lost"
    assert list(made.dataset.splits) == list(parts.sizes) and all(made.dataset.splits.values())
    parts_of: dict[str, set[str]] = {}
    for part, samples in made.dataset.splits.items():
        for each in samples:
            parts_of.setdefault(each.attributes["video"], set()).add(part)
    assert all(len(each) == 1 for each in parts_of.values()), "no video in two parts"
    assert {part: set(keys) for part, keys in made.groups.items()} == {
        part: {each.attributes["video"] for each in samples} for part, samples in made.dataset.splits.items()
    }
    again = split_(videos(count, frames, seed), parts, seed=seed)
    assert homes(again) == homes(made), "the same seed, the same split"
    assert made.left_out == 0


def test_another_seed_another_split() -> None:
    found = {tuple(sorted(homes(split_(videos(40), seed=seed)).items())) for seed in range(5)}
    assert len(found) == 5


def test_the_split_that_was_does_not_matter() -> None:
    before = videos(20)
    samples = samples_of(before)
    other = dataset(val=samples[10:], train=samples[:10])
    assert homes(split_(before)) == homes(split_(other))


def test_single_pictures_meet_their_ratios_exactly() -> None:
    made = split_(dataset(*(sample(f"{number}.jpg", light="day") for number in range(103))), by="picture")
    assert [table["pictures"] for table in made.table.values()] == [83, 10, 10]


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_alike_in_light_and_size(seed: int) -> None:
    made = split_(videos(200, 5, seed), seed=seed)
    whole = Counter[str]()
    for table in made.table.values():
        whole.update(table)
    for part, table in made.table.items():
        share = RATIOS.sizes[part]
        for column in ("pictures", "day", "night", "small", "medium", "large"):
            assert abs(table[column] - share * whole[column]) <= max(2, 0.05 * share * whole[column]), (part, column)


def test_what_is_not_asked_for_is_not_balanced() -> None:
    made = split_(videos(30), stratify=["size"])
    assert all(table["day"] == table["night"] == 0 and table["small"] for table in made.table.values())
    assert "small" not in told(split_(videos(30), stratify=[]))


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 25), st.integers(0, 50), st.data())
def test_exact_numbers(count: int, seed: int, data: st.DataObject) -> None:
    before = videos(count, 6, seed)
    total = len(samples_of(before))
    wanted = [data.draw(st.integers(1, max(1, total // 4))) for _ in range(3)]
    try:
        made = split_(before, Parts(dict(zip(("train", "val", "test"), wanted, strict=True)), True), seed=seed)
    except InputError as error:
        assert "cannot be dealt out whole" in str(error) or "there are" in str(error)
        assert count < 8 or sum(wanted) > total, "many small videos can always be dealt out to three quarters"
        return
    assert [len(samples) for samples in made.dataset.splits.values()] == wanted
    assert made.left_out == total - sum(wanted)
    seen = [{each.attributes["video"] for each in samples} for samples in made.dataset.splits.values()]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


def test_the_papers_numbers() -> None:
    before = dataset(*(sample(f"{v}_{f}.jpg", [20], video=str(v), light="day") for v in range(50) for f in range(70)))
    made = split_(before, parse_parts("2400,300,300", "--counts", True))
    assert [len(samples) for samples in made.dataset.splits.values()] == [2400, 300, 300]
    assert made.left_out == 500


def test_numbers_that_cannot_be_met_are_refused() -> None:
    before = dataset(*(sample(f"{v}_{f}.jpg", video=str(v)) for v in range(3) for f in range(10)))
    parts = parse_parts("15,10,5", "--counts", True)
    with pytest.raises(
        InputError, match=r"3 groups of 30 pictures cannot be dealt out whole as asked; reached: train 1"
    ):
        split_(before, parts)
    with pytest.raises(InputError, match="31 pictures are asked for and there are 30"):
        split_(before, parse_parts("29,1,1", "--counts", True))


def test_too_few_groups_are_refused() -> None:
    before = dataset(*(sample(f"{number}.jpg", video="v") for number in range(9)))
    with pytest.raises(InputError, match="1 group cannot be split into train, val, test; name fewer parts"):
        split_(before)


class TestGroups:
    """What belongs together."""

    def test_attributes_are_found(self) -> None:
        before = dataset(sample("a.jpg", track="1", scene="x"), sample("b.jpg", track="1", scene="y"))
        found = group(before)
        assert found.keys == ["1", "1"]
        assert found.said == "groups: the track that the data states for each picture; 1 group of 2 pictures"
        assert group(before, "scene").keys == ["x", "y"]

    def test_no_group_is_no_split(self) -> None:
        before = dataset(sample("a.jpg", video="1"), sample("b.jpg"))
        with pytest.raises(InputError, match="nothing in /d says which pictures show the same scene"):
            group(before)
        with pytest.raises(
            InputError, match=r"--group video: 1 picture of 2 without that attribute, such as /d/b\.jpg"
        ):
            group(before, "video")
        with pytest.raises(InputError, match="did you mean 'video'"):
            group(before, "vdeo")

    def test_patterns(self) -> None:
        before = dataset(*(sample(name) for name in ("c1/x_01.jpg", "c1/y_02.jpg", "c2/x_03.jpg")))
        assert group(before, pattern="[xy]_").keys == ["x_", "y_", "x_"]
        assert group(before, pattern="(c.)/(.)").keys == ["c1/x", "c1/y", "c2/x"]
        assert group(before, pattern="^c.|(never)").keys == ["c1", "c1", "c2"]
        with pytest.raises(InputError, match=r"finds nothing in 1 picture of 3, such as 'c2/x_03\.jpg'"):
            group(before, pattern="c1")
        with pytest.raises(InputError, match="finds nothing in 3 pictures"):
            group(before, pattern="(z*)")
        with pytest.raises(InputError, match="is no regular expression"):
            group(before, pattern="(")
        with pytest.raises(InputError, match="give one or the other"):
            group(before, "folder", "x")

    def test_folders_of_splits_are_no_scenes(self) -> None:
        names = ("images/train/v1/1.jpg", "images/val/v1/2.jpg", "images/val/v2/v3/2.jpg", "images/val/2.jpg")
        before = dataset(train=[sample(names[0])], val=[sample(each) for each in names[1:]])
        assert group(before, "folder").keys == ["v1", "v1", "v2/v3", "."]

    def test_the_same_picture_joins_groups(self, tmp_path: Path) -> None:
        names = ("a.png", "b.png", "c.png", "d.png", "e.png")
        for name, shade in zip(names, (1, 2, 1, 2, 3), strict=True):
            Image.new("L", (8, 8), shade).save(tmp_path / name)
        samples = [sample(str(tmp_path / name), video=video) for name, video in zip(names, "vwwxy", strict=True)]
        found = group(dataset(*samples))
        assert found.keys == ["v", "v", "v", "v", "y"]
        assert found.joined == [["v", "w", "x"]]


class TestLeaks:
    """What would let a part see another one's scenes."""

    def test_a_video_in_two_parts(self) -> None:
        before = dataset(*(sample(f"{number}.jpg", video="v") for number in range(9)))
        with pytest.raises(InputError, match=r"video 'v' would lie in train and in val, .* split with --group video"):
            split_(before, by="picture")

    def test_a_split_that_stays(self) -> None:
        made = videos(20)
        samples = samples_of(made)
        last = [each for each in samples if each.attributes["video"] in ("v0", "v1")]
        rest = [each for each in samples if each not in last]
        before = dataset(train=rest, test=last)
        parts = parse_parts("9,1", "--ratios", False, ["train", "val"])
        kept = split_(before, parts, keep=["test"])
        assert kept.dataset.splits["test"] == last and list(kept.dataset.splits) == ["train", "val", "test"]
        assert kept.groups["test"] == ["v0", "v1"]
        torn = next(at for at in range(1, len(samples)) if samples[at].attributes == samples[at - 1].attributes)
        leaking = dataset(train=samples[torn:], test=samples[:torn])
        with pytest.raises(InputError, match=r"--keep test: group v\d+ is in train and in test"):
            split_(leaking, parts, keep=["test"])
        with pytest.raises(InputError, match=r"--keep tset: .* did you mean 'test'"):
            split_(before, parts, keep=["tset"])


@pytest.mark.parametrize(
    ("text", "exact", "said"),
    [
        ("1,2,3,4", False, "has 4 parts"),
        ("a,b", False, "'a' is no number"),
        ("1.5,2", True, "'1.5' is no number"),
        ("-1,2", False, "-1 cannot be"),
        ("inf,1", False, "inf cannot be"),
        ("nan,1", False, "nan cannot be"),
        ("0,0", False, "comes to nothing"),
        ("tran=1", False, "part 'tran'; expected train, val, test; did you mean 'train'"),
        ("train=1,train=2", False, "names train twice"),
        ("", False, "'' is no number"),
    ],
)
def test_parts_that_cannot_be_read(text: str, exact: bool, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_parts(text, "--ratios", exact)


def test_parts() -> None:
    assert parse_parts("train=3, test=1", "--ratios", False).sizes == {"train": 0.75, "test": 0.25}
    assert parse_parts("10,0,5", "--counts", True).sizes == {"train": 10, "test": 5}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 20), min_size=4, max_size=40), st.integers(0, 99))
def test_dealing_fills_every_part(sizes: list[int], seed: int) -> None:
    table = np.array([[size, size % 3] for size in sizes], np.float64)
    home = arrange(table, [0.7, 0.2, 0.1], random.Random(seed))
    assert set(home.tolist()) == {0, 1, 2}
    held = np.bincount(home, weights=table[:, 0])
    assert (np.abs(held - np.array([0.7, 0.2, 0.1]) * sum(sizes)) <= 2 * max(sizes)).all()
    exact = arrange_exactly(table, [1, 1, 1], ["a", "b", "c"], random.Random(seed))
    assert set(range(3)) <= set(exact.tolist())


def test_lists_of_a_yolo_set_are_a_set(tmp_path: Path, oid_car_plate: Path) -> None:
    before = formats.read(oid_car_plate)
    formats.write(before, tmp_path / "yolo", "yolo", images="link")
    before = formats.read(tmp_path / "yolo")
    made = split(before, group(before, "picture"), RATIOS, seed=3)
    assert write_lists(made, tmp_path / "lists") == ("data.yaml", "test.txt", "train.txt", "val.txt")
    after = formats.read(tmp_path / "lists")
    assert {part: len(samples) for part, samples in after.splits.items()} == {"train": 160, "val": 20, "test": 20}
    for part, samples in made.dataset.splits.items():
        for one, other in zip(samples, after.splits[part], strict=True):
            assert one.image == other.image and one.boxes.tolist() == other.boxes.tolist()
