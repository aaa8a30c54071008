# SPDX-License-Identifier: AGPL-3.0-only
"""YOLOv9 through the engine: trained, stored as tensors, loaded, fine-tuned, killed and taken up with its loss."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_scenes
import torch
from tiny_scenes import results, write_set
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils.loss import v8DetectionLoss

from icr import checkpoints, runs
from icr.errors import InputError
from icr.relations import Relation
from icr.training_settings import TrainSettings
from icr.ultralytics import architectures, engine, state, trainer
from icr.ultralytics.architecture_trainer import ArchitectureTrainer
from icr.ultralytics.loss import COLUMNS, DetectionLoss, branches
from icr.ultralytics.weights import read, start
from icr.ultralytics.yolov9.model import YOLOv9

FAST = {**tiny_scenes.FAST, "lr0": 0.001}
SIZE = 64


class StoppedError(Exception):
    """A kill, as a test can survive it."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("yolov9"), {"train": 8, "val": 4})


def settings(data: Path, out: Path, **others: Any) -> TrainSettings:
    return tiny_scenes.settings(data, out, **{"model": "yolov9-t", "imgsz": SIZE, "overrides": FAST, **others})


def overrides(data: Path, out: Path, **others: Any) -> dict[str, Any]:
    common = {"epochs": 3, "imgsz": SIZE, "batch": 4, "device": "cpu", "workers": 0, "exist_ok": True}
    place = {"data": str(data), "project": str(out.parent), "name": out.name, "model": "yolov9-t"}
    return {**FAST, **common, **place, **others}


def trained(**loss: Any) -> type[Any]:
    return trainer(relations=["plate:vehicle"], of=ArchitectureTrainer, **loss)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> SimpleNamespace:
    """One training of two epochs by the engine."""
    out = tmp_path_factory.mktemp("run") / "out"
    engine.train(settings(data, out))
    return SimpleNamespace(out=out, data=data)


def test_a_run_leaves_tensors_and_no_state(run: SimpleNamespace) -> None:
    assert {each.name for each in (run.out / "weights").iterdir()} == {"best.safetensors", "last.safetensors"}
    stored = checkpoints.read(runs.weights_of(run.out))
    assert (stored.engine, stored.model, stored.imgsz) == ("ultralytics", "yolov9-t", SIZE)
    assert stored.names == ["plate", "vehicle"]
    assert stored.settings["loss"]["box"]["base"] == "ciou" and stored.settings["loss"]["enlarge_tiny"] is False
    assert stored.settings["args"]["optimizer"] == "AdamW" and str(run.out) not in str(stored.settings)
    assert not any(name.startswith("aux") for name in stored.tensors)
    assert {each.dtype for each in stored.tensors.values()} <= {torch.float32, torch.int64}


def test_training_and_the_validation_of_the_average_report_icr(run: SimpleNamespace) -> None:
    rows = results(run.out)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        for prefix in ("train", "val"):
            assert all(float(row[f"{prefix}/{name}"]) > 0 for name in COLUMNS)


def test_the_predictor_finds_boxes_within_the_picture(run: SimpleNamespace) -> None:
    predictor = engine.load(run.out / "weights" / "best.safetensors")
    pictures = sorted((run.data.parent / "images" / "val").iterdir())
    found = list(predictor.predict(pictures, conf=1e-5, max_det=9))
    assert predictor.names == ["plate", "vehicle"] and predictor.imgsz == SIZE
    assert len(found) == len(pictures) and any(len(each.scores) for each in found)
    assert all(each.boxes.min(initial=0) >= 0 and each.boxes.max(initial=0) <= 96 for each in found)


def test_both_criteria_are_ours_in_training_and_in_the_average(tmp_path: Path, data: Path) -> None:
    seen: list[Any] = []
    made = trained(base="giou", weight=1.5)(overrides=overrides(data, tmp_path / "run", epochs=1))
    made.add_callback("on_fit_epoch_end", lambda each: seen.append((each.model, each.ema.ema)))
    made.train()
    for model in seen[0]:
        assert type(model) is YOLOv9 and [type(each) for each in branches(model.criterion)] == [DetectionLoss] * 2
        assert [each.box.base for each in branches(model.criterion)] == ["giou"] * 2
        assert [each.assigner.stride_val for each in branches(model.criterion)] == [0.0, 0.0]


def test_weight_zero_trains_as_without_icr(tmp_path: Path, data: Path) -> None:
    rows = {}
    for name, loss in (("zero", {"weight": 0.0}), ("off", {"enabled": False})):
        trained(**loss)(overrides=overrides(data, tmp_path / name, epochs=1)).train()
        rows[name] = results(tmp_path / name)[0]
    assert all(rows["zero"][key] == value for key, value in rows["off"].items() if key != "time")
    assert "train/icr_pairs" not in rows["off"] and float(rows["zero"]["train/icr_factor"]) == 1.0
    files = [checkpoints.read(tmp_path / name / "weights" / "last.safetensors").tensors for name in rows]
    assert all(torch.equal(value, files[1][name]) for name, value in files[0].items())


def stop_after(run: Any, epoch: int) -> dict[str, Any]:
    """Train, and stop as by a kill once the state of an epoch is written; what stood in memory then is returned."""
    held: dict[str, Any] = {}

    def stop(each: Any) -> None:
        if each.epoch == epoch:
            held["model"] = {key: value.clone() for key, value in each.model.state_dict().items()}
            held["ema"] = {key: value.clone() for key, value in each.ema.ema.state_dict().items()}
            held["steps"] = [float(value["step"]) for value in each.optimizer.state.values()]
            held["best"] = each.best_fitness
            raise StoppedError

    run.add_callback("on_model_save", stop)
    with pytest.raises(StoppedError):
        run.train()
    return held


def test_a_killed_run_goes_on_where_it_was_and_keeps_its_loss(tmp_path: Path, data: Path) -> None:
    out = tmp_path / "run"
    held = stop_after(trained(base="giou", weight=1.5)(overrides=overrides(data, out)), epoch=1)
    kept = out / "weights" / state.NAME
    assert any(name.startswith("aux_head") for name in torch.load(kept, weights_only=True)["model"])

    resumed = trained(base="giou", weight=1.5)(overrides={"model": "yolov9-t", "resume": str(kept), "data": str(data)})
    seen: list[Any] = []

    def begun(each: Any) -> None:
        assert all(torch.equal(value, held["model"][key]) for key, value in each.model.state_dict().items())
        assert all(torch.equal(value, held["ema"][key]) for key, value in each.ema.ema.state_dict().items())
        assert [float(value["step"]) for value in each.optimizer.state.values()] == held["steps"]
        assert each.best_fitness == held["best"] and each.start_epoch == 2

    resumed.add_callback("on_pretrain_routine_end", begun)
    resumed.add_callback("on_train_batch_end", lambda each: seen.append(branches(each.model.criterion)))
    resumed.train()
    assert seen and all(each.box.base == "giou" for pair in seen for each in pair)
    assert [row["epoch"] for row in results(out)] == ["1", "2", "3"]
    assert all(float(row["train/icr_pairs"]) > 0 for row in results(out))
    assert not kept.exists() and resumed.args.epochs == 3


def test_a_killed_run_ends_as_one_that_was_not_killed(tmp_path: Path, data: Path) -> None:
    trained()(overrides=overrides(data, tmp_path / "whole", epochs=2)).train()
    stop_after(trained()(overrides=overrides(data, tmp_path / "killed", epochs=2)), epoch=0)
    kept = tmp_path / "killed" / "weights" / state.NAME
    trained()(overrides={"model": "yolov9-t", "resume": str(kept), "data": str(data)}).train()
    for which in ("best", "last"):
        whole, killed = (checkpoints.read(runs.weights_of(tmp_path / name, which)) for name in ("whole", "killed"))
        assert all(torch.equal(value, killed.tensors[name]) for name, value in whole.tensors.items())
    rows = [results(tmp_path / name) for name in ("whole", "killed")]
    assert [{**row, "time": 0} for row in rows[0]] == [{**row, "time": 0} for row in rows[1]]


def test_resuming_with_another_loss_is_refused(tmp_path: Path, data: Path) -> None:
    stop_after(trained()(overrides=overrides(data, tmp_path / "run")), epoch=0)
    again = {"model": "yolov9-t", "resume": str(tmp_path / "run" / "weights" / state.NAME), "data": str(data)}
    for other in (trained(base="giou"), trained(enabled=False), trained(enlarge_tiny=True)):
        with pytest.raises(InputError, match="was trained with base ciou, form product") as refused:
            other(overrides=again).train()
        assert "\n" not in str(refused.value)


def test_a_finished_run_is_not_trained_again(run: SimpleNamespace) -> None:
    before = (run.out / "weights" / "last.safetensors").stat().st_mtime_ns
    engine.train(settings(run.data, run.out, resume=True))
    assert (run.out / "weights" / "last.safetensors").stat().st_mtime_ns == before


def test_a_run_killed_between_its_files_is_told_apart_from_one_that_ended(tmp_path: Path) -> None:
    model, weights = YOLOv9("yolov9-t", 2), tmp_path / "weights"
    weights.mkdir()
    model.names = {0: "plate", 1: "vehicle"}
    asked = settings(tmp_path, tmp_path, epochs=3)
    kept = weights / state.NAME
    for epoch, over in ((1, False), (3, True)):
        where = architectures.ARCHITECTURES["yolov9-t"]
        architectures.write(weights / "last.safetensors", where, model, {"imgsz": SIZE, "epoch": epoch})
        assert engine._over(asked, kept) is over
    for epoch, stopped, over in ((1, False, False), (2, False, True), (1, True, True)):
        state.write(kept, {"format": state.FORMAT, "epoch": epoch, "over": stopped})
        assert engine._over(asked, kept) is over and kept.exists() is not over


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off"])
def test_a_damaged_state_is_refused_in_one_line(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / state.NAME
    with pytest.raises(InputError, match="no such file"):
        state.read(file)
    file.write_bytes(damage)
    with pytest.raises(InputError, match="cannot be read as the state of a training") as refused:
        state.read(file)
    assert "\n" not in str(refused.value)
    torch.save({"model": {}}, file)
    with pytest.raises(InputError, match="not the state of a training by this version"):
        state.read(file)


@pytest.mark.slow
def test_a_loss_that_is_no_number_goes_back_to_the_epoch_before(tmp_path: Path, data: Path) -> None:
    made = trained()(overrides=overrides(data, tmp_path / "run"))
    lost: list[int] = []

    def lose(each: Any) -> None:
        if each.epoch == 1 and not lost:
            lost.append(each.epoch)
            each.loss = each.loss * float("nan")
            for parameter in each.model.parameters():
                parameter.data.fill_(float("nan"))

    made.add_callback("on_train_epoch_end", lose)
    made.train()
    assert lost == [1] and [row["epoch"] for row in results(tmp_path / "run")] == ["1", "2", "3"]
    tensors = checkpoints.read(tmp_path / "run" / "weights" / "last.safetensors").tensors
    assert all(bool(each.isfinite().all()) for each in tensors.values())


def test_released_weights_are_fine_tuned(run: SimpleNamespace, tmp_path: Path) -> None:
    weights = run.out / "weights" / "best.safetensors"
    begin = start(str(weights))
    assert begin.model == "yolov9-t" and str(weights) in begin.said
    made = trained()(overrides=overrides(run.data, tmp_path / "a", model=begin.model))
    model = made.get_model(cfg=begin.plan, weights=begin.weights)
    stored, begun = checkpoints.read(weights).tensors, model.state_dict()
    assert all(torch.equal(value, begun[name]) for name, value in stored.items())
    assert model.aux is not None, "the auxiliary branch begins anew"
    engine.train(settings(run.data, tmp_path / "b", model=str(weights), epochs=1))
    assert float(results(tmp_path / "b")[0]["train/icr_pairs"]) > 0
    assert checkpoints.read_header(tmp_path / "b" / "weights" / "last.safetensors").model == "yolov9-t"


def test_weights_of_ultralytics_fill_backbone_and_neck(tmp_path: Path) -> None:
    torch.manual_seed(5)
    file = tmp_path / "yolov9t.pt"
    stock = DetectionModel("yolov9t.yaml", nc=80, verbose=False)
    torch.save({"model": stock, "train_args": {}}, file)
    begin = start("yolov9-t", pretrained=str(file))
    model = YOLOv9("yolov9-t", 2)
    model.load(begin.weights)
    head = f"model.{len(model.model) - 1}."
    own, given = model.state_dict(), stock.state_dict()
    body = [name for name in own if name.startswith("model.") and not name.startswith(head)]
    assert len(body) > 1000 and all(torch.equal(own[name], given[name]) for name in body)
    assert sum(each.numel() for each in model.parameters()) == 2_659_676, "the head stays as it was built"


def test_classes_of_other_names_leave_the_last_layers_new() -> None:
    source, model = YOLOv9("yolov9-t", 2), YOLOv9("yolov9-t", 2)
    source.names, model.names = {0: "cat", 1: "dog"}, {0: "plate", 1: "vehicle"}
    torch.manual_seed(1)
    for each in source.parameters():
        each.data.normal_()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.load(source)
    fresh = {name for name, value in model.named_parameters() if torch.equal(value, before[name])}
    last = {f"{head}.cv3.{level}.2" for head in ("model.22", "aux_head") for level in range(3)}
    assert fresh == {f"{layer}.{kind}" for layer in last for kind in ("weight", "bias")}
    source.names = model.names
    model.load(source)
    given = source.state_dict()
    assert all(torch.equal(value, given[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("net", ["plain", "end2end"])
def test_ultralytics_own_detectors_can_leave_tiny_boxes_as_they_are(
    tmp_path: Path, nets: SimpleNamespace, data: Path, net: str
) -> None:
    seen: list[Any] = []
    plan = str(getattr(nets, net))
    for name, enlarge, loss in (("on", None, {}), ("off", False, {}), ("stock", False, {"enabled": False})):
        kind = trainer(relations=["plate:vehicle"], enlarge_tiny=enlarge, **loss)
        made = kind(overrides=overrides(data, tmp_path / name, model=plan, epochs=1))
        made.add_callback("on_train_epoch_end", lambda each: seen.append(branches(each.model.criterion)))
        made.train()
    floors = [[each.assigner.stride_val for each in pair] for pair in seen]
    count = len(floors[0])
    assert floors == [[each.assigner.stride[1] for each in seen[0]], [0.0] * count, [0.0] * count]
    assert floors[0][0] > 0 and count == (2 if net == "end2end" else 1)
    assert isinstance(seen[2][0], v8DetectionLoss) and not isinstance(seen[2][0], DetectionLoss)
    assert type(read(tmp_path / "stock" / "weights" / "last.pt")) is DetectionModel


def test_the_setting_goes_through_the_engine_and_not_to_ultralytics(tmp_path: Path, data: Path) -> None:
    for value in ("yes", 1, None):
        with pytest.raises(InputError, match=r"--set enlarge_tiny=.*: expected true or false"):
            engine.train(settings(data, tmp_path / "out", overrides={"enlarge_tiny": value}))
    with pytest.raises(InputError, match="did you mean 'enlarge_tiny'"):
        engine.train(settings(data, tmp_path / "out", overrides={"enlarge_tinny": True}))
    engine.train(settings(data, tmp_path / "out", epochs=1, overrides={**FAST, "enlarge_tiny": True}))
    stored = checkpoints.read_header(tmp_path / "out" / "weights" / "last.safetensors")
    assert stored.settings["loss"]["enlarge_tiny"] is True and "enlarge_tiny" not in stored.settings["args"]


def test_a_step_with_icr_is_shown_to_differ(data: Path) -> None:
    probe = engine.probe_step(data, (Relation("plate", "vehicle"),), model="yolov9-t", imgsz=SIZE, batch=4)
    assert probe.pairs > 0 and probe.loss != probe.loss_without and probe.gradient_changed > 0


def test_settings_travel_to_another_process(tmp_path: Path) -> None:
    cloudpickle = pytest.importorskip("cloudpickle")
    file = tmp_path / "trainer.pkl"
    file.write_bytes(cloudpickle.dumps(trained(weight=1.25, enlarge_tiny=True)))
    code = (
        "import pickle, sys\nmade = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(made.icr.weight, made.enlarge_tiny, made.__mro__[1].__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.split() == ["1.25", "True", "ArchitectureTrainer"]


KILLED = """
import sys
from pathlib import Path
from icr.relations import Relation
from icr.training_settings import TrainSettings
from icr.ultralytics import engine
data, out, resume = sys.argv[1:]
engine.train(TrainSettings(model="yolov9-t", data_yaml=Path(data), relations=(Relation("plate", "vehicle"),),
    out=Path(out), imgsz=64, epochs=8, batch=4, workers=0, form="sum", resume=resume == "resume",
    overrides={"optimizer": "AdamW", "plots": False, "nbs": 4}))
"""


@pytest.mark.slow
def test_a_run_killed_by_sigkill_goes_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(data), str(out)]
    with subprocess.Popen([*command, "new"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
        while job.poll() is None and not ((out / "weights" / state.NAME).is_file() and len(results(out)) >= 2):
            time.sleep(0.05)
        job.send_signal(signal.SIGKILL)
    assert 2 <= len(results(out)) < 8
    done = subprocess.run([*command, "resume"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [int(row["epoch"]) for row in results(out)] == list(range(1, 9))
    assert all(float(row["train/icr_pairs"]) > 0 for row in results(out))
    assert checkpoints.read_header(out / "weights" / "best.safetensors").settings["loss"]["box"]["form"] == "sum"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["yolov9-s", "yolov9-m", "yolov9", "yolov9-c"])
def test_the_larger_sizes_train_and_load(name: str, data: Path, tmp_path: Path) -> None:
    engine.train(settings(data, tmp_path / "out", model=name, epochs=1))
    assert float(results(tmp_path / "out")[0]["train/icr_pairs"]) > 0
    predictor = engine.load(tmp_path / "out" / "weights" / "best.safetensors")
    assert predictor.model.architecture == name
    next(iter(predictor.predict([sorted((data.parent / "images" / "val").iterdir())[0]])))
