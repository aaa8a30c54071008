"""All detectors under one set of commands: settings, presets and refusals are the same whatever trains them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from icr import training
from icr.cli.commands import run as icr
from icr.detectors import DETECTORS, engine

KINDS = {
    "yolo11n": "lrr0",
    "yolov9-t": "lrr0",
    "uav-detr-r18": "clipp",
    "rtdetr-l": "clipp",
    "rtdetrv2-r18": "iou_cropp",
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from icr.data.synth import generate

    folder = tmp_path_factory.mktemp("generated") / "scenes"
    generate(folder, counts={"train": 4, "val": 2}, close=True, workers=1)
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[training.TrainSettings]:
    """What engines were asked to train; nothing is trained."""
    seen: list[training.TrainSettings] = []
    evaluated = SimpleNamespace(as_table=lambda: "a table", as_json=dict)
    monkeypatch.setattr(training, "engine", lambda name: SimpleNamespace(train=seen.append, check_overrides_of=Mock()))
    monkeypatch.setattr(training, "own_base", lambda detector, *others: detector.base)
    monkeypatch.setattr(training, "_evaluate", lambda *settings: evaluated)
    return seen


@pytest.mark.parametrize(("name", "mistyped"), KINDS.items())
def test_an_unknown_setting_is_refused_with_the_nearest_one(
    scenes: Path, tmp_path: Path, name: str, mistyped: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if find_spec(DETECTORS[name].engine) is None:
        pytest.skip(f"{DETECTORS[name].engine} is not installed")
    out = tmp_path / "run"
    words = ["train", str(scenes), "--model", name, "--device", "cpu", "--imgsz", "320", "--out", str(out)]
    assert icr([*words, "--set", f"{mistyped}=1"]) == 2
    (only,) = capsys.readouterr().err.splitlines()
    assert (
        only.startswith(f"icr: --set {mistyped}")
        and f"did you mean '{mistyped.replace('rr', 'r').replace('pp', 'p')}'" in only
    )
    assert not out.exists()


def test_a_preset_completes_what_is_not_given_and_is_recorded(
    scenes: Path, tmp_path: Path, asked: list[training.TrainSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = ["train", str(scenes), "--model", "yolov9-t", "--device", "cpu", "--out", str(out), "--preset", "paper"]
    assert icr([*words, "--epochs", "3", "--set", "mixup=0"]) == 0
    (settings,) = asked
    assert (settings.epochs, settings.batch, settings.imgsz, settings.preset) == (3, 32, 640, "paper")
    assert settings.overrides["optimizer"] == "SGD" and settings.overrides["mixup"] == 0
    assert "iou_t" not in settings.overrides, "what an engine ignores is not handed to it"
    record = json.loads((out / "run.json").read_text())
    assert record["preset"] == "paper" and record["overrides"]["hsv_v"] == 0.47
    assert "of no effect here: cls_pw" in capsys.readouterr().err


def test_without_a_preset_the_defaults_stand(scenes: Path, tmp_path: Path, asked: list[training.TrainSettings]) -> None:
    assert icr(["train", str(scenes), "--model", "yolo11n", "--device", "cpu", "--out", str(tmp_path / "run")]) == 0
    (settings,) = asked
    assert (settings.imgsz, settings.epochs, settings.batch, settings.overrides) == (640, 100, 16, {})
    assert settings.preset is None


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--model", "yolov9-t", "--preset", "papre"], "did you mean 'paper'"),
        (["--model", "yolo11n", "--preset", "uav-detr"], "not for yolo11n; for it there is paper"),
    ],
)
def test_a_preset_that_does_not_fit_is_refused(
    scenes: Path, tmp_path: Path, more: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert icr(["train", str(scenes), "--device", "cpu", "--out", str(tmp_path / "run"), *more]) == 2
    (only,) = capsys.readouterr().err.splitlines()
    assert said in only and not (tmp_path / "run").exists()


@pytest.mark.parametrize("more", [["--weight", "-1"], ["--relation", "vehicle:plate"], ["--set", "lrr=1"]])
def test_a_refusal_is_the_only_line_though_a_preset_has_much_to_say(
    scenes: Path, tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ultralytics")
    words = ["train", str(scenes), "--model", "yolo11n", "--device", "cpu", "--preset", "paper"]
    assert icr([*words, "--out", str(tmp_path / "run"), *more]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_folder_that_is_taken_is_refused_in_one_line(
    scenes: Path, tmp_path: Path, asked: list[training.TrainSettings], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    words = ["train", str(scenes), "--model", "yolo11n", "--device", "cpu", "--preset", "paper"]
    assert icr([*words, "--out", str(tmp_path / "run")]) == 2
    (only,) = capsys.readouterr().err.splitlines()
    assert "nothing is written over" in only and not asked


def test_presets_are_named_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert icr(["train", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name in ("paper", "paper-appendix", "paper-rtdetrv2", "rtdetrv2", "uav-detr"):
        assert name in shown
    assert "--trust" in shown


@pytest.mark.parametrize(("name", "mistyped"), KINDS.items())
def test_every_kind_takes_the_settings_of_its_presets(name: str, mistyped: str) -> None:
    from icr import presets

    if find_spec(DETECTORS[name].engine) is None:
        pytest.skip(f"{DETECTORS[name].engine} is not installed")
    fitting = [each for each in presets.NAMES if presets.read(each, name).fits(DETECTORS[name])]
    assert fitting
    for each in fitting:
        given: dict[str, Any] = dict(presets.read(each, name).settings)
        engine(DETECTORS[name].engine).check_overrides_of(name, given)
