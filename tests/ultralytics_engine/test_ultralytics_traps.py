# SPDX-License-Identifier: AGPL-3.0-only
"""Where a plugged-in loss gets lost in Ultralytics: each place is a test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tiny_scenes import results
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import E2ELoss

from icr.errors import InputError
from icr.ultralytics import DetectionTrainer, trainer
from icr.ultralytics.loss import DetectionLoss, RelatedModel

Arguments = Callable[..., dict[str, Any]]


def criteria(criterion: Any) -> list[type]:
    """The classes of a criterion's branches."""
    return [type(criterion.one2many), type(criterion.one2one)] if isinstance(criterion, E2ELoss) else [type(criterion)]


def branches(net: str) -> int:
    return 2 if net == "end2end" else 1


class StoppedError(Exception):
    """A kill, as a test can survive it."""


@pytest.mark.parametrize("net", ["plain", "end2end"])
def test_validation_with_the_ema_copy_uses_our_loss(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments, net: str
) -> None:
    seen: list[Any] = []
    run = trainer()(overrides=arguments(tmp_path / "run", model=str(getattr(nets, net)), epochs=1))
    run.add_callback("on_fit_epoch_end", lambda each: seen.append(each.ema.ema))
    run.train()
    assert type(seen[0]) is RelatedModel
    assert criteria(seen[0].criterion) == [DetectionLoss] * branches(net)
    assert float(results(tmp_path / "run")[0]["val/icr_pairs"]) > 0


@pytest.mark.parametrize("net", ["plain", "end2end"])
def test_resume_keeps_the_loss_and_the_rows(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments, net: str
) -> None:
    out = tmp_path / "run"
    first = trainer(base="giou", weight=1.5)(overrides=arguments(out, model=str(getattr(nets, net)), epochs=4))

    def stop(run: Any) -> None:
        if run.epoch == 2:
            raise StoppedError

    # Killed after the row of epoch 3 was written and before its checkpoint: that row will come again.
    first.save_model = lambda: (stop(first), type(first).save_model(first))[1]
    with pytest.raises(StoppedError):
        first.train()
    assert [each["epoch"] for each in results(out)] == ["1", "2", "3"]

    resumed = trainer(base="giou", weight=1.5)(overrides={"resume": str(out / "weights" / "last.pt")})
    seen: list[Any] = []
    resumed.add_callback("on_train_batch_end", lambda run: seen.append(criteria(run.model.criterion)))
    resumed.train()
    assert seen and all(each == [DetectionLoss] * branches(net) for each in seen)
    assert resumed.model.criterion.__dict__.get("updates", 4) == 4, "the schedule of the two branches goes on"
    assert [each["epoch"] for each in results(out)] == ["1", "2", "3", "4"]
    assert all(float(each["train/icr_pairs"]) > 0 for each in results(out))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_does_not_see_its_first_batches_again(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments, workers: int
) -> None:
    def train(run: Any, until: int) -> list[tuple[str, float]]:
        seen = []
        prepare = run.preprocess_batch

        def keep(batch: dict[str, Any]) -> dict[str, Any]:
            seen.append((str(batch["im_file"]), float(batch["img"].double().sum())))
            prepared: dict[str, Any] = prepare(batch)
            return prepared

        def stop(run: Any) -> None:
            if run.epoch == until:
                raise StoppedError

        run.preprocess_batch = keep
        run.add_callback("on_train_epoch_start", stop)
        with pytest.raises(StoppedError):
            run.train()
        return seen

    out = tmp_path / "run"
    settings = arguments(out, model=str(nets.plain), epochs=4, workers=workers, mosaic=0.0, mixup=0.0, cutmix=0.0)
    first = train(trainer()(overrides=settings), until=2)
    again = train(trainer()(overrides={"resume": str(out / "weights" / "last.pt")}), until=3)
    assert (len(first), len(again)) == (6, 3) and not set(first) & set(again)


def test_resume_with_another_loss_is_refused(tmp_path: Path, nets: SimpleNamespace, arguments: Arguments) -> None:
    out = tmp_path / "run"
    first = trainer()(overrides=arguments(out, model=str(nets.plain), epochs=3))

    def stop(run: Any) -> None:
        raise StoppedError

    first.add_callback("on_model_save", stop)
    with pytest.raises(StoppedError):
        first.train()
    for other in (trainer(base="giou"), trainer(weight=1.0), trainer(form="sum"), trainer(enabled=False)):
        with pytest.raises(InputError, match="was trained with base ciou, form product"):
            other(overrides={"resume": str(out / "weights" / "last.pt")}).train()


PLAIN_ULTRALYTICS = """
import sys
sys.modules["icr"] = None  # any import of icr fails now
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel, torch_safe_load
for name in ("best.pt", "last.pt"):
    file = f"{sys.argv[1]}/weights/{name}"
    torch_safe_load(file, safe_only=True)
    model = YOLO(file)
    assert type(model.model) is DetectionModel, type(model.model)
    model.predict(sys.argv[2], imgsz=96, verbose=False, save=False)
print("loaded")
"""


@pytest.mark.parametrize("net", ["plain", "end2end"])
def test_checkpoints_load_in_a_plain_ultralytics(
    trained: Callable[..., Path], scenes: Path, tmp_path: Path, net: str
) -> None:
    picture = scenes.parent / "images" / "val" / "000.png"
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_ULTRALYTICS, str(trained("icr", net)), str(picture)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "YOLO_OFFLINE": "1"},
        check=False,
    )
    assert done.returncode == 0 and "loaded" in done.stdout, done.stderr[-2000:]


def test_checkpoints_during_training_load_in_a_plain_ultralytics(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments
) -> None:
    from ultralytics.nn.tasks import torch_safe_load

    loaded: list[Any] = []
    run = trainer(base=lambda pred, target: (pred - target).abs().mean(-1))(
        overrides=arguments(tmp_path / "run", model=str(nets.plain), epochs=1)
    )
    run.add_callback("on_model_save", lambda each: loaded.append(torch_safe_load(str(each.last), safe_only=True)[0]))
    run.train()
    assert type(loaded[0]["ema"]) is DetectionModel
    assert not list((tmp_path / "run").rglob("*.part"))


def test_settings_travel_with_the_class_to_another_process(tmp_path: Path) -> None:
    """Ultralytics sends the trainer class by cloudpickle to the processes of a multi-GPU training."""
    cloudpickle = pytest.importorskip("cloudpickle")
    made = trainer(base=lambda pred, target: (pred - target).abs().mean(-1), weight=1.25, form="sum", relations="a:b")
    file = tmp_path / "trainer.pkl"
    file.write_bytes(cloudpickle.dumps([made, DetectionTrainer]))
    code = (
        "import pickle, sys, torch\n"
        "made, default = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(made.icr.weight, made.icr.form, made.icr.relations[0], default.icr.base, "
        "float(made.icr.base(torch.ones(4), torch.zeros(4))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.split() == ["1.25", "sum", "a:b", "ciou", "1.0"]


DDP_WORKER = """
import runpy, sys
from ultralytics.utils import RANK

# The way of several GPUs, on processors: Ultralytics' script, the pickled trainer, its sampler, its EMA and validation.
from icr.ultralytics.loss import DetectionLoss
from icr.ultralytics.dataset import PARENT
calls = []
stock_loss = DetectionLoss.loss
def loss(self, preds, batch):
    result = stock_loss(self, preds, batch)
    calls.append((PARENT in batch, float(result[1]["icr_pairs"]), self.box.base, self.box.relations[0].weight))
    return result
DetectionLoss.loss = loss
script = sys.argv[1]
sys.argv = [script]
runpy.run_path(script, run_name="__main__")
print("RANK", RANK, len(calls), all(c[0] for c in calls), sum(c[1] for c in calls), *calls[0][2:], flush=True)
"""


def test_two_processes_keep_the_loss_and_the_ids(tmp_path: Path, nets: SimpleNamespace, arguments: Arguments) -> None:
    pytest.importorskip("cloudpickle")
    from ultralytics.utils.dist import ddp_cleanup, generate_ddp_file

    out = tmp_path / "run"
    run = trainer(base="giou", weight=1.5)(overrides=arguments(out, model=str(nets.plain)))
    script = generate_ddp_file(run)
    worker = tmp_path / "worker.py"
    worker.write_text(DDP_WORKER)
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
                *(str(worker), script),
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "YOLO_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            check=False,
        )
    finally:
        ddp_cleanup(run, script)
    assert done.returncode == 0, done.stderr[-9000:]
    told = [line.split() for line in done.stdout.splitlines() if line.startswith("RANK")]
    assert sorted(each[1] for each in told) == ["0", "1"]
    for _, _, calls, carried, pairs, base, weight in told:
        assert int(calls) > 0 and carried == "True" and float(pairs) > 0
        assert (base, float(weight)) == ("giou", 1.5)
    rows = results(out)
    assert len(rows) == 2 and all(float(row["val/icr_pairs"]) > 0 for row in rows)


def test_a_multi_gpu_launch_leaves_the_run_folder(
    tmp_path: Path, nets: SimpleNamespace, arguments: Arguments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ultralytics removes the whole folder before it starts the processes; ours holds the run's record by then."""
    pytest.importorskip("cloudpickle")
    out = tmp_path / "run"
    run = trainer()(overrides=arguments(out, model=str(nets.plain)))
    run.ddp, run.world_size = True, 2
    (out / "run.json").write_text("{}")
    started: list[list[str]] = []
    monkeypatch.setattr("ultralytics.engine.trainer.subprocess.run", lambda command, check: started.append(command))
    run.train()
    assert "torch.distributed.run" in started[0] and (out / "run.json").is_file() and run.resume is False


@pytest.mark.slow
def test_a_compiled_model_keeps_the_loss(tmp_path: Path, nets: SimpleNamespace, arguments: Arguments) -> None:
    seen: list[Any] = []
    run = trainer()(overrides=arguments(tmp_path / "run", model=str(nets.plain), epochs=1, compile=True))
    run.add_callback("on_fit_epoch_end", lambda each: seen.append((each.model, each.ema.ema)))
    run.train()
    compiled, ema = seen[0]
    assert hasattr(compiled, "_orig_mod"), "the model was not compiled"
    assert criteria(compiled._orig_mod.criterion) == criteria(ema.criterion) == [DetectionLoss]
    assert float(results(tmp_path / "run")[0]["train/icr_pairs"]) > 0
    assert torch.isfinite(torch.tensor(float(results(tmp_path / "run")[0]["train/box_loss"])))


def test_usable_through_the_facade(tmp_path: Path, nets: SimpleNamespace, arguments: Arguments) -> None:
    from ultralytics import YOLO

    for index, each in enumerate((DetectionTrainer, trainer(base="siou", form="power", relations=["plate:vehicle"]))):
        settings = arguments(tmp_path / f"run{index}", epochs=1)
        YOLO(str(nets.plain)).train(trainer=each, **settings)
        assert float(results(tmp_path / f"run{index}")[0]["train/icr_pairs"]) > 0
