"""Names, files and refusals of the registry of detectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from icr.detectors import DETECTORS, find, load
from icr.errors import InputError


@pytest.mark.parametrize("name", ["yolov8n", "yolov9t", "yolov10s", "yolo11n", "yolo12n", "yolo26n"])
def test_the_families_of_ultralytics_are_known_by_its_own_names(name: str) -> None:
    assert find(name) is DETECTORS[name]
    assert find(f"{name}.pt").engine == "ultralytics"
    assert find(f"{name}.yaml").licence == "AGPL-3.0"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("yolo11m-seg", "use one, such as yolo11m"),
        ("yolo11n-pose.pt", "-pose model"),
        ("yolov8n-obb.yaml", "-obb model"),
        ("yolo11q", "did you mean 'yolo11"),
        ("resnet", "icr models lists all"),
        ("best.onnx", "cannot be trained"),
        ("nowhere/best.pt", "no such file"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(model: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        find(model)
    assert "\n" not in str(refusal.value)


def test_a_folder_of_transformers_is_named_as_a_setting(tmp_path: Path) -> None:
    (tmp_path / "config.json").touch()
    with pytest.raises(InputError, match=f"--set pretrained={tmp_path}"):
        find(str(tmp_path))


def test_a_run_is_answered_with_its_weights(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    for file in ("run.json", "weights/best.safetensors"):
        (tmp_path / file).touch()
    with pytest.raises(InputError, match=f"name its weights: {tmp_path}/weights/best.safetensors"):
        find(str(tmp_path))


def test_a_detector_is_loaded_on_one_device(tmp_path: Path) -> None:
    (tmp_path / "best.pt").touch()
    with pytest.raises(InputError, match="name one, such as 0"):
        load(tmp_path / "best.pt", "0,1")


def test_a_file_is_taken_as_it_is(tmp_path: Path) -> None:
    net = tmp_path / "my net.yaml"
    net.touch()
    assert find(str(net)).name == str(net)


@pytest.mark.parametrize(("name", "said"), [("none.pt", "not there"), ("", "a folder"), ("x.bin", "kind '.bin'")])
def test_weights_that_cannot_be_loaded(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "x.bin").touch()
    with pytest.raises(InputError, match=said):
        load(tmp_path / name)
