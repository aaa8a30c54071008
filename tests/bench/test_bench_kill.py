"""A grid killed with SIGKILL at random moments ends with the cells of a run that nothing disturbed."""

from __future__ import annotations

import csv
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from pretended_training import PAUSE

from icr import runs
from icr.bench.opening import locked
from icr.bench.store import finished

HERE = Path(__file__).parent


def killed(asked: Sequence[str], store: Path, moments: Sequence[float], *, until_end: bool = True) -> int:
    """Start a command again and again, each time killing it so many seconds after a cell begins, then let it end.

    Args:
        until_end: start it once more, and let it.

    Returns:
        How often it was killed before it ended by itself.
    """
    kills = 0
    for moment in moments:
        started = time.time()
        process = subprocess.Popen(asked, stdout=subprocess.DEVNULL)
        while process.poll() is None and not _began_since(store, started):
            time.sleep(0.02)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    if until_end:
        subprocess.run(asked, stdout=subprocess.DEVNULL, check=True)
    return kills


def _began_since(store: Path, moment: float) -> bool:
    return any(mark.stat().st_mtime >= moment for mark in store.glob("running/*.json"))


def figures(store: Path) -> dict[str, tuple[object, ...]]:
    """What the tables and curves of a store rest on, cell by cell; the times are left out."""
    found = {}
    for each in finished(store):
        with (each.folder / "results.csv").open() as opened:
            rows = [{key: value for key, value in row.items() if key != "time"} for row in csv.DictReader(opened)]
        texts = [(each.folder / name).read_text() for name in ("curve.csv", runs.METRICS)]
        predictions = (each.folder / "predictions-test.json.gz").read_bytes()
        found[each.cell.key] = (rows, *texts, predictions, each.record["data_fingerprint"])
    return found


def test_a_killed_grid_ends_with_the_same_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv(PAUSE, "0.15")
    script, calm, torn = [sys.executable, str(HERE / "pretended_run.py")], tmp_path / "calm", tmp_path / "torn"
    killed([*script, str(calm)], calm, [])
    # Longer than a process takes to see that the one watching it was killed: these cells do not end all the same.
    monkeypatch.setenv(PAUSE, "2")
    assert killed([*script, str(torn)], torn, [0.0, 0.0], until_end=False) == 2
    monkeypatch.setenv(PAUSE, "0.15")
    chance = random.Random(0)
    killed([*script, str(torn)], torn, [chance.uniform(0.0, 1.5), chance.uniform(0.0, 1.5)])
    assert figures(torn) == figures(calm)
    assert len(finished(torn)) == 3
    assert "restarted" in {each.interrupted for each in finished(torn)}
    assert {each.interrupted for each in finished(calm)} == {""}
    assert not list((torn / "running").iterdir())


def test_nothing_trains_on_when_its_grid_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.setenv(PAUSE, "60")
    # Its cells hold the store's lock, too: what goes on training keeps it longer than this waits.
    monkeypatch.setattr("icr.bench.opening._PATIENCE", 90)
    asked = [sys.executable, str(HERE / "pretended_run.py"), str(tmp_path)]
    process = subprocess.Popen(asked, stdout=subprocess.DEVNULL)
    record = tmp_path / "cells" / "scenes" / "yolo11n" / "ciou" / "baseline-w0" / "seed0" / runs.RECORD
    while not record.is_file():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with locked(tmp_path, print):
        assert not runs.read_record(record.parent)["trained"]
        assert not (record.parent / "curve.csv").exists()


def test_what_is_predicted_does_not_depend_on_what_was_imported_before() -> None:
    """Ultralytics suppresses boxes with torchvision where something has imported it, with its own code where not."""
    pytest.importorskip("ultralytics")
    asked = "import sys, icr.ultralytics.prediction; sys.exit('torchvision' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked]).returncode == 0


@pytest.mark.slow
def test_a_killed_grid_of_real_trainings_ends_with_the_same_cells(tmp_path: Path) -> None:
    pytest.importorskip("ultralytics")
    from real_grid import write_grid

    script = [sys.executable, "-m", "icr", "bench", "run", str(write_grid(tmp_path)), "--device", "cpu", "--out"]
    calm, torn = tmp_path / "calm", tmp_path / "torn"
    killed([*script, str(calm)], calm, [])
    # Of what a cell takes here: a machine that is three times faster or slower does not matter.
    longest = 0.8 * min(each.seconds for each in finished(calm))
    chance = random.Random(1)
    assert killed([*script, str(torn)], torn, [chance.uniform(0.0, longest) for _ in range(4)]) >= 2
    assert figures(torn) == figures(calm)
    assert len(finished(torn)) == 2
