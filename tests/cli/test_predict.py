"""`icr predict` as a command; the detector behind it is one that looks at colours."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icr import detectors
from icr.cli.commands import run as icr
from icr.predictions import Predictions

PLATE, VEHICLE = (70, 80, 100, 96), (40, 30, 140, 110)


class _Detector:
    names = ("plate", "vehicle")

    def predict(self, images, **settings):  # type: ignore[no-untyped-def]
        for _ in images:
            print("chatter of an engine")
            yield Predictions(np.array([PLATE, VEHICLE], float), np.array([0.9, 0.8]), np.array([0, 1]))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder with weights that any detector could have written."""
    monkeypatch.setattr(detectors, "load", lambda weights, device="cpu", trust=False: _Detector())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run" / "weights").mkdir(parents=True)
    (tmp_path / "run" / "weights" / "best.pt").touch()
    record = {"relations": [{"child": "plate", "parent": ["vehicle"], "weight": 2.5}]}
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (200, 140), (90, 90, 90)).save(tmp_path / "pictures" / "a.png")
    return tmp_path / "run" / "weights" / "best.pt"


def test_relations_come_from_the_run_and_stdout_is_the_answer_alone(
    weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert icr(["predict", str(weights), "pictures", "--json"]) == 0
    out, err = capfd.readouterr()
    (entry,) = json.loads(out)
    assert entry["boxes"] == [list(PLATE), list(VEHICLE)]
    assert entry["parents"] == [1, -1]
    assert "as trained with" in err and "chatter of an engine" in err
    assert json.loads(Path("predictions/predictions.json").read_text()) == [entry]


def test_a_second_run_takes_a_folder_of_its_own(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for expected in ("predictions", "predictions-2"):
        assert icr(["predict", str(weights), "pictures"]) == 0
        assert capfd.readouterr().out == f"{expected}/predictions.json\n"
    assert icr(["predict", str(weights), "pictures", "--out", "predictions"]) == 2
    assert "exists and is not empty" in capfd.readouterr().err


def test_a_file_that_cannot_be_read_is_named_and_ends_with_1(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("pictures/broken.jpg").write_bytes(b"")
    assert icr(["predict", str(weights), "pictures", "--out", "found", "--crops"]) == 1
    assert "left out: pictures/broken.jpg" in capfd.readouterr().err
    assert sorted(path.name for path in Path("found").iterdir()) == ["a.jpg", "crops", "predictions.json"]


def test_nothing_readable_is_said(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("broken.jpg").write_text("no picture")
    assert icr(["predict", str(weights), "broken.jpg", "--json"]) == 1
    out, err = capfd.readouterr()
    assert json.loads(out) == []
    assert "could be read" in err


def test_weights_that_stand_alone_have_no_relations(weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("run/run.json").unlink()
    assert icr(["predict", str(weights), "pictures", "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)[0]["parents"] == [-1, -1]
    assert "no relation is known" in err
    assert icr(["predict", str(weights), "pictures", "--json", "--relation", "plate:vehicle"]) == 0
    assert json.loads(capfd.readouterr().out)[0]["parents"] == [1, -1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["absent.jpg"], "no such file or folder"),
        (["pictures", "--relation", "plate:vehicel"], "did you mean 'vehicle'"),
        (["pictures", "--conf", "2"], "--conf"),
        ([], "source"),
    ],
)
def test_wrong_usage_is_one_line_and_2(
    weights: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert icr(["predict", str(weights), *arguments]) == 2
    err = capfd.readouterr().err
    assert told.lower() in err.lower() and err.count("\n") == 1
    assert not Path("predictions").exists()
