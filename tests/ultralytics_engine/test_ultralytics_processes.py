# SPDX-License-Identifier: AGPL-3.0-only
"""`torchrun -m icr train`: two processes on the processor train one detector, and count its pairs together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_scenes import SIZE, results, write_set

from icr import distributed
from icr.errors import InputError
from icr.ultralytics import processes


def two_processes(data: Path, net: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = ["train", str(data), "--model", str(net), "--out", str(out), "--imgsz", str(SIZE), "--device", "cpu"]
    settings = ["--workers", "0", "--set", "plots=False", "--set", "mosaic=0", "--set", "warmup_epochs=0"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "icr"]
    return subprocess.run(
        [*launcher, *command, *settings, *more],
        capture_output=True,
        text=True,
        cwd=out.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1", "YOLO_OFFLINE": "1"},
        check=False,
    )


@pytest.mark.parametrize(
    "net", ["plain", *(pytest.param(each, marks=pytest.mark.slow) for each in ("end2end", "yolov9-t"))]
)
def test_pairs_are_counted_over_both_and_a_process_without_a_box_hangs_nobody(
    nets: SimpleNamespace, tmp_path: Path, net: str
) -> None:
    """Of six pictures one has boxes: in every step at least one of the two processes has none."""
    data = write_set(tmp_path / "set", {"train": 6, "val": 2}, seed=1)
    labels = sorted((tmp_path / "set" / "labels" / "train").iterdir())
    for each in labels[1:]:
        each.write_text("")
    pairs = sum(line.startswith("0 ") for line in labels[0].read_text().splitlines())
    out = tmp_path / "run"
    done = two_processes(data, getattr(nets, net, Path(net)), out, "--epochs", "2", "--batch", "2")
    assert done.returncode == 0, done.stderr[-5000:]
    rows = results(out)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:  # three steps; whichever process had the picture, its pairs are in the mean over them
        assert float(row["train/icr_pairs"]) == pytest.approx(pairs / 3, rel=1e-4)
        assert 0 <= float(row["train/icr_containment"]) <= 1
        expected = 1 + 2.5 * (1 - float(row["train/icr_containment"]))
        assert float(row["train/icr_factor"]) == pytest.approx(expected, abs=1e-3)
    assert (out / "metrics.json").is_file() and done.stdout.count("pair recall") == 1, "one process alone evaluates"


def test_counters_are_means_over_the_pairs_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    other = torch.tensor([1.0, 1.0 * 0.2, 1.0 * 3.0])
    monkeypatch.setattr(processes.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(processes.distributed, "all_reduce", lambda sums: sums.add_(other))
    own = {"box_loss": torch.tensor(4.0), "icr_pairs": 3.0, "icr_containment": 0.6, "icr_factor": 2.0}
    trainer: Any = SimpleNamespace(_box=object(), tloss=own, device=torch.device("cpu"))
    processes.gather_counters(trainer)
    assert {key: float(value) for key, value in trainer.tloss.items()} == pytest.approx(
        {"box_loss": 4.0, "icr_pairs": 4.0, "icr_containment": 0.5, "icr_factor": 2.25}
    )


def test_a_process_too_many_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "3")
    distributed.check("cpu")
    distributed.check("0,1,2")
    assert distributed.device() == ("0,1,2" if torch.cuda.is_available() else "cpu")
    with pytest.raises(InputError, match="torchrun started 3 processes; name as many GPUs, such as 0,1,2"):
        distributed.check("0,1")
    monkeypatch.delenv("RANK")
    assert distributed.device() is None
