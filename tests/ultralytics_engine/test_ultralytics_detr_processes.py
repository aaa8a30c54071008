# SPDX-License-Identifier: AGPL-3.0-only
"""Two processes on the processor train a detector of the RT-DETR kind and UAV-DETR."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_ultralytics_processes import two_processes
from tiny_scenes import DETR, results, write_set


@pytest.mark.slow
@pytest.mark.parametrize("net", ["tiny", "uav-detr-r18"])
def test_two_processes_keep_the_loss_and_one_without_a_box_hangs_nobody(net: str, tmp_path: Path) -> None:
    """Of six pictures one has boxes: in every step at least one of the two processes has none."""
    data = write_set(tmp_path / "set", {"train": 6, "val": 2}, seed=1)
    labels = sorted((tmp_path / "set" / "labels" / "train").iterdir())
    for each in labels[1:]:
        each.write_text("")
    pairs = sum(line.startswith("0 ") for line in labels[0].read_text().splitlines())
    plan = tmp_path / "detr.yaml"
    plan.write_text(DETR)
    out = tmp_path / "run"
    model = plan if net == "tiny" else Path(net)
    done = two_processes(data, model, out, "--epochs", "2", "--batch", "2", "--set", "mixup=0")
    assert done.returncode == 0, done.stderr[-5000:]
    rows = results(out)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        assert float(row["train/icr_pairs"]) == pytest.approx(pairs / 3, rel=1e-4)
        expected = 1 + 2.5 * (1 - float(row["train/icr_containment"]))
        assert float(row["train/icr_factor"]) == pytest.approx(expected, abs=1e-3)
    assert (out / "metrics.json").is_file()
    assert {each.stem for each in (out / "weights").iterdir()} == {"best", "last"}
