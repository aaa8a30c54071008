"""`icr data add-parents` as a person or a script meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icr.cli.commands import run
from icr.data import formats
from icr.predictions import Predictions

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))
from small_sets import PLATE, yolo_set


class Cars:
    """A detector that finds a car in the middle of every picture, and another not surely."""

    names = ("person", "car")

    def predict(self, images: Sequence[Any], **options: Any) -> Iterator[Predictions]:
        boxes = np.array([[20.0, 20, 80, 60], [0, 0, 15, 15]])
        for _ in images:
            yield Predictions(boxes, np.array([0.8, 0.4]), np.array([1, 1]))


@pytest.fixture
def plates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pictures with a plate each and no vehicle, and no relation; any weights are those of `Cars`."""
    monkeypatch.setattr("icr.detectors.load", lambda weights, device="cpu": Cars())
    (tmp_path / "cars.pt").write_bytes(b"weights")
    yaml = "train: images/train\nval: images/val\nnames: [plate]\n"
    root = yolo_set(tmp_path / "plates", {"a": [PLATE]}, yaml=yaml)
    (root / "labels/val/v.txt").write_text(f"{PLATE}\n")
    return root


def words(plates: Path, out: str = "out", relation: str = "plate:vehicle") -> list[str]:
    folder = plates.parent
    return ["data", "add-parents", str(plates), "--weights", str(folder / "cars.pt"), "--out", str(folder / out),
            "--relation", relation]  # fmt: skip


def test_vehicles_for_plates(plates: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = plates.parent / "out"
    assert run([*words(plates), "--map", "car=vehicle", "--json"]) == 0
    said = capsys.readouterr()
    done = json.loads(said.out)
    assert done["out"] == str(out) and done["format"] == "coco"
    assert done["boxes"] == {"vehicle": 2} and done["pairs"] == done["pairs_with_machine_made"] == 2
    assert done["classes"] == {"car": "vehicle"} and done["without_parent"] == done["ambiguous"] == 0
    assert "new in the data: class vehicle" in said.err
    made = formats.read(out)
    assert made.names == ["plate", "vehicle"] and [str(each) for each in made.relations] == ["plate:vehicle"]
    for samples in made.splits.values():
        assert samples[0].parents.tolist() == [1, -1]
        assert {key: samples[0].box_attributes[1][key] for key in ("source", "score")} == {
            "source": "machine", "score": 0.8
        }  # fmt: skip
    record = json.loads((out / "add-parents.json").read_text())
    assert record["conf"] == 0.5 and len(record["weights_sha256"]) == 64
    assert {key: done[key] for key in record} == record


def test_thresholds_and_yolo(plates: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words(plates), "--map", "car=vehicle", "--conf", "0.3", "--to", "yolo"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{plates.parent / 'out'}\n"
    assert "not held by yolo: attributes: score, source" in said.err
    assert "machine-made boxes: vehicle 4; 2 new pairs, 2 of them with one; 0 children still" in said.err
    assert (plates.parent / "out/pairs/train/a.txt").read_text() == "0 1\n"
    assert run([*words(plates, "held"), "--map", "car=vehicle", "--conf", "0.3", "--holding", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["boxes"] == {"vehicle": 2}


def test_classes_of_the_same_name_need_no_map(plates: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words(plates, relation="plate:car"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == {"car": "car"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "the detector has no class vehicle; it has person, car; say which"),
        (["--map", "cra=vehicle"], "did you mean 'car'?"),
        (["--map", "car=vehicle", "--to", "coc"], "did you mean 'coco'?"),
        (["--map", "car=vehicle", "--images", "lnk"], "did you mean 'link'?"),
        (["--map", "car=vehicle", "--inside", "0.4"], "--inside"),
        (["--relation", "plaet:vehicle"], "did you mean 'plate'?"),
    ],
)
def test_wrong_usage_is_one_line(
    options: list[str], said: str, plates: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words(plates), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err.splitlines()[-1]
    assert not (plates.parent / "out").exists()


def test_no_relation_is_one_line(plates: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words(plates)[:-2]) == 2
    assert "declares no relation; pass --relation" in capsys.readouterr().err


def test_help_has_an_example_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from icr.cli.commands import run; run(['data', 'add-parents', '--help']);"
        "print(sorted({'torch', 'numpy', 'PIL', 'yaml', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Example: icr data add-parents" in done.stdout and done.stdout.splitlines()[-1] == "[]"
