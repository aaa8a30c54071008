"""`icr data stats` as a person or a script meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from icr.cli.commands import run

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))
from small_sets import CAR, HEIGHT, PLATE, WIDTH, YAML, coco_set, yolo_set

KEYS = {"images", "objects", "children_per_image", "smallest_child_area", "bins", "pairs", "orphans", "ambiguous"}


def test_one_set_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = yolo_set(tmp_path, {"a": [PLATE, CAR], "b": [PLATE], "c": [PLATE, CAR, CAR.replace("0.6", "0.7")]})
    assert run(["data", "stats", str(root), "--json"]) == 0
    out = capsys.readouterr().out
    told = json.loads(out)
    assert out.count("\n") == 1 and set(told) >= KEYS
    assert told["images"] == 4 and told["objects"] == {"plate": 4, "car": 4}
    assert told["children_per_image"] == 1.0
    assert told["smallest_child_area"] == pytest.approx(0.1 * WIDTH * 0.05 * HEIGHT)
    assert told["bins"]["plate"] == {"small": 4, "medium": 0, "large": 0}
    assert (told["pairs"], told["orphans"], told["ambiguous"]) == (3, 1, 1)


def test_text_ends_with_the_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "stats", str(yolo_set(tmp_path)), "--paper"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("SVMLP (paper)")
    assert "relation plate:car, as declared" in said.err


def test_several_sets_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = [str(yolo_set(tmp_path / "a")), str(coco_set(tmp_path / "b").parent)]
    assert run(["data", "stats", *sets, "--relation", "plate:car"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == sets
    assert run(["data", "stats", *sets, "--relation", "plate:car", "--json", "--paper"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["format"] for each in told["sets"]] == ["yolo", "coco"]
    assert [row["dataset"] for row in told["paper"]][-1] == "SVMLP"


def test_real_photographs(oid_car_plate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "stats", str(oid_car_plate), "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["images"] == 200 and told["objects"] == {"car": 385, "carplate": 272}
    assert told["pairs"] + told["orphans"] == 272
    assert 0.05 < told["orphans"] / 272 < 0.07
    assert sum(told["bins"]["car"].values()) == 385
    assert "carplate:car, found by geometry" in said.err


def test_pictures_into_a_new_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = yolo_set(tmp_path / "set"), tmp_path / "figures"
    assert run(["data", "stats", str(root), "--out", str(out), "--json"]) == 0
    json.loads(capsys.readouterr().out)
    names = ["areas.png", "children.png", "positions.png", "shares.png"]
    assert sorted(each.name for each in out.iterdir()) == names
    for name in names:
        with Image.open(out / name) as picture:
            picture.load()
    assert run(["data", "stats", str(root), "--out", str(out)]) == 2
    assert "not empty; nothing is written over" in capsys.readouterr().err


def test_without_a_relation_boxes_are_counted_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = yolo_set(tmp_path, yaml=YAML.split("relations")[0])
    assert run(["data", "stats", str(root), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["children_per_image"] == -1
    assert "pairs are not counted" in said.err


def test_a_set_of_one_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yaml = YAML.split("relations")[0].replace("[plate, car]", "[plate]")
    root = yolo_set(tmp_path, {"a": [PLATE, PLATE.replace("0.5", "0.2")]}, yaml=yaml)
    (root / "labels/val/v.txt").write_text(PLATE)
    assert run(["data", "stats", str(root), "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert told["children_per_image"] == 1.5 and (told["pairs"], told["orphans"]) == (0, 3)
    assert "its boxes (plate) count as children" in said.err


def test_splits_and_brightness(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = yolo_set(tmp_path)
    Image.new("RGB", (WIDTH, HEIGHT), (20, 20, 30)).save(root / "images/val/v.png")
    assert run(["data", "stats", str(root), "--split", "val", "--light", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["splits"] == {"val": 1} and told["light"] == {"night": 1}


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["data", "stats", str(yolo_set(tmp_path, {"a": [PLATE, CAR, "9 0.5 0.5 0.1 0.1"]}))])
    assert "1 faulty entry of" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [[], ["nowhere"], ["{root}", "--relation", "plate:cra"], ["{root}", "--split", "x"]]
)
def test_bad_input_is_one_line(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(yolo_set(tmp_path))
    assert run(["data", "stats", *(each.format(root=root) for each in command)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
