"""The stand-in for SVMLP: numbers and sizes of the whole set, dealt out to its images."""

from __future__ import annotations

import csv
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

from icr.data.synth import CROWDED, DEFAULT, SVMLP
from icr.data.synth.census import Census, deal
from icr.data.synth.layout import lay_out, picture_size
from icr.data.synth.settings import MOST_PLATES
from icr.errors import InputError

SPLITS = (2400, 300, 300)


def svmlp() -> dict[str, str]:
    """The paper's row."""
    table = files("icr.paper").joinpath("table1.csv").read_text(encoding="utf-8")
    return next(row for row in csv.DictReader(table.splitlines()) if row["dataset"] == "SVMLP")


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_the_plates_that_are_dealt_have_the_numbers_and_sizes_of_the_paper(seed: int) -> None:
    """4,670 small, 3,852 medium and, by subtraction, 356 large plates."""
    assert SVMLP.census is not None
    dealt = [deal(SVMLP.census, seed, split, index) for split, count in enumerate(SPLITS) for index in range(count)]
    paper, areas = svmlp(), np.concatenate(dealt)
    assert len(areas) == pytest.approx(int(paper["plates"]), rel=0.001)
    numbers = [len(each) for each in dealt]
    assert min(numbers) == int(paper["plates_per_image_min"])
    assert max(numbers) == int(paper["plates_per_image_max"])
    assert np.mean(numbers) == pytest.approx(float(paper["plates_per_image_mean"]), abs=0.005)
    small, medium, large = np.histogram(areas, [0, 32**2, 96**2, np.inf])[0]
    assert small == pytest.approx(4670, rel=0.02)
    assert medium == pytest.approx(3852, rel=0.02)
    assert large == pytest.approx(356, rel=0.03)
    assert int(paper["smallest_plate_px2"]) <= areas.min() < int(paper["smallest_plate_px2"]) + 1


def test_scenes_hold_the_plates_they_were_dealt_and_no_vehicle_without() -> None:
    assert SVMLP.census is not None
    kept = total = 0
    for index in range(40):
        scene = lay_out(SVMLP, 3, "val", index)
        boxes = scene.boxes[scene.labels == 0]
        found = np.sort((boxes[:, 2:] - boxes[:, :2]).prod(axis=1))
        dealt = np.sort(deal(SVMLP.census, 3, 1, index))
        assert int((scene.labels == 1).sum()) == len(scene.pairs) == len(found)
        total += len(dealt)
        kept += int(np.isclose(found, dealt, rtol=0.01).sum()) if len(found) == len(dealt) else 0
    assert kept > 0.95 * total


def test_pictures_have_the_resolutions_of_the_paper() -> None:
    sizes = [picture_size(SVMLP, 0, "train", index) for index in range(200)]
    assert set(sizes) == {(1920, 1080), (1440, 1080), (1280, 1080), (1080, 1280)}
    assert lay_out(SVMLP, 0, "train", 0).size == sizes[0]
    assert picture_size(DEFAULT, 0, "train", 0) == (1280, 720)


def test_crowded_scenes_hold_more_than_the_paper_has() -> None:
    counts = [len(lay_out(CROWDED, 0, "train", index).pairs) for index in range(6)]
    assert min(counts) >= 8
    assert max(counts) > 10
    assert max(counts) <= MOST_PLATES


def test_an_image_is_dealt_the_same_however_many_there_are() -> None:
    census = Census(images=(1, 1, 1), areas=((0.0, 10.0), (1.0, 1000.0)))
    block = [deal(census, 5, 0, index) for index in range(3)]
    assert sorted(map(len, block)) == [1, 2, 3]
    assert deal(census, 5, 0, 1) == block[1]
    assert deal(census, 6, 0, 1) != block[1]
    assert deal(census, 5, 1, 1) != block[1]


def test_areas_grow_with_the_picture_but_not_below_what_is_labelled() -> None:
    census = Census(images=(4,), areas=((0.0, 36.0), (0.5, 400.0), (1.0, 9000.0)))
    assert [area for _, area in census.scaled(4.0, 36.0).areas] == pytest.approx([144, 1600, 36000])
    shrunk = [area for _, area in census.scaled(0.25, 36.0).areas]
    assert shrunk[0] == 36 and shrunk[-1] == pytest.approx(2250)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"images": ()}, "census images"),
        ({"images": (0, 0)}, "census images"),
        ({"images": (-1, 2)}, "census images"),
        ({"areas": ((0.0, 36.0),)}, "census areas"),
        ({"areas": ((0.0, 36.0), (1.0, 30.0))}, "census areas"),
        ({"areas": ((0.1, 36.0), (1.0, 90.0))}, "census areas"),
    ],
)
def test_a_census_that_cannot_be_dealt_is_refused(change: dict[str, object], named: str) -> None:
    assert SVMLP.census is not None
    with pytest.raises(InputError, match=named):
        replace(SVMLP.census, **change)  # type: ignore[arg-type]


def test_plates_too_large_for_the_picture_are_refused_with_the_way_out() -> None:
    huge = Census(images=(1,), areas=((0.0, 4e6), (1.0, 5e6)))
    with pytest.raises(InputError, match="larger pictures, or smaller areas"):
        lay_out(replace(DEFAULT, size=(320, 240), census=huge, plate_width=90, plate_limits=(20, 120)), 0, "train", 0)
