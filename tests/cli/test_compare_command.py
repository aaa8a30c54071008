"""`icr compare` and `icr bench compare` from the command line, with runs that are really trained, for a second each."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from icr import runs
from icr.cli.commands import BAD_INPUT, DONE, FAILED, INTERRUPTED, run
from icr.data.synth import generate

Capture = pytest.CaptureFixture[str]

needs_ultralytics = pytest.mark.skipif(find_spec("ultralytics") is None, reason="needs the ultralytics extra")

NET = """nc: 2
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [24, 3, 2]]
head:
  - [[1, 2], 1, Detect, [nc]]
"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "plates"
    generate(folder, counts={"train": 8, "val": 2, "test": 6}, size=(96, 96), close=True, workers=1)
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("net") / "tiny.yaml"
    path.write_text(NET)
    return path


def compare(scenes: Path, net: Path, out: Path, *more: str) -> int:
    os.environ.setdefault("YOLO_OFFLINE", "1")
    schedule = [f"--set={each}" for each in ("plots=false", "optimizer=AdamW", "lr0=0.02", "nbs=2", "warmup_epochs=0")]
    sizes = ["--imgsz=96", "--epochs=5", "--batch=2", "--device=cpu", "--workers=0", "--resamples=50"]
    return run(["compare", str(scenes), "--model", str(net), "--out", str(out), *sizes, *schedule, *more])


@needs_ultralytics
def test_two_seeds_are_really_trained_paired_and_compared(
    scenes: Path, net: Path, tmp_path: Path, capfd: Capture
) -> None:
    out = tmp_path / "out"
    # With λ = 0 the hooks of ICR run and change nothing, so a pair must come out the same to the last bit.
    assert compare(scenes, net, out, "--seeds=2", "--weight=0", "--json") == DONE
    told, said = capfd.readouterr()
    found = json.loads(told)
    assert found["verdict"] == "cannot tell"
    assert found["seeds"] == [[0, 0], [1, 1]]
    assert "2 pairs of runs, and 3 are the least" in found["claims"][0]["reason"]
    assert {claim["difference"] for claim in found["claims"]} == {0.0}
    assert found["split"] == "test" and found["images"] == 6
    assert "run 4 of 4: seed 1, ICR" in said
    predicted = {
        f"{seed}-{arm}": (out / f"seed{seed}-{arm}" / "predictions-test.json.gz").read_bytes()
        for seed in (0, 1)
        for arm in ("baseline", "icr")
    }
    assert predicted["0-baseline"] == predicted["0-icr"]
    assert predicted["1-baseline"] == predicted["1-icr"]
    assert predicted["0-baseline"] != predicted["1-baseline"]

    # The same command trains nothing anew, and a single run can be judged with any other.
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.pt")}
    assert compare(scenes, net, out, "--seeds=2", "--weight=0") == DONE
    told, said = capfd.readouterr()
    assert "4 of 4 runs are finished" in said and "cannot tell" in told
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.pt")} == before
    pair = [str(out / "seed0-baseline"), str(out / "seed0-icr")]
    assert run(["bench", "compare", *pair, "--resamples=50", "--json"]) == DONE
    found = json.loads(capfd.readouterr().out)
    assert found["arms"] == ["baseline", "ICR"] and found["claims"][0]["interval"] == [0.0, 0.0]

    # Other settings in the same folder are refused before a run is touched.
    assert compare(scenes, net, out, "--seeds=2", "--weight=2.5") == BAD_INPUT
    assert "seed0-icr was made with other settings: relations was" in capfd.readouterr().err


def test_wrong_usage_is_one_line(scenes: Path, net: Path, tmp_path: Path, capsys: Capture) -> None:
    for arguments, told in (
        (["compare", str(scenes), "--model", "yolo11n", "--seeds", "0"], "--seeds 0: expected a whole number"),
        (
            ["compare", str(scenes), "--model", "yolo11n", "--relation", "plate:cat", "--out", str(tmp_path / "a")],
            "cat",
        ),
        (["compare", str(scenes), "--model", "yol11n", "--out", str(tmp_path / "a")], "no detector has that name"),
        (["compare", str(tmp_path / "none.yaml"), "--model", "yolo11n"], "none.yaml"),
        (["bench", "compare", str(tmp_path)], "1 run given"),
        (["bench", "compare", str(tmp_path), str(scenes.parent)], "is not a run"),
    ):
        assert run(arguments) == BAD_INPUT, arguments
        out, err = capsys.readouterr()
        assert out == "" and told in err and "Traceback" not in err
    assert not (tmp_path / "a").exists()


def test_failed_runs_end_with_1_and_an_interrupt_with_3(
    scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def broken(data: Path, *, out: Path, **_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr("icr.training.train", broken)
    arguments = ["compare", str(scenes), "--model", "yolo11n", "--seeds", "2", "--out", str(tmp_path), "--json"]
    assert run(arguments) == FAILED
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"] is None and len(json.loads(out)["failures"]) == 4
    assert "failed: RuntimeError: out of memory" in err and "nothing can be compared" in err

    def interrupted(data: Path, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("icr.training.train", interrupted)
    assert run(arguments) == INTERRUPTED
    assert not list(tmp_path.glob(f"*/{runs.RECORD}"))
