"""A killed run goes on exactly where it stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers")

from tiny_pictures import table

from icr import checkpoints
from icr.bench.epoch_strips import epoch_weights
from icr.transformers import engine
from icr.transformers.history import Table
from icr.transformers.training import last_whole

KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from icr.transformers import training
from icr.transformers.launch import read_settings
from icr.transformers.engine import train

torch.set_num_threads(1)
stop = {stop}
step = training.Follow.on_step_end

def on_step_end(self, args, state, control, **others):
    if state.global_step == stop:
        os.kill(os.getpid(), signal.SIGKILL)
    step(self, args, state, control, **others)

training.Follow.on_step_end = on_step_end
train(read_settings(Path(sys.argv[1])))
"""


def killed(settings, folder: Path, stop: int) -> None:
    """Train in another process that is killed after so many steps."""
    from dataclasses import asdict

    asked = folder / "asked.json"
    asked.write_text(json.dumps(asdict(settings), default=str))
    command = [sys.executable, "-c", KILLED.format(stop=stop), str(asked)]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def same(first: Path, second: Path) -> bool:
    one, other = checkpoints.read(first).tensors, checkpoints.read(second).tensors
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def without_time(run: Path) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if key != "time"} for row in table(run)]


@pytest.mark.parametrize(
    "control",
    [pytest.param({}, id="product"), pytest.param({"form": "permuted"}, id="permuted", marks=pytest.mark.slow)],
)
def test_a_killed_and_resumed_run_ends_as_an_unbroken_one(asked, tmp_path, control):
    control = {**control, "overrides": {"save_period": 2}}
    unbroken = asked("unbroken", epochs=3, **control)
    engine.train(unbroken)
    broken = asked("broken", epochs=3, **control)
    killed(broken, tmp_path, stop=5)  # two steps an epoch: in the middle of the third
    assert last_whole(broken.out / "checkpoints") is not None
    engine.train(asked("broken", epochs=3, resume=True, **control))
    assert without_time(unbroken.out) == without_time(broken.out)
    assert table(unbroken.out, "curve.csv") == table(broken.out, "curve.csv")
    assert {epoch: path.name for epoch, path in epoch_weights(broken.out).items()} == {
        1: "epoch0.safetensors",
        3: "epoch2.safetensors",
    }
    assert len(list((broken.out / "weights").iterdir())) == 4
    for name in ("last", "best", "epoch0", "epoch2"):
        weights = f"weights/{name}.safetensors"
        assert same(unbroken.out / weights, broken.out / weights)
    assert not list(broken.out.glob("checkpoints*"))


def test_other_chance_gives_other_weights(asked):
    """The test above would not tell otherwise."""
    for name, seed in (("one", 0), ("other", 1)):
        engine.train(asked(name, epochs=1, seed=seed))
    assert not same(asked("one").out / "weights/last.safetensors", asked("other").out / "weights/last.safetensors")


def test_a_run_that_is_over_is_not_trained_again(asked):
    engine.train(asked("run", epochs=1))
    before = (asked("run").out / "results.csv").read_bytes()
    engine.train(asked("run", epochs=1, resume=True))
    assert (asked("run").out / "results.csv").read_bytes() == before


@pytest.mark.slow
def test_a_run_killed_in_its_first_epoch_starts_anew(asked, tmp_path):
    run = asked("run", epochs=1)
    killed(run, tmp_path, stop=1)
    engine.train(asked("run", epochs=1, resume=True))
    assert [row["epoch"] for row in table(run.out)] == ["1"]


def test_a_checkpoint_whose_state_is_cut_short_is_passed_over(tmp_path):
    for step, state in ((2, '{"epoch": 1.0}'), (4, '{"epo')):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_whole(tmp_path) == tmp_path / "checkpoint-2"


def test_rows_after_the_checkpoint_go(tmp_path):
    full = Table(tmp_path / "results.csv")
    full.add({"epoch": 1, "loss": 3}, {"epoch": 2, "loss": 2})
    shorter = Table(tmp_path / "results.csv", 1)
    assert shorter.epochs == 1
    shorter.add({"epoch": 2, "loss": 1})
    assert Table(tmp_path / "results.csv", 9).rows == [{"epoch": "1", "loss": "3"}, {"epoch": "2", "loss": "1"}]


def test_the_number_of_processes_that_load_pictures_does_not_matter(asked):
    for name, workers in (("none", 0), ("two", 2)):
        engine.train(asked(name, epochs=2, workers=workers))
    assert same(asked("none").out / "weights/last.safetensors", asked("two").out / "weights/last.safetensors")


@pytest.mark.parametrize(
    ("device", "state", "exact"), [("cpu", "{}", True), ("0,1", "{}", False), ("cpu", "{", False), ("cpu", None, False)]
)
def test_a_run_goes_on_exactly_on_one_device_from_a_whole_checkpoint(tmp_path, device, state, exact):
    (tmp_path / "run.json").write_text(json.dumps({"device": device}))
    if state is not None:
        (tmp_path / "checkpoints/checkpoint-2").mkdir(parents=True)
        (tmp_path / "checkpoints/checkpoint-2/trainer_state.json").write_text(state)
    assert engine.continues_exactly(tmp_path) is exact
    assert not engine.continues_exactly(tmp_path / "nowhere")
