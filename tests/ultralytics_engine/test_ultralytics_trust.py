# SPDX-License-Identifier: AGPL-3.0-only
"""A pickle that the restricted loader refuses is run with --trust alone, and the refusal says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from tiny_scenes import SIZE

from icr.cli.commands import run as icr


@pytest.fixture
def foreign(nets: SimpleNamespace, tmp_path: Path) -> Iterator[Path]:
    """A checkpoint whose model holds an object of a class that Ultralytics does not know."""
    from ultralytics.nn.tasks import DetectionModel

    module = ModuleType("somebodys_code")
    exec("class Extra:\n    pass", module.__dict__)
    sys.modules["somebodys_code"] = module
    model = DetectionModel(str(nets.plain), nc=2, verbose=False)
    model.names, model.extra = {0: "plate", 1: "vehicle"}, module.Extra()
    weights = tmp_path / "foreign.pt"
    torch.save({"model": model, "train_args": {"imgsz": SIZE}}, weights)
    yield weights
    del sys.modules["somebodys_code"]


def test_every_command_that_reads_weights_asks_for_trust(
    foreign: Path, scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures, cpu = str(scenes.parent / "images" / "val"), ["--device", "cpu"]
    sizes = ["--imgsz", str(SIZE), "--epochs", "1", "--batch", "4", "--workers", "0", "--set", "plots=False"]
    commands = {
        "eval": ["eval", str(foreign), str(scenes), "--resamples", "0", *cpu],
        "predict": ["predict", str(foreign), pictures, "--out", str(tmp_path / "found"), *cpu],
        "train": ["train", str(scenes), "--model", str(foreign), "--out", str(tmp_path / "run"), *sizes, *cpu],
    }
    for name, words in commands.items():
        assert icr(words) == 2, name
        last = capsys.readouterr().err.splitlines()[-1]
        assert "restricted loader" in last and "--trust runs it" in last, last
        assert "it asks for somebodys_code.Extra" in last, last
    assert not (tmp_path / "run").exists() and not (tmp_path / "found").exists()
    for name, words in commands.items():
        assert icr([*words, "--trust"]) == 0, name


def test_export_takes_trust_too(foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    assert icr(["export", str(foreign)]) == 2
    assert "--trust" in capsys.readouterr().err
    assert icr(["export", str(foreign), "--trust"]) == 0


def test_a_damaged_file_is_not_helped_by_trust(
    scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.pt").write_bytes(b"hello")  # which PyTorch's loader answers with a bare number
    words = ["predict", str(tmp_path / "x.pt"), str(scenes.parent / "images" / "val"), "--device", "cpu"]
    assert icr(words) == 2
    assert "it is damaged or of another kind" in capsys.readouterr().err
    assert icr([*words, "--trust"]) == 2
    assert "not even with --trust" in capsys.readouterr().err
