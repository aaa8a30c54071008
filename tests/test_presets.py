"""Presets: each equals the paper's table that it follows, is refused where it does not belong, and gives way."""

from __future__ import annotations

import csv
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

import pytest

from icr import presets
from icr.detectors import DETECTORS, find
from icr.errors import InputError

RTDETRV2 = {
    "RandomPhotometricDistort": "photometric",
    "RandomZoomOut": "zoom_out",
    "RandomIoUCrop": "iou_crop",
    "RandomHorizontalFlip": "flip",
}


def table(name: str) -> dict[str, str]:
    text = resources.files("icr.paper").joinpath(name).read_text(encoding="utf-8")
    return {row["parameter"]: row["value"] for row in csv.DictReader(text.splitlines())}


@pytest.mark.parametrize("name", presets.NAMES)
def test_a_preset_holds_every_row_of_its_table_and_says_why_one_has_no_effect(name: str) -> None:
    preset = presets.read(name)
    for parameter, value in (table(preset.table) if preset.table else {}).items():
        key = RTDETRV2.get(parameter, parameter)
        held = preset.settings.get(key, preset.inactive[key].value if key in preset.inactive else None)
        assert held is not None, f"{name} lacks {parameter}"
        assert float(held) == (0.0 if value == "off" else float(value)), parameter
    assert all(len(each.why) > 10 for each in preset.inactive.values())
    assert not set(preset.settings) & set(preset.inactive)


def test_the_default_is_table_5_with_the_text() -> None:
    preset = presets.read(presets.DEFAULT)
    assert preset.table == "table5.csv"
    assert preset.options == {"imgsz": 640, "epochs": 100, "batch": 32}
    assert (preset.settings["optimizer"], preset.settings["lr0"]) == ("SGD", 0.01)


def test_epochs_are_those_of_table_2() -> None:
    text = resources.files("icr.paper").joinpath("table2.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        name = {"RT-DETRv2": "paper-rtdetrv2", "UAV-DETR": "paper-appendix"}.get(row["model"], "paper")
        assert presets.read(name).options["epochs"] == int(row["epochs"])


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_detector_of_the_paper_has_a_preset_and_every_preset_a_detector(name: str) -> None:
    fitting = [each for each in presets.NAMES if presets.read(each, name).fits(DETECTORS[name])]
    assert fitting or not DETECTORS[name].paper
    for each in fitting:
        assert presets.applied(each, DETECTORS[name], {})["preset"] == each


def test_weights_of_ours_have_the_presets_of_their_detector(tmp_path: Path) -> None:
    from icr import checkpoints

    file = tmp_path / "best.safetensors"
    checkpoints.write(file, checkpoints.Checkpoint("ultralytics", "uav-detr-r18", ["plate"], 640, {}, {}))
    made = presets.applied("paper-appendix", find(str(file)), {})
    assert "optimizer" in made["overrides"] and "box" not in made["overrides"]
    with pytest.raises(InputError, match="for it there is paper-appendix, uav-detr"):
        presets.applied("paper", find(str(file)), {})


def test_what_is_given_wins() -> None:
    given = {"epochs": 3, "batch": None, "overrides": {"mixup": 0.0}, "seed": 7}
    made = presets.applied("paper", find("yolo12n"), given)
    assert (made["epochs"], made["batch"], made["seed"]) == (3, 32, 7)
    assert made["overrides"]["mixup"] == 0.0 and made["overrides"]["mosaic"] == 1.0


def test_what_has_no_effect_is_said() -> None:
    said: list[str] = []
    presets.applied("paper", find("yolo11n"), {}, said.append)
    assert "iou_t 0.2, anchor_t 5.0 (of anchor boxes" in said[0] and "\n" not in said[0]


@pytest.mark.parametrize(
    ("name", "model", "said"),
    [
        ("papr", "yolo11n", r"did you mean 'paper'\?.*paper-appendix \(Ultralytics' defaults"),
        ("rtdetrv2", "yolo11n", "not for yolo11n; for it there is paper, paper-appendix"),
        ("uav-detr", "yolo12n", "not for yolo12n"),
    ],
)
def test_a_wrong_preset_is_refused_with_those_that_fit(name: str, model: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        presets.applied(name, find(model), {})


@pytest.mark.skipif(find_spec("ultralytics") is None, reason="Ultralytics is not installed")
def test_ultralytics_knows_every_setting_and_the_appendix_is_its_defaults() -> None:
    from ultralytics.utils import DEFAULT_CFG_DICT

    from icr.ultralytics.overrides import check_overrides

    for name in ("paper", "paper-appendix"):
        check_overrides(dict(presets.read(name).settings))
    preset = presets.read("paper-appendix")
    for key, value in {**preset.options, **preset.settings}.items():
        assert value == DEFAULT_CFG_DICT[key], key


@pytest.mark.skipif(find_spec("transformers") is None, reason="Transformers is not installed")
@pytest.mark.parametrize("model", ["rtdetrv2-r18", "rtdetrv2-r34", "rtdetrv2-r50"])
def test_the_transformers_engine_knows_every_setting_and_has_the_official_ones_by_itself(model: str) -> None:
    from icr.transformers.settings import EngineSettings, read

    read(presets.read("paper-rtdetrv2", model).settings)
    preset = presets.read("rtdetrv2", model)
    official, own = read(preset.settings), EngineSettings()
    assert official.backbone_rate(model) == own.backbone_rate(model)
    assert official.calm_after(preset.options["epochs"], model) == own.calm_after(preset.options["epochs"], model)
    assert official.varies_size(model) == own.varies_size(model)
    for key in ("lr", "weight_decay", "clip", "ema_decay", "ema_ramp", "photometric", "zoom_out", "iou_crop", "flip"):
        assert getattr(official, key) == getattr(own, key), key
