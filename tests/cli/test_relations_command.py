"""`icr data relations` as a person or a script meets it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from icr.cli.commands import run
from icr.data.dataset import Dataset
from icr.data.formats.yolo import label_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))
from label_scenes import at_random, dataset, doors, riders


def on_disk(root: Path, made: Dataset) -> Path:
    """Write a made-up set as YOLO; its pictures are empty, but of the right size."""
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    blank = Image.new("L", (1280, 720))
    for sample in made.splits["train"]:
        blank.save(root / "images" / sample.image.with_suffix(".png").name)
        (root / "labels" / sample.image.with_suffix(".txt").name).write_text("\n".join(label_rows(sample)))
    (root / "data.yaml").write_text(yaml.safe_dump({"train": "images", "names": made.names}))
    return root


@pytest.fixture
def answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Dataset], list[dict[str, Any]]]:
    def ask(made: Dataset) -> list[dict[str, Any]]:
        assert run(["data", "relations", str(on_disk(tmp_path / "set", made)), "--json"]) == 0
        return list(json.loads(capsys.readouterr().out))

    return ask


def recommended(pairs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["child"], each["parent"]) for each in pairs if each["recommended"]]


def test_plates_on_cars_in_real_photographs(oid_car_plate: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "relations", str(oid_car_plate), "--json"]) == 0
    pairs = json.loads(capsys.readouterr().out)
    assert recommended(pairs) == [("carplate", "car")]
    first = pairs[0]
    assert list(first)[:5] == ["child", "parent", "children", "inside", "recommended"]
    assert first["children"] == 272
    assert 0.93 < first["inside"] < 0.95  # "In about 6 % of them a plate has no labelled parent."
    assert pairs[1]["child"] == "car" and pairs[1]["inside"] == 0.0


def test_handles_on_doors(answered: Callable[[Dataset], list[dict[str, Any]]]) -> None:
    pairs = answered(doors(1))
    assert recommended(pairs) == [("handle", "door")]
    assert pairs[0]["size"]["median"] == pytest.approx(0.006, abs=0.003)
    assert pairs[0]["position"]["x"] == pytest.approx(0.5, abs=0.15)


def test_a_chain(answered: Callable[[Dataset], list[dict[str, Any]]]) -> None:
    pairs = answered(riders(1))
    assert sorted(recommended(pairs)) == [("helmet", "rider"), ("rider", "motorcycle")]
    assert len(pairs) == 4 * 3
    through = next(each for each in pairs if (each["child"], each["parent"]) == ("helmet", "motorcycle"))
    assert through["inside"] == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_classes_at_random_give_none(seed: int, answered: Callable[[Dataset], list[dict[str, Any]]]) -> None:
    pairs = answered(at_random(seed, classes=3, count=12))
    assert recommended(pairs) == []
    assert len(pairs) == 6


@pytest.mark.parametrize("seed", range(40))
def test_classes_at_random_give_none_whatever_the_seed(seed: int) -> None:
    from icr.relations import discover

    made = at_random(seed, classes=2 + seed % 4, count=(6, 15, 40)[seed % 3])
    assert [each for each in discover(made) if each.recommended] == []


def test_text_tells_what_to_declare_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["data", "relations", str(on_disk(tmp_path, riders(2)))])
    out = capsys.readouterr().out
    head, *rest = out.splitlines()
    assert head.split()[:4] == ["child", "parent", "children", "inside"]
    assert sum("recommended" in line for line in rest) == 2
    block = yaml.safe_load(out[out.index("relations:") :])
    assert sorted((each["child"], each["parent"]) for each in block["relations"]) == [
        ("helmet", "rider"),
        ("rider", "motorcycle"),
    ]
    assert "ordered pairs left out" in out
    run(["data", "relations", str(tmp_path), "--all"])
    assert len(capsys.readouterr().out.split("\n\n")[0].splitlines()) == 1 + 12


def test_names_are_written_as_yaml_takes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = doors(0)
    made.names[:] = ["no", "a: b, 门"]
    run(["data", "relations", str(on_disk(tmp_path, made))])
    out = capsys.readouterr().out
    assert yaml.safe_load(out[out.index("relations:") :]) == {"relations": [{"child": "a: b, 门", "parent": "no"}]}


def test_nothing_worth_declaring_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = on_disk(tmp_path / "set", at_random(0, 2, 6))
    assert run(["data", "relations", str(root)]) == 0
    assert "No relation is worth declaring" in capsys.readouterr().out


def test_a_picture_of_where_children_lie(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = on_disk(tmp_path / "set", doors(0)), tmp_path / "map.png"
    assert run(["data", "relations", str(root), "--out", str(out), "--json"]) == 0
    said = capsys.readouterr()
    json.loads(said.out)
    assert f"drawn: {out}" in said.err
    with Image.open(out) as picture:
        assert picture.width > 200
    assert run(["data", "relations", str(root), "--out", str(out)]) == 2
    assert "nothing is written over" in capsys.readouterr().err


def test_one_class_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = doors(0, 3)
    alone = dataset(["door"], [[sample.boxes] for sample in made.splits["train"]])
    root = on_disk(tmp_path / "set", alone)
    assert run(["data", "relations", str(root), "--json", "--out", str(tmp_path / "map.png")]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == []
    assert "nothing is drawn" in said.err


def test_what_is_no_data_set_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "relations", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
