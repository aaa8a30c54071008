"""`icr doctor`: versions, faults, and the proof that the loss acts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from icr import doctor
from icr.cli import commands

Capture = pytest.CaptureFixture[str]


def test_on_generated_scenes_the_loss_acts(capsys: Capture) -> None:
    pytest.importorskip("ultralytics")
    assert commands.run(["doctor", "--json", "--imgsz", "160"]) == commands.DONE
    found = json.loads(capsys.readouterr().out)
    step = found["step"]
    assert found["acts"] and step["pairs"] > 0
    assert 0 <= step["containment"] <= 1 <= step["factor"] <= 3.5
    assert step["loss"] > step["loss_without"] and step["gradient_changed"] > 0
    assert found["versions"]["torch"] and not found["faults"]


def test_a_weight_of_0_is_found_to_change_nothing(capsys: Capture) -> None:
    pytest.importorskip("ultralytics")
    assert commands.run(["doctor", "--weight", "0", "--imgsz", "160"]) == commands.FAILED
    assert "changes NOTHING" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "figure", "verdict"),
    [
        (0.123, "by 12 %", "the ICR loss acts"),
        (2.1e-5, "by 0.0021 %", "the ICR loss acts; little in this step"),
        (0.0, "by 0 %", "the ICR loss changes NOTHING"),
    ],
)
def test_a_small_change_is_told_as_one(
    change: float, figure: str, verdict: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    step = {"pictures": 4, "pairs": 6, "containment": 0.98, "factor": 1.05, "gradient_changed": change}
    losses = dict.fromkeys(("loss", "loss_without", "box_loss", "box_loss_without"), 1.9558)
    hardware = {"cpu": "a processor", "cores": 2, "gpus": []}
    found = doctor.Diagnosis({}, hardware, [], {**step, **losses}, "scenes")
    monkeypatch.setattr(doctor, "examine", lambda *asked, **more: found)
    commands.run(["doctor", "--device", "cpu"])
    *_, gradient, last = capsys.readouterr().out.splitlines()
    assert gradient.endswith(figure) and last.startswith(f"verdict    {verdict}")
    assert ("little" in last) is (change == 2.1e-5)


def test_without_the_engine_it_says_so_and_ends_with_1(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    assert commands.run(["doctor"]) == commands.FAILED
    out = capsys.readouterr().out
    assert "FAULT" in out and "pip install" in out and "torch" in out
    assert commands.run(["doctor", "--model", "dfine-n"]) == commands.FAILED
    assert "icr-loss[cli,transformers]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--imgsz", "100"], "multiple of 32"),
        (["--batch", "0"], "--batch 0"),
        (["--form", "prodct"], "did you mean 'product'"),
        (["--device", "0,1"], "name one"),
        (["--model", "dfine-n", "--imgsz", "32"], "queries"),
    ],
)
def test_what_no_step_can_be_taken_with_is_refused_in_one_line(options: list[str], told: str, capsys: Capture) -> None:
    if "--model" in options:
        pytest.importorskip("transformers")
    assert commands.run(["doctor", "--device", "cpu", *options]) == commands.BAD_INPUT
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_real_photographs(oid_car_plate: Path, capsys: Capture) -> None:
    pytest.importorskip("ultralytics")
    args = ["doctor", str(oid_car_plate), "--relation", "carplate:car", "--json", "--imgsz", "160"]
    assert commands.run(args) == commands.DONE
    assert json.loads(capsys.readouterr().out)["step"]["pairs"] > 0


def test_data_without_a_pair_is_refused(oid_car_plate: Path, capsys: Capture) -> None:
    pytest.importorskip("ultralytics")
    assert commands.run(["doctor", str(oid_car_plate), "--relation", "car:carplate"]) == commands.BAD_INPUT
    err = capsys.readouterr().err
    assert "Traceback" not in err and "car" in err
