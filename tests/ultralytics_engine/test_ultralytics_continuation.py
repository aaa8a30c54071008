# SPDX-License-Identifier: AGPL-3.0-only
"""A training that was killed and taken up again ends, to the last bit, as the one that was never killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_scenes import DETR, results, write_set

from icr import Relation, resumption
from icr.training_settings import TrainSettings
from icr.ultralytics import chance, state, trainer
from icr.ultralytics.engine import continues_exactly

Arguments = Callable[..., dict[str, Any]]
Ends = dict[str, dict[str, Any]]

# Steps of the optimizer straddle the epochs (3 batches, a step every 4), the warm-up lasts into the third epoch, and
# mosaic ends with the fourth.
UNEVEN = {"epochs": 6, "nbs": 16, "warmup_epochs": 2.5, "close_mosaic": 2, "optimizer": "SGD"}


class KilledError(BaseException):
    """A kill, as a test can survive it."""


def train(overrides: dict[str, Any], workers: int = 0, kill: tuple[int, int] | None = None, **loss: Any) -> Ends:
    """Train to the end, or break off after a batch of an epoch (from 0); what the last epoch left."""
    run = trainer(**loss)(overrides=overrides)
    run.args.workers = workers  # Ultralytics has none on a CPU
    ends: Ends = {}

    def die(each: Any) -> None:
        if (each.epoch, each.moment.batch - 1) == kill:
            raise KilledError

    def keep(each: Any) -> None:
        if each.epoch == each.epochs - 1:
            ends["model"] = {name: tensor.clone() for name, tensor in each.model.state_dict().items()}
            ends["ema"] = {name: tensor.clone() for name, tensor in each.ema.ema.state_dict().items()}
            ends["optimizer"] = dict(enumerate(each.optimizer.state_dict()["state"].values()))

    run.add_callback("on_train_batch_end", die)
    run.add_callback("on_fit_epoch_end", keep)
    run.train()
    return ends


def killed(overrides: dict[str, Any], at: tuple[int, int], **others: Any) -> None:
    """Train until it is broken off in the midst of an epoch."""
    with pytest.raises(KilledError):
        train(overrides, kill=at, **others)


def table(run: Path, name: str = "results.csv") -> list[list[str]]:
    rows = [line.split(",") for line in (run / name).read_text().splitlines()]
    column = rows[0].index("time") if "time" in rows[0] else None
    return [[value for place, value in enumerate(row) if place != column] for row in rows]


def assert_same(one: Ends, other: Ends) -> None:
    for part in ("model", "ema"):
        assert one[part].keys() == other[part].keys()
        for name, tensor in one[part].items():
            assert torch.equal(tensor, other[part][name]), (part, name)
    for place, kept in one["optimizer"].items():
        for name, value in kept.items():
            again = other["optimizer"][place][name]
            assert value is again is None or torch.equal(torch.as_tensor(value), torch.as_tensor(again))


@pytest.mark.parametrize(
    ("net", "workers", "kills"),
    [
        # before mosaic ends, in the epoch in which it ends, and after it
        ("plain", 0, [(2, 1), (4, 0), (5, 2)]),
        ("end2end", 0, [(3, 0)]),
        ("plain", 2, [(2, 1), (5, 2)]),
    ],
)
def test_a_killed_run_ends_as_if_it_had_not_been(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments, net: str, workers: int, kills: list[tuple[int, int]]
) -> None:
    settings = {"model": str(getattr(nets, net)), **UNEVEN}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = train(arguments(whole, **settings), workers)
    killed(arguments(broken, **settings), kills[0], workers=workers)
    assert continues_exactly(broken)
    again = {"resume": str(broken / "weights" / "last.pt")}
    for at in kills[1:]:
        killed(again, at, workers=workers)
    found = train(again, workers)
    assert_same(expected, found)
    assert table(whole) == table(broken) and table(whole, "curve.csv") == table(broken, "curve.csv")
    assert [each["after_epoch"] for each in resumption.resumed(broken)] == [epoch for epoch, _ in kills]
    assert resumption.is_exact(broken) and not (broken / "weights" / "state.pt").exists()
    times = [float(row["time"]) for row in results(broken)]
    assert times == sorted(times), "the clock goes on"


@pytest.mark.parametrize("kind", ["detr", pytest.param("yolov9", marks=pytest.mark.slow)])
def test_other_kinds_of_detectors_go_on_exactly_too(tmp_path: Path, arguments: Arguments, kind: str) -> None:
    from icr.ultralytics.architecture_trainer import ArchitectureTrainer
    from icr.ultralytics.detr.trainer import DETRTrainer

    (tmp_path / "detr.yaml").write_text(DETR)
    model = {"detr": str(tmp_path / "detr.yaml"), "yolov9": "yolov9-t"}[kind]
    of = {"detr": DETRTrainer, "yolov9": ArchitectureTrainer}[kind]
    settings = {"model": model, "epochs": 3, "imgsz": 64, "nbs": 16, "optimizer": "AdamW"}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = train(arguments(whole, **settings), of=of, form="permuted")
    killed(arguments(broken, **settings), (2, 1), of=of, form="permuted")
    assert continues_exactly(broken)
    left = broken / "weights" / ("state.pt" if kind == "yolov9" else "last.pt")
    assert_same(expected, train({"resume": str(left)}, of=of, form="permuted"))
    assert table(whole) == table(broken) and table(whole, "curve.csv") == table(broken, "curve.csv")
    assert resumption.is_exact(broken) and not (broken / "weights" / "state.pt").exists()


KILLED_PROCESS = """
import json, os, signal, sys
import torch
torch.set_num_threads(1)
from icr.ultralytics import trainer
run = trainer()(overrides=json.loads(sys.argv[1]))
def die(each):
    if each.epoch == 1 and each.moment.batch == 2:
        os.kill(os.getpid(), signal.SIGKILL)
run.add_callback("on_train_batch_end", die)
run.train()
"""


def test_a_process_killed_in_the_midst_of_an_epoch(tmp_path: Path, nets: SimpleNamespace, arguments: Arguments) -> None:
    settings = {"model": str(nets.plain), **UNEVEN, "epochs": 3}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = train(arguments(whole, **settings))
    done = subprocess.run(
        [sys.executable, "-c", KILLED_PROCESS, json.dumps(arguments(broken, **settings))],
        env={**os.environ, "YOLO_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert_same(expected, train({"resume": str(broken / "weights" / "last.pt")}))
    assert table(whole) == table(broken) and table(whole, "curve.csv") == table(broken, "curve.csv")
    assert resumption.is_exact(broken)


def test_chance_of_the_controls_goes_on(tmp_path: Path, nets: SimpleNamespace, arguments: Arguments) -> None:
    settings = {"model": str(nets.plain), "epochs": 3}
    for loss in ({"form": "permuted"}, {"pseudo_parent": True}):
        whole, broken = (tmp_path / f"{which}-{'-'.join(loss)}" for which in ("whole", "broken"))
        expected = train(arguments(whole, **settings), **loss)
        killed(arguments(broken, **settings), (1, 1), **loss)
        assert_same(expected, train({"resume": str(broken / "weights" / "last.pt")}, **loss))
        assert table(whole) == table(broken)


def test_batches_without_a_pair_repeat_the_means_after_a_resumption(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments
) -> None:
    """Most pictures hold no pair, and batches of one picture: the log often repeats what the batch before had."""
    data = write_set(tmp_path / "set", {"train": 6, "val": 2})
    for label in sorted((data.parent / "labels" / "train").glob("*.txt"))[1:]:
        label.write_text("")
    settings = {"data": str(data), "model": str(nets.plain), "epochs": 3, "batch": 1, "mosaic": 0.0}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(arguments(whole, **settings))
    killed(arguments(broken, **settings), (1, 2))
    train({"resume": str(broken / "weights" / "last.pt")})
    assert table(whole) == table(broken)


def test_an_early_stop_is_not_undone_by_a_kill(tmp_path: Path, nets: SimpleNamespace, arguments: Arguments) -> None:
    from icr.ultralytics import engine

    out = tmp_path / "run"
    run = trainer()(overrides=arguments(out, model=str(nets.plain), epochs=9))

    def stop(each: Any) -> None:
        each.stop = each.epoch == 1  # as Ultralytics' early stopping has it

    run.add_callback("on_train_epoch_end", stop)
    run.final_eval = lambda: None  # killed before it
    run.train()
    rows = results(out)
    assert len(rows) == 2 and (out / "weights" / "state.pt").is_file()
    data, name = Path(arguments(out)["data"]), str(nets.plain)
    engine.train(TrainSettings(name, data, (Relation("plate", "vehicle"),), out, epochs=9, resume=True))
    assert results(out) == rows and not (out / "weights" / "state.pt").exists()


def test_what_cannot_go_on_exactly_says_so(tmp_path: Path, nets: SimpleNamespace, arguments: Arguments) -> None:
    out = tmp_path / "run"
    killed(arguments(out, model=str(nets.plain), epochs=3), (1, 0))
    kept = state.read(out / "weights" / "state.pt")
    threads = kept["surroundings"]["number of threads"]
    kept["surroundings"]["number of threads"] = threads + 3
    state.write(out / "weights" / "state.pt", kept)
    killed({"resume": str(out / "weights" / "last.pt")}, (2, 0))
    assert resumption.reasons(out) == [f"number of threads was {threads + 3} and is now {threads}"]
    assert not continues_exactly(out)
    (out / "weights" / "state.pt").unlink()
    train({"resume": str(out / "weights" / "last.pt")})
    assert "its batches were drawn anew" in resumption.reasons(out) and len(results(out)) == 3


def test_several_gpus_and_compiled_models_are_not_exact(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments
) -> None:
    from icr.ultralytics.continuation import why_inexact

    run = trainer()(overrides=arguments(tmp_path / "run", model=str(nets.plain)))
    run._setup_train()
    assert why_inexact(run) == []
    run.world_size, run.args.compile, run.args.time = 2, True, 0.5
    assert [each.split(":")[0] for each in why_inexact(run)] == ["several GPUs", "compile", "time"]


def test_chance_is_restored_from_a_file_that_holds_no_code(tmp_path: Path) -> None:
    random.gauss(0, 1)
    np.random.randn()
    torch.save(chance.standing(), tmp_path / "chance.pt")
    drawn = random.gauss(0, 1), random.random(), np.random.randn(), np.random.rand(), torch.rand(2).tolist()
    chance.restore(torch.load(tmp_path / "chance.pt", weights_only=True))
    again = random.gauss(0, 1), random.random(), np.random.randn(), np.random.rand(), torch.rand(2).tolist()
    assert drawn == again
