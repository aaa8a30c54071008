"""`icr train` as a person meets it: a run folder, refusals in one line, a kill and what comes after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from icr.cli import commands

pytest.importorskip("ultralytics")

Capture = pytest.CaptureFixture[str]

NET = """
nc: 2
scales: {n: [1.0, 1.0, 1024]}
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, C3k2, [16, False]]
  - [-1, 1, Conv, [24, 3, 2]]
head:
  - [[2, 3], 1, Detect, [nc]]
"""


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from icr.data.synth import generate

    folder = tmp_path_factory.mktemp("generated") / "scenes"
    generate(folder, counts={"train": 12, "val": 4}, close=True, workers=1)
    return folder


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("net") / "tiny.yaml"
    file.write_text(NET)
    return file


def command(scenes: Path, net: Path, out: Path, *more: str, epochs: int = 2) -> list[str]:
    settings = ["--imgsz", "64", "--epochs", str(epochs), "--batch", "4", "--workers", "0", "--device", "cpu"]
    return ["train", str(scenes), "--model", str(net), "--out", str(out), *settings, "--set", "plots=False", *more]


def rows(out: Path) -> list[dict[str, str]]:
    lines = (out / "results.csv").read_text().splitlines()
    return [dict(zip(lines[0].split(","), line.split(","), strict=True)) for line in lines[1:]]


def test_a_run_is_a_folder_that_says_everything(scenes: Path, net: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "run"
    assert commands.run(command(scenes, net, out, "--json")) == commands.DONE
    answer = json.loads(capsys.readouterr().out)
    record = json.loads((out / "run.json").read_text())
    assert record["relations"] == [{"child": "plate", "parent": "vehicle", "weight": 2.5}]
    assert record["trained"] and record["versions"]["torch"] and record["data_fingerprint"] and record["seed"] == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["classes"].keys() == {"plate", "vehicle"} == answer["classes"].keys()
    assert (out / "weights" / "best.pt").is_file()
    assert len(rows(out)) == 2 and all(float(row["train/icr_pairs"]) > 0 for row in rows(out))


def test_without_icr_nothing_of_it_is_in_the_results(scenes: Path, net: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert commands.run(command(scenes, net, out, "--no-icr", epochs=1)) == commands.DONE
    assert not [column for column in rows(out)[0] if "icr" in column]


def test_killed_it_goes_on_with_the_same_loss_and_is_never_written_over(
    scenes: Path, net: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = tmp_path / "run"
    args = command(scenes, net, out, "--weight", "1.5", epochs=40)
    process = subprocess.Popen(
        [sys.executable, "-m", "icr", *args],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while not ((out / "weights" / "last.pt").is_file() and len(rows(out)) >= 2):
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.05)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = rows(out)
    assert 2 <= len(done) < 40 and not (out / "metrics.json").exists()

    assert commands.run(args) == commands.BAD_INPUT
    assert "--resume" in capsys.readouterr().err
    assert commands.run([*args, "--resume", "--form", "sum"]) == commands.BAD_INPUT
    assert "form was product and is now sum" in capsys.readouterr().err

    assert commands.run([*args, "--resume"]) == commands.DONE
    after = rows(out)
    assert [row["epoch"] for row in after] == [str(epoch) for epoch in range(1, 41)]
    assert after[: len(done) - 1] == done[: len(done) - 1], "what was done before the kill is kept"
    for row in after:  # the factor of the product form says which weight is at work
        expected = 1 + 1.5 * (1 - float(row["train/icr_containment"]))
        assert float(row["train/icr_factor"]) == pytest.approx(expected, abs=1e-3)
    assert (out / "metrics.json").is_file()
    assert commands.run([*args, "--resume"]) == commands.DONE, "a finished run is only evaluated"
    assert rows(out) == after


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--relation", "plat:vehicle"], "did you mean 'plate'?"),
        (["--base", "cuio"], "did you mean 'ciou'?"),
        (["--form", "add"], "product, sum, step, power"),
        (["--form", "matched"], "icr bench run does it"),
        (["--weight", "-1"], "at least 0"),
        (["--epochs", "0"], "at least 1"),
        (["--workers", "-1"], "at least 0"),
        (["--imgsz", "31"], "multiple of 32"),
        (["--device", "97"], "--device 97: this machine has"),
        (["--device", "gpu"], "expected cpu"),
        (["--no-icr", "--base", "giou"], "--base giou --weight 0"),
        (["--set", "lr=0.1"], "did you mean 'lr0'?"),
        (["--set", "lr0"], "expected key=value"),
        (["--set", "amp=bf16"], "on a GPU alone"),
        (["--set", "cache=sometimes"], "--set cache=sometimes: expected one of true, false, ram, disk"),
        (["--preset", "paper", "--set", "mosaic=2"], "--set mosaic=2: "),
        (["--model", "yolo11n-seg"], "use one, such as yolo11n"),
        (["--model", "yolo11nn"], "did you mean 'yolo11n'?"),
        (["--relation", "vehicle:plate"], "right way round"),
    ],
)
def test_bad_settings_are_one_line_and_leave_nothing_behind(
    scenes: Path, net: Path, tmp_path: Path, more: list[str], said: str, capsys: Capture
) -> None:
    out = tmp_path / "run"
    assert commands.run(command(scenes, net, out, *more)) == commands.BAD_INPUT
    (only,) = capsys.readouterr().err.splitlines()
    assert said in only
    assert not out.exists(), "a refused command leaves no run behind"


def test_no_data_is_refused(net: Path, tmp_path: Path, capsys: Capture) -> None:
    assert commands.run(command(tmp_path / "nowhere", net, tmp_path / "run")) == commands.BAD_INPUT
    assert "nowhere" in capsys.readouterr().err


def test_without_icr_no_relation_is_needed(scenes: Path, net: Path, tmp_path: Path, capsys: Capture) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    text = (scenes / "data.yaml").read_text()
    (bare / "data.yaml").write_text(f"path: {scenes}\ntrain: images/train\nval: images/val\nnames: [plate, thing]\n")
    assert "relations" in text and "relations" not in (bare / "data.yaml").read_text()
    args = command(bare, net, tmp_path / "run", "--no-icr", epochs=1)
    assert commands.run(args) == commands.DONE
    assert commands.run([*command(bare, net, tmp_path / "other"), "--relation", "thing:plate"]) == commands.BAD_INPUT
    assert "right way round" in capsys.readouterr().err
