"""The figures of a data set, worked by hand, and the paper's beside them."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.data.light import lights, measured
from icr.data.stats import Stats, measure
from icr.data.stats_pictures import draw
from icr.data.stats_table import paper_rows, report, table
from icr.errors import InputError
from icr.relations import Relation

PAPER = Path(__file__).resolve().parents[2] / "src" / "icr" / "paper" / "table1.csv"
PLATE, CAR = 0, 1
KEYS = ("images", "objects", "children_per_image", "smallest_child_area", "bins", "pairs", "orphans", "ambiguous")


def sample(*boxes: tuple[int, list[float]], parents: list[int] | None = None, **changed: Any) -> Sample:
    """A picture of 640 by 480 with boxes of a class each."""
    given: dict[str, Any] = {
        "image": Path("a.jpg"),
        "width": 640,
        "height": 480,
        "boxes": np.array([box for _, box in boxes], np.float64).reshape(-1, 4),
        "labels": np.array([label for label, _ in boxes], np.int64),
        "parents": np.array(parents or [UNSTATED] * len(boxes), np.int64),
        **changed,
    }
    return Sample(**given)


def dataset(*samples: Sample, names: tuple[str, ...] = ("plate", "car")) -> Dataset:
    return Dataset(Path("made-up"), "yolo", list(names), {"train": list(samples[:1]), "val": list(samples[1:])})


@pytest.fixture
def by_hand() -> Stats:
    """Three pictures: two plates in a car and one beside it; a plate in two cars; nothing."""
    first = sample(
        (PLATE, [110, 110, 122, 113]),  # 36 px²
        (PLATE, [140, 140, 172, 172]),  # 1024 px²: medium from there on
        (PLATE, [400, 300, 496, 396]),  # 9216 px²: large from there on; no car there
        (CAR, [100, 100, 300, 200]),
    )
    second = sample((PLATE, [10, 10, 20, 20]), (CAR, [0, 0, 100, 100]), (CAR, [5, 5, 90, 90]), width=1280, height=960)
    return measure(dataset(first, second, sample()), [Relation("plate", "car")])


def test_every_figure_by_hand(by_hand: Stats) -> None:
    told = by_hand.as_json()
    assert set(KEYS) <= set(told)
    assert told["images"] == 3 and told["splits"] == {"train": 1, "val": 2}
    assert told["objects"] == {"plate": 4, "car": 3}
    assert told["children"] == 4
    assert told["children_per_image"] == pytest.approx(4 / 3)
    assert (told["children_per_image_min"], told["children_per_image_max"]) == (0, 3)
    assert told["smallest_child_area"] == 36
    assert told["bins"] == {
        "plate": {"small": 2, "medium": 1, "large": 1},
        "car": {"small": 0, "medium": 1, "large": 2},
    }
    assert (told["pairs"], told["orphans"], told["ambiguous"]) == (3, 1, 1)
    assert told["areas"]["plate"] == pytest.approx(
        {"least": 36, "p5": 45.6, "median": 562, "p95": 7987.2, "most": 9216}
    )
    assert told["image_shares"]["plate"]["most"] == pytest.approx(9216 / (640 * 480))
    assert told["resolutions"] == [
        {"width": 640, "height": 480, "images": 2},
        {"width": 1280, "height": 960, "images": 1},
    ]
    assert told["light"] == {"unknown": 3}
    shares = np.sqrt([36 / 307200, 1024 / 307200, 9216 / 307200, 100 / 1228800])
    assert told["child_size_range"] == pytest.approx(np.percentile(shares, 95) / np.percentile(shares, 5))


def test_what_the_data_states_counts_before_geometry() -> None:
    boxes = ((PLATE, [110.0, 110, 122, 113]), (CAR, [100.0, 100, 300, 200]), (CAR, [90.0, 90, 310, 310]))
    stated = sample(*boxes, parents=[2, NO_PARENT, NO_PARENT])
    none = sample(*boxes, parents=[NO_PARENT, NO_PARENT, NO_PARENT])
    found = measure(dataset(stated, none), [Relation("plate", "car")])
    assert (found.pairs, found.orphans, found.ambiguous) == (1, 1, 0)


def test_a_set_of_one_class_counts_its_boxes_as_children() -> None:
    found = measure(dataset(sample((PLATE, [10, 10, 20, 20])), names=("plate",)))
    assert found.per_image == (1, 1.0, 1)
    assert (found.pairs, found.orphans) == (0, 1)


def test_without_a_relation_nothing_is_a_child() -> None:
    told = measure(dataset(sample((PLATE, [10, 10, 20, 20])))).as_json()
    assert told["children"] == told["pairs"] == told["orphans"] == 0
    assert told["children_per_image"] == told["smallest_child_area"] == told["child_size_range"] == -1
    assert told["objects"] == {"plate": 1, "car": 0} and told["areas"]["car"]["median"] == -1


def test_every_child_of_a_chain_counts() -> None:
    chain = dataset(
        sample((0, [10, 10, 20, 20]), (1, [5, 5, 40, 60]), (2, [0, 0, 100, 100])),
        names=("helmet", "rider", "motorcycle"),
    )
    found = measure(chain, [Relation("helmet", "rider"), Relation("rider", "motorcycle")])
    assert (found.pairs, found.orphans) == (2, 0) and found.smallest_child_area == 100


def test_pictures_of_unknown_size() -> None:
    told = measure(dataset(sample((PLATE, [1, 1, 3, 3]), width=0, height=0)), [Relation("plate", "car")]).as_json()
    assert told["smallest_child_area"] == 4
    assert told["image_shares"]["plate"]["median"] == told["child_size_range"] == -1


def test_an_empty_set() -> None:
    found = measure(dataset(), [Relation("plate", "car")])
    assert found.as_json()["images"] == 0 and "images     0" in report(found)
    assert set(draw([found])) == {"areas", "shares", "children", "positions"}


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'plate'"):
        measure(dataset(sample()), [Relation("plat", "car")])


def test_areas_read_from_shares_of_the_sides_fall_into_the_right_bin() -> None:
    for width, height in ((1280, 720), (1919, 1081), (333, 777)):
        share = np.array([0.5, 0.5, 32 / width, 32 / height])
        box = np.concatenate([share[:2] - share[2:] / 2, share[:2] + share[2:] / 2]) * np.tile([width, height], 2)
        found = measure(dataset(sample((PLATE, box.tolist()), width=width, height=height), names=("plate",)))
        assert found.boxes["plate"].bins() == {"small": 0, "medium": 1, "large": 0}
        assert found.smallest_child_area == 1024


class TestThePaper:
    def test_its_rows_are_those_of_the_file(self) -> None:
        with PAPER.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert [{key: str(value) for key, value in row.items()} for row in paper_rows()] == rows
        assert isinstance(paper_rows()[0]["plates"], int)

    def test_its_rows_stand_below_the_measured_ones(self, by_hand: Stats) -> None:
        head, first, *rest = table([by_hand], paper=True).splitlines()
        assert head.split()[:3] == ["data", "set", "children"]
        assert first.split()[:5] == ["made-up", "4", "3", "0–3", "1.33"]
        assert len(rest) == len(paper_rows())
        for line, row in zip(rest, paper_rows(), strict=True):
            assert row["dataset"] in line and f"{row['plates']:,}" in line and line.endswith(row["light"])

    def test_a_set_like_svmlp_gives_its_row(self) -> None:
        """Pictures of 1 to 5 plates, day and night, at two resolutions, the smallest plate 36 px²."""
        samples = []
        for index in range(20):
            vehicles = [[100.0 * place, 100, 100 * place + 90, 180] for place in range(1 + index % 5)]
            plates = [[box[0] + 10, 120, box[0] + 22, 123 + 3 * index] for box in vehicles]
            rows = [row for pair in zip(plates, vehicles, strict=True) for row in ((PLATE, pair[0]), (CAR, pair[1]))]
            light = {"light": ("day", "night")[index % 2]}
            samples.append(sample(*rows, width=1280 + index % 2 * 640, height=1080, attributes=light))
        row = table([measure(dataset(*samples), [Relation("plate", "car")])]).splitlines()[1]
        assert row.split()[:7] == ["made-up", "60", "20", "1–5", "3.00", "36", "2"]
        assert row.endswith("day and night")


class TestLight:
    def test_attributes_count_before_brightness(self, tmp_path: Path) -> None:
        dark, bright = tmp_path / "dark.png", tmp_path / "bright.jpg"
        Image.new("RGB", (64, 64), (30, 30, 40)).save(dark)
        Image.new("RGB", (64, 64), (150, 160, 170)).save(bright)
        samples = [sample(image=each) for each in (dark, bright, tmp_path / "gone.jpg")]
        samples.append(sample(image=dark, attributes={"timeofday": "Daytime"}))
        samples.append(sample(image=bright, attributes={"light": "night"}))
        assert lights(dataset(*samples)) == Counter(unknown=3, day=1, night=1)
        assert lights(dataset(*samples), measure=True) == Counter(day=2, night=2, unknown=1)

    def test_a_picture_that_cannot_be_decoded_has_no_light(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_bytes(b"no picture")
        assert measured(tmp_path / "a.png") == "unknown"

    def test_the_sky_counts_and_not_the_road_in_the_headlights(self, tmp_path: Path) -> None:
        street = Image.new("L", (64, 64), 20)
        street.paste(200, (0, 32, 64, 64))  # the mean is 110
        street.save(tmp_path / "a.png")
        street.rotate(180).save(tmp_path / "b.png")
        assert [measured(tmp_path / name) for name in ("a.png", "b.png")] == ["night", "day"]

    @pytest.mark.parametrize("content", ["", "[]", '{"images": [3]}', '{"images": [{"image": 1, "light": "day"}]}'])
    def test_a_manifest_of_another_kind_is_passed_over(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "manifest.json").write_text(content)
        made = Dataset(tmp_path, "yolo", ["plate"], {"train": [sample(image=tmp_path / "a.jpg")]})
        assert lights(made) == Counter(unknown=1)


def test_text_tells_each_figure(by_hand: Stats) -> None:
    text = report(by_hand)
    for told in (
        "images     3: train 1, val 2",
        "children   4 (plate): 0 to 3 an image, 1.33 on average",
        "smallest   36 px²",
        "pairs      3, orphans 1, ambiguous 1 (plate:car)",
        "2 resolutions: 640x480 2, 1280x960 1",
        "light      unknown 3",
    ):
        assert told in text
    assert [line.split()[:5] for line in text.splitlines()[-2:]] == [
        ["plate", "4", "2", "1", "1"],
        ["car", "3", "0", "1", "2"],
    ]


def test_pictures_of_one_set_and_of_several(by_hand: Stats) -> None:
    one, two = draw([by_hand]), draw([by_hand, by_hand])
    assert set(one) == {"areas", "shares", "children", "positions"}
    for name, picture in one.items():
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.std() > 5
        assert two[name].shape[0] == pytest.approx(2 * picture.shape[0], abs=4)
