"""`icr data show`: which pictures are drawn, what is told of them, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icr.cli.commands import run as icr
from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.data.show import TILE_WIDTH, choose_samples, settle_relations, sheet
from icr.errors import InputError
from icr.relations import Relation, ResolvedRelation

NAMES = ["plate", "vehicle"]
RELATIONS = (ResolvedRelation(0, (1,)),)
PLATE, VEHICLE, WIDER = [70.0, 80, 100, 96], [40.0, 30, 140, 110], [20.0, 10, 180, 130]


def _sample(folder: Path, name: str, boxes: list[list[float]], labels: list[int], parent: int = UNSTATED) -> Sample:
    Image.new("RGB", (200, 140), (90, 90, 90)).save(folder / name)
    parents = np.array([parent if label == 0 else UNSTATED for label in labels], np.int64)
    return Sample(folder / name, 200, 140, np.array(boxes, float).reshape(-1, 4), np.array(labels, np.int64), parents)


def _paired(folder: Path, name: str) -> Sample:
    return _sample(folder, name, [PLATE, VEHICLE], [0, 1])


def test_what_is_on_the_sheet_is_counted(tmp_path: Path) -> None:
    samples = [
        _paired(tmp_path, "pair.png"),
        _sample(tmp_path, "guess.png", [PLATE, VEHICLE, WIDER], [0, 1, 1]),
        _sample(tmp_path, "lone.png", [PLATE], [0]),
        _sample(tmp_path, "stated.png", [PLATE, VEHICLE], [0, 1], NO_PARENT),
        _sample(tmp_path, "bare.png", [], []),
    ]
    made = sheet(samples, NAMES, RELATIONS, title="t")
    assert (made.pictures, made.pairs, made.orphans, made.ambiguous) == (4, 2, 2, 1)
    # Three columns of tiles with gaps of 14 pixels.
    assert made.picture.shape[1] == 3 * (TILE_WIDTH + 14) + 14


def test_doubtful_pictures_get_up_to_a_third_of_the_places(tmp_path: Path) -> None:
    samples = [_paired(tmp_path, f"{index}.png") for index in range(30)]
    samples += [_sample(tmp_path, f"lone{index}.png", [PLATE], [0]) for index in range(30)]
    first_three = {sheet(samples[:31], NAMES, RELATIONS, title="t", count=3, seed=seed).orphans for seed in range(5)}
    assert first_three == {1}
    assert sheet(samples[:30], NAMES, RELATIONS, title="t", count=3).orphans == 0


def test_the_seed_draws(tmp_path: Path) -> None:
    samples = [_paired(tmp_path, f"{index}.png") for index in range(40)]
    first, again, other = (sheet(samples, NAMES, RELATIONS, title="t", count=2, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.picture, again.picture)
    assert not np.array_equal(first.picture, other.picture)


def test_a_row_is_no_higher_than_its_pictures(tmp_path: Path) -> None:
    def of_size(width: int, height: int, name: str) -> Sample:
        Image.new("RGB", (width, height)).save(tmp_path / name)
        return Sample(tmp_path / name, width, height, np.array([PLATE]), np.array([0]), np.array([NO_PARENT]))

    wide = [of_size(160, 90, f"{index}.png") for index in range(3)]
    tall = sheet([of_size(120, 90, "tall.png")], NAMES, RELATIONS, title="t").picture
    low = sheet(wide[:1], NAMES, RELATIONS, title="t").picture
    # Both are fitted into a tile of 560 by 400.
    assert len(tall) - len(low) == 400 - 560 * 90 // 160
    mixed = sheet([*wide, of_size(120, 90, "tall.png")], NAMES, RELATIONS, title="t", columns=2).picture
    assert len(mixed) < 2 * len(tall)


def test_a_picture_that_cannot_be_read_makes_room_for_another(tmp_path: Path) -> None:
    samples = [_paired(tmp_path, f"{index}.png") for index in range(3)]
    samples[1].image.write_bytes(b"")
    made = sheet(samples, NAMES, RELATIONS, title="t", count=3)
    assert made.pictures == 2
    assert len(made.unreadable) == 1 and "1.png" in made.unreadable[0]


def test_nothing_to_show_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no picture has a box"):
        sheet([_sample(tmp_path, "a.png", [], [])], NAMES, RELATIONS, title="t")


def test_without_relations_boxes_alone_are_shown(tmp_path: Path) -> None:
    data = Dataset(tmp_path, "yolo", NAMES, {"train": [_paired(tmp_path, "a.png")]})
    relations, said = settle_relations([], data)
    assert relations == () and said.startswith("boxes alone: ")
    made = sheet(data.splits["train"], NAMES, relations, title="t", said=said)
    assert (made.pictures, made.pairs, made.orphans) == (1, 0, 0)


def test_a_wrong_relation_is_refused_even_so(tmp_path: Path) -> None:
    data = Dataset(tmp_path, "yolo", NAMES, {"train": [_paired(tmp_path, "a.png")]}, (Relation("plate", "car"),))
    with pytest.raises(InputError, match="no class 'car'"):
        settle_relations([], data)
    with pytest.raises(InputError, match="no class 'bus'"):
        settle_relations(["plate:bus"], data)


def test_a_split_that_is_not_there_is_named() -> None:
    assert choose_samples({"train": [], "val": []}, None) == []
    with pytest.raises(InputError, match="no split 'test'; the data set has train, val"):
        choose_samples({"train": [], "val": []}, "test")


def _coco(folder: Path) -> Path:
    _paired(folder, "a.png")
    boxes = [(1, 1, [70, 80, 30, 16]), (2, 2, [40, 30, 100, 80])]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 200, "height": 140}],
        "categories": [{"id": 1, "name": "plate"}, {"id": 2, "name": "vehicle"}],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": kind, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
            for number, kind, box in boxes
        ],
    }
    (folder / "data.json").write_text(json.dumps(content))
    return folder / "data.json"


class TestCommand:
    def test_a_sheet_and_its_counts(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        out = tmp_path / "sheet.png"
        assert (
            icr(["data", "show", str(_coco(tmp_path)), "--relation", "plate:vehicle", "--out", str(out), "--json"]) == 0
        )
        told = json.loads(capfd.readouterr().out)
        assert told == {"sheet": str(out), "pictures": 1, "pairs": 1, "orphans": 0, "ambiguous": 0}
        assert Image.open(out).width == TILE_WIDTH + 28

    @pytest.mark.parametrize(
        ("out", "told"),
        [
            ("there.png", "exists already"),
            ("there.png/sheet.png", "is a file, so no folder can be made in it"),
            ("sheet.txt", "suffix '.txt'"),
        ],
    )
    def test_a_place_that_will_not_do(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], out: str, told: str
    ) -> None:
        (tmp_path / "there.png").touch()
        assert icr(["data", "show", str(_coco(tmp_path)), "--out", str(tmp_path / out)]) == 2
        assert told in capfd.readouterr().err

    @pytest.mark.parametrize(("option", "name"), [("--out", "sheet.png"), ("--html", "page.html")])
    def test_the_folder_is_made(self, tmp_path: Path, option: str, name: str) -> None:
        out = tmp_path / "new" / "er" / name
        assert icr(["data", "show", str(_coco(tmp_path)), "--relation", "plate:vehicle", option, str(out)]) == 0
        assert [each.name for each in out.parent.iterdir()] == [name]

    def test_no_folder_is_made_for_a_set_that_is_not_there(self, tmp_path: Path) -> None:
        assert icr(["data", "show", str(tmp_path / "nowhere"), "--out", str(tmp_path / "new" / "a.png")]) == 2
        assert not list(tmp_path.iterdir())
