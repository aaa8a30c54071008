"""`icr eval` from the command line: weights (a fake detector) and results files, on COCO and YOLO data."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icr import detectors
from icr.cli.commands import run
from icr.predictions import Predictions

PLATE, CAR = (165, 185, 195, 195), (100, 100, 260, 220)


class Fake:
    """A detector that finds the plate and the car wherever it looks."""

    names = ("car", "plate")

    def __init__(self) -> None:
        self.asked: list = []

    def predict(self, images, *, imgsz=None, conf=0.001, iou=0.7, max_det=300, batch=16):
        self.asked.append((len(images), imgsz, batch))
        for _ in images:
            yield Predictions(np.array([CAR, PLATE], float), np.array([0.9, 0.8]), np.array([0, 1]))


@pytest.fixture
def detector(monkeypatch, tmp_path: Path) -> Path:
    """The path of weights that load as the fake."""
    weights = tmp_path / "run" / "weights" / "best.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    monkeypatch.setattr(detectors, "load", lambda path, device="cpu", trust=False: Fake())
    return weights


def yolo_data(folder: Path, splits=("train", "val", "test"), names=("plate", "car"), relations: str = "") -> Path:
    for split in splits:
        for index in range(2):
            picture = folder / "images" / split / f"{split}{index}.jpg"
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (320, 240)).save(picture)
            label = folder / "labels" / split / f"{split}{index}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            rows = [
                f"{kind} {(x1 + x2) / 640} {(y1 + y2) / 480} {(x2 - x1) / 320} {(y2 - y1) / 240}"
                for kind, (x1, y1, x2, y2) in enumerate((PLATE, CAR))
            ]
            label.write_text("\n".join(rows))
    listed = "".join(f"{split}: images/{split}\n" for split in splits)
    (folder / "data.yaml").write_text(f"{listed}names: [{', '.join(names)}]\n{relations}")
    return folder / "data.yaml"


def asked(capsys, *args: object) -> tuple[int, str, str]:
    status = run(["eval", *map(str, args)])
    out, err = capsys.readouterr()
    return status, out, err


def test_weights_as_json(detector: Path, tmp_path: Path, capsys) -> None:
    data = yolo_data(tmp_path / "data")
    status, out, err = asked(capsys, detector, data, "--relation", "plate:car", "--json", "--resamples", 50)
    assert status == 0
    told = json.loads(out)
    assert told["split"] == "test" and told["images"] == 2
    assert told["classes"]["plate"]["AP50"] == pytest.approx(1)
    assert told["pairs"]["recall"] == 1 and told["pairs"]["orphan_rate"] == 0
    assert told["pairs"]["smallest_area"] == pytest.approx(300)
    assert "evaluating on test (2 pictures)" in err and "plate:car" in err


def test_weights_as_table(detector: Path, tmp_path: Path, capsys) -> None:
    status, out, _ = asked(capsys, detector, yolo_data(tmp_path / "data", ("train", "val")), "--relation", "plate:car")
    assert status == 0
    assert "2 images (val)" in out and "1.000 [1.000, 1.000]" in out and "pair recall" in out


def test_results_file_and_its_own_output_again(detector: Path, tmp_path: Path, capsys) -> None:
    data = yolo_data(tmp_path / "data", relations="relations: [{child: plate, parent: car}]\n")
    saved = tmp_path / "results.json"
    status, out, err = asked(capsys, detector, data, "--save-results", saved, "--json")
    assert status == 0 and str(saved) in err
    first = json.loads(out)
    assert json.loads(saved.read_text())[0]["image_id"] == "test0"
    status, out, _ = asked(capsys, saved, data, "--json")
    assert status == 0
    again = json.loads(out)
    for name, figures in first["classes"].items():
        assert again["classes"][name] == pytest.approx(figures)
    assert again["pairs"] == first["pairs"]


def test_relations_of_the_run(detector: Path, tmp_path: Path, capsys) -> None:
    run_json = detector.parents[1] / "run.json"
    run_json.write_text(json.dumps({"relations": [{"child": "plate", "parent": ["car"], "weight": 2.5}]}))
    status, out, err = asked(capsys, detector, yolo_data(tmp_path / "data"), "--json")
    assert status == 0
    assert json.loads(out)["pairs"]["recall"] == 1
    assert "as the detector was trained" in err


def test_no_relation_at_all_is_said(detector: Path, tmp_path: Path, capsys) -> None:
    # Six plates are too few for geometry to propose a relation.
    status, out, err = asked(capsys, detector, yolo_data(tmp_path / "data"), "--json")
    assert status == 0
    assert json.loads(out)["pairs"] is None
    assert "no pair metrics" in err


def test_relations_of_a_run_on_other_classes_are_passed_over(detector: Path, tmp_path: Path, capsys) -> None:
    run_json = detector.parents[1] / "run.json"
    run_json.write_text(json.dumps({"relations": [{"child": "helmet", "parent": "rider"}]}))
    status, out, _ = asked(capsys, detector, yolo_data(tmp_path / "data"), "--json")
    assert status == 0 and json.loads(out)["pairs"] is None


def test_classes_are_matched_by_name(detector: Path, tmp_path: Path, capsys) -> None:
    status, out, err = asked(capsys, detector, yolo_data(tmp_path / "data", names=("sign", "car")), "--json")
    assert status == 0
    classes = json.loads(out)["classes"]
    assert classes["car"]["AP50"] == pytest.approx(1) and classes["sign"]["AP50"] == 0
    assert "does not know class sign" in err and "left out: class plate" in err


def test_options_reach_the_detector(monkeypatch, detector: Path, tmp_path: Path, capsys) -> None:
    fake, devices = Fake(), []
    monkeypatch.setattr(detectors, "load", lambda path, device="cpu", trust=False: devices.append(device) or fake)
    data = yolo_data(tmp_path / "data")
    assert asked(capsys, detector, data, "--imgsz", 96, "--batch", 3, "--device", "cpu", "--split", "train")[0] == 0
    assert fake.asked == [(2, 96, 3)] and devices == ["cpu"]


def test_score_option(detector: Path, tmp_path: Path, capsys) -> None:
    data = yolo_data(tmp_path / "data")
    out = asked(capsys, detector, data, "--relation", "plate:car", "--score", 0.85, "--json")[1]
    assert json.loads(out)["pairs"]["recall"] == 0 and json.loads(out)["score"] == 0.85


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--split", "tset"], "did you mean 'test'"),
        (["--relation", "plat:car"], "did you mean 'plate'"),
        (["--relation", "plate"], "child:parent"),
        (["--score", "2"], "--score 2: expected 0..1"),
        (["--score", "nan"], "--score nan"),
        (["--batch", "0"], "--batch 0"),
        (["--imgsz", "-1"], "--imgsz -1"),
        (["--resamples", "-1"], "--resamples -1"),
        (["--save-results", "{data}"], "nothing is written over"),
        (["--save-results", "no/such/folder/x.json"], "there is no folder"),
        (["--score", "much"], "valid number"),
    ],
)
def test_bad_input_is_one_line_and_status_2(detector: Path, tmp_path: Path, capsys, args, message: str) -> None:
    data = yolo_data(tmp_path / "data")
    status, out, err = asked(capsys, detector, data, *(each.format(data=data) for each in args))
    assert status == 2 and out == ""
    assert message in err.splitlines()[-1] and "Traceback" not in err


def test_no_class_in_common(detector: Path, tmp_path: Path, capsys) -> None:
    status, _, err = asked(capsys, detector, yolo_data(tmp_path / "data", names=("Plate", "Car")))
    assert status == 2 and "no class in common" in err


def test_neither_test_nor_val(detector: Path, tmp_path: Path, capsys) -> None:
    data = yolo_data(tmp_path / "data", ("train",))
    status, _, err = asked(capsys, detector, data)
    assert status == 2 and "neither test nor val" in err
    assert asked(capsys, detector, data, "--split", "train")[0] == 0


def test_missing_data_and_malformed_results(tmp_path: Path, capsys) -> None:
    assert asked(capsys, tmp_path / "x.json", tmp_path / "none")[0] == 2
    data = yolo_data(tmp_path / "data")
    status, _, err = asked(capsys, tmp_path / "x.json", data, "--relation", "plate:car")
    assert status == 2 and "x.json is not there" in err
    bad = tmp_path / "bad.json"
    bad.write_text('[{"image_id": "test0", "category_id": 1, "bbox": [1, 2, 3, 4], "score": 7}]')
    status, _, err = asked(capsys, bad, data)
    assert status == 2 and "entry 0: score 7" in err


def test_real_pictures(oid_car_plate: Path, tmp_path: Path, capsys) -> None:
    labels = json.loads((oid_car_plate / "val.json").read_text())
    perfect = [
        {"image_id": each["image_id"], "category_id": each["category_id"], "bbox": each["bbox"], "score": 0.9}
        for each in labels["annotations"]
    ]
    (tmp_path / "perfect.json").write_text(json.dumps(perfect))
    status, out, _ = asked(capsys, tmp_path / "perfect.json", oid_car_plate, "--relation", "carplate:car", "--json")
    told = json.loads(out)
    assert status == 0 and told["split"] == "val" and told["images"] == 50
    assert told["classes"]["carplate"]["AP"] == pytest.approx(1)
    assert told["pairs"]["recall"] == 1 and told["pairs"]["right_parent"] == 1
    assert told["pairs"]["orphans"] == told["objects"]["carplate"]["all"] - told["pairs"]["pairs"]


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from icr.cli.commands import run; status = run(['eval', '--help']);"
        "heavy = {'torch', 'numpy', 'hotcoco', 'PIL', 'scipy'} & set(sys.modules); sys.exit(status or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Example: icr eval" in done.stdout


def test_the_example_of_the_documentation_runs(detector: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    data = yolo_data(tmp_path / "plates", ("train", "val"), names=("plate", "vehicle"))
    found = [{"image_id": "val0", "category_id": 1, "bbox": [165, 185, 30, 10], "score": 0.9}]
    (tmp_path / "results.json").write_text(json.dumps(found))
    page = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
    code = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    scope: dict = {}
    exec(compile(code, str(page), "exec"), scope)
    assert str(data).endswith("plates/data.yaml") and "pair recall" in capsys.readouterr().out
    assert scope["evaluation"].classes["plate"]["AR"] == 0.5
