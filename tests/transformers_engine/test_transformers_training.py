"""Training by `transformers.Trainer`: what is written, that the loss acts everywhere, settings, processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

pytest.importorskip("transformers")

from tiny_pictures import NAMES, SIZE, TINY, table, write_pictures

from icr.errors import InputError
from icr.relations import Relation
from icr.training import TrainSettings
from icr.transformers import engine
from icr.transformers.ema import Ema
from icr.transformers.groups import parameter_groups
from icr.transformers.launch import launch, needs_launch, read_settings
from icr.transformers.loss import LossFunction
from icr.transformers.settings import EngineSettings, read
from icr.transformers.training import Epochs
from icr.transformers.weights import start


def tiny():
    return start("rtdetrv2-r18", NAMES, SIZE, read(TINY), lambda text: None).network


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    """A run of two epochs."""
    out = tmp_path_factory.mktemp("run")
    asked = TrainSettings(
        "rtdetrv2-r18",
        pictures,
        (Relation("plate", "vehicle"),),
        out,
        base="giou",
        imgsz=SIZE,
        epochs=2,
        batch=4,
        workers=1,
        overrides={**TINY, "lr": 1e-3, "accumulate": 2, "multiscale": True},
    )
    engine.train(asked)
    return out


def test_a_run_leaves_its_tables_and_weights_and_nothing_else(trained):
    assert sorted(str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()) == [
        "curve.csv",
        "results.csv",
        "weights/best.safetensors",
        "weights/last.safetensors",
    ]


def test_results_have_a_row_for_each_epoch_with_what_icr_did(trained):
    rows = table(trained)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    for row in rows:
        assert float(row["train/icr_pairs"]) > 0
        assert 0 < float(row["train/icr_containment"]) <= 1
        assert float(row["train/icr_factor"]) == pytest.approx(1 + 2.5 * (1 - float(row["train/icr_containment"])))
        assert float(row["train/loss"]) > float(row["train/loss_giou"]) > 0


def test_a_tracker_gets_what_the_tables_get(asked):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    settings = asked(epochs=1, overrides={"report_to": "tensorboard"})
    engine.train(settings)
    run = settings.out
    seen = events.EventAccumulator(str(run / "tensorboard")).Reload()
    (row,) = table(run)
    for key in ("train/loss", "train/icr_pairs", "train/icr_containment", "train/icr_factor"):
        (event,) = seen.Scalars(key)
        assert event.value == pytest.approx(float(row[key]), rel=1e-4), key
    assert "eval/AP" in seen.Tags()["scalars"] and not (run / "checkpoints").exists()


def test_a_tracker_that_is_not_there_is_refused_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr("icr.transformers.tracking.get_available_reporting_integrations", list)
    with pytest.raises(InputError, match="report_to=mlflow: mlflow is not installed; pip install mlflow"):
        engine.check_overrides_of("rtdetrv2-r18", {"report_to": "mlflow"})
    with pytest.raises(InputError, match="did you mean 'tensorboard'"):
        engine.check_overrides_of("rtdetrv2-r18", {"report_to": "tensorbord"})


def test_the_curve_has_a_row_for_each_class_and_epoch(trained):
    rows = table(trained, "curve.csv")
    assert [(row["epoch"], row["class"]) for row in rows] == [(e, name) for e in "12" for name in NAMES]
    assert all(-1 <= float(row["AP"]) <= 1 and -1 <= float(row["AP50"]) <= 1 for row in rows)


def test_the_loss_reaches_the_model_its_average_and_the_epoch(asked, monkeypatch):
    """What trains and what is validated both have our loss, and are told the epoch."""
    seen = []

    def on_epoch_end(self, args, state, control, **others):
        seen.append(
            [(type(self.trainer.model.loss_function.loss), type(self.network.loss_function.loss))]
            + [loss.epoch for loss in self.losses]
        )
        stock(self, args, state, control, **others)

    stock = Epochs.on_epoch_end
    monkeypatch.setattr(Epochs, "on_epoch_end", on_epoch_end)
    engine.train(asked(epochs=2))
    assert [row[0] for row in seen] == [(LossFunction, LossFunction)] * 2
    assert [row[1:] for row in seen] == [[0, 0], [1, 1]]


def test_validation_is_done_with_the_average(asked, monkeypatch):
    networks = []
    stock = Epochs._validate

    def validate(self, args):
        networks.append((self.network is self.trainer.average.model, self.network is self.trainer.model))
        return stock(self, args)

    monkeypatch.setattr(Epochs, "_validate", validate)
    engine.train(asked(epochs=1))
    assert networks == [(True, False)]


def test_without_icr_the_detectors_own_loss_trains(asked):
    settings = asked(epochs=1, icr=False, overrides={"ema_decay": 0})
    engine.train(settings)
    assert not any("icr" in column for column in table(settings.out)[0])


def test_weight_0_trains_as_the_detectors_own_loss_and_logs_containment(asked):
    plain, zero = (
        asked("plain", epochs=2, icr=False),
        asked("zero", epochs=2, relations=(Relation(*NAMES, weight=0.0),)),
    )
    engine.train(plain)
    engine.train(zero)
    one, other = table(plain.out)[-1], table(zero.out)[-1]
    assert float(other["train/icr_factor"]) == 1 and float(other["train/icr_containment"]) < 1
    for column in ("train/loss", "train/loss_giou", "val/AP"):
        assert float(one[column]) == pytest.approx(float(other[column]), rel=1e-5)


def test_a_base_that_compares_pixels_trains_at_sizes_that_vary(asked):
    settings = asked(epochs=1, base="nwd", overrides={"multiscale": True})
    engine.train(settings)
    assert float(table(settings.out)[0]["train/loss_giou"]) > 0


@pytest.mark.parametrize(
    "control",
    [{"form": "matched", "factors": (2.0, 3.0)}, {"form": "detached"}, {"pseudo_parent": True}],
    ids=["matched", "detached", "pseudo-parent"],
)
def test_controls_train(asked, control):
    settings = asked(epochs=2, **control)
    engine.train(settings)
    factors = [float(row["train/icr_factor"]) for row in table(settings.out)]
    if "factors" in control:
        assert factors == pytest.approx([2.0, 3.0])
    else:
        assert factors[-1] > 1


def test_the_box_gain_weighs_the_iou_term(asked):
    single, double = asked("single", epochs=1), asked("double", epochs=1, box_gain=2.0)
    engine.train(single)
    engine.train(double)
    one, other = (float(table(run.out)[0]["train/loss_giou"]) for run in (single, double))
    assert other == pytest.approx(2 * one, rel=0.2)


def test_half_precision_trains_to_finite_weights(asked):
    settings = asked(epochs=1, overrides={"amp": "bf16"})
    engine.train(settings)
    assert float(table(settings.out)[0]["train/loss"]) < 1e3


def test_a_training_without_a_pair_is_refused(asked, tmp_path):
    data = write_pictures(tmp_path / "bare", {"train": 2, "val": 1}, empty=True)
    with pytest.raises(InputError, match=r"holds no pair for plate:vehicle.*--no-icr"):
        engine.train(asked(data_yaml=data))


def test_a_broken_picture_is_told_in_one_line(asked, tmp_path):
    data = write_pictures(tmp_path / "spoilt", {"train": 4, "val": 1})
    spoilt = tmp_path / "spoilt/images/train/001.png"
    content = spoilt.read_bytes()
    settings = asked(data_yaml=data, workers=1)
    from icr.data import formats

    dataset = formats.read(data)
    spoilt.write_bytes(content[: len(content) // 2])
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(InputError, match=r"001\.png: this cannot be read") as told,
    ):
        patch.setattr(engine, "read_data", lambda path: dataset)
        engine.train(settings)
    assert "\n" not in str(told.value)


def test_the_moving_average_follows_tied_weights_once():
    network = tiny()
    average = Ema(network, decay=0.5, ramp=1e-9)
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(1.0)
    average.update(network)
    for name, weight in average.model.named_parameters():
        assert torch.allclose(weight, before[name] + 0.5, atol=1e-6), name


def test_the_average_is_kept_in_a_file(tmp_path):
    network = tiny()
    average, other = Ema(network), Ema(tiny())
    average.update(network)
    average.save(tmp_path / "ema.safetensors")
    other.load(tmp_path / "ema.safetensors")
    assert other.updates == 1
    one, two = average.model.state_dict(), other.model.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(("model", "decays"), [("rtdetrv2-r18", True), ("rtdetrv2-r34", False)])
def test_groups_are_those_of_the_recipes(model, decays):
    network = tiny()
    asked = EngineSettings()
    groups = parameter_groups(
        network,
        lr=asked.lr,
        backbone_lr=asked.backbone_rate(model),
        weight_decay=asked.weight_decay,
        decay_biases=model.endswith("r18"),
    )
    placed = {id(weight): group for group in groups for weight in group["params"]}
    assert len(placed) == sum(len(group["params"]) for group in groups) == len(list(network.parameters()))
    for name, weight in network.named_parameters():
        group = placed[id(weight)]
        assert group["lr"] == (asked.backbone_rate(model) if "backbone" in name else asked.lr), name
        if "norm" in name:
            assert group["weight_decay"] == 0, name
        elif name.endswith("bias") and "backbone" not in name and weight.ndim == 1:
            assert name.endswith("bias") and (group["weight_decay"] > 0) in (decays, False), name
        elif name.endswith("weight") and weight.ndim > 1:
            assert group["weight_decay"] == asked.weight_decay, name


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"photometrik": 1}, r"--set photometrik: this engine has no such setting; did you mean 'photometric'"),
        ({"flip": 2}, r"--set flip=2: expected a number from 0 to 1"),
        ({"lr": "fast"}, r"--set lr=fast: expected a number from 0 to 1"),
        ({"accumulate": 1.5}, r"expected a whole number of at least 1"),
        ({"amp": "fp8"}, r"expected one of true, false, fp16, bf16"),
        ({"amp": 1}, r"expected one of true, false"),
        ({"icr_terms": ["main", "last"]}, r"expected one or more of main, auxiliary, encoder, denoising"),
        ({"epochs": 3}, r"--set epochs: this is set by --epochs"),
        ({"config": 3}, r"expected settings of the network's configuration"),
        ({"pretrained": True}, r"expected a folder that Transformers saved"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_in_one_line(overrides, told):
    with pytest.raises(InputError, match=told) as error:
        read(overrides)
    assert "\n" not in str(error.value)


def test_settings_are_read_as_the_command_line_gives_them():
    assert read({"lr": "1e-4", "warmup_steps": 10, "backbone_lr": None, "icr_terms": "main"}) == EngineSettings(
        lr=1e-4, warmup_steps=10, icr_terms=("main",)
    )


def test_a_network_that_transformers_cannot_build_is_refused():
    with pytest.raises(InputError, match="decoder_layerz"):
        start("rtdetrv2-r18", NAMES, SIZE, read({"config": {"decoder_layerz": 2}}), lambda text: None)


def test_a_size_with_fewer_places_than_queries_is_refused(asked):
    """At 96 px strides 8, 16 and 32 give 144 + 36 + 9 places; multi-scale goes down to 64 px, with 84."""
    with pytest.raises(InputError, match=r"at 96 px the network sees 189 places, and has 300 queries .* queries=189"):
        engine.train(asked(overrides={"queries": 300}))
    with pytest.raises(InputError, match=r"at 64 px the network sees 84 places, and has 100 queries"):
        engine.train(asked(overrides={"queries": 100, "multiscale": True}))


def test_terms_that_are_not_asked_for_are_left_alone(asked):
    network = tiny()
    engine._set_loss(network, asked(), read({**TINY, "icr_terms": ["main", "denoising"]}), _names())
    assert network.loss_function.loss.parts == {"main", "denoising"}


def _names():
    from types import SimpleNamespace

    return SimpleNamespace(names=NAMES)


def test_settings_travel_to_other_processes(asked, tmp_path):
    from dataclasses import asdict

    settings = asked(relations=(Relation("plate", ("vehicle", "bus"), 1.5),), factors=(1.0, 2.0), form="matched")
    (tmp_path / "settings.json").write_text(json.dumps(asdict(settings), default=str))
    assert read_settings(tmp_path / "settings.json") == settings


def test_several_gpus_are_trained_on_by_processes_of_their_own(monkeypatch):
    assert needs_launch("0,1") and needs_launch("1") and not needs_launch("cpu")
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert not needs_launch("0,1")


def test_two_processes_train_count_all_pairs_and_outlast_pictures_without_boxes(asked, tmp_path, monkeypatch):
    """Of four pictures one has boxes, so in every step at least one process has none."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    data = write_pictures(tmp_path / "sparse", {"train": 4, "val": 3})
    for index in (0, 1, 3):
        (tmp_path / f"sparse/labels/train/{index:03d}.txt").write_text("")
    pairs = sum(line.startswith("0 ") for line in (tmp_path / "sparse/labels/train/002.txt").read_text().splitlines())
    assert pairs
    calm = dict.fromkeys(("photometric", "zoom_out", "iou_crop"), 0)
    settings = asked(data_yaml=data, batch=2, epochs=1, overrides=calm)
    launch(settings, ["cpu", "cpu"])
    assert [float(row["train/icr_pairs"]) for row in table(settings.out)] == [pairs / 2]
    assert (settings.out / "weights/last.safetensors").is_file() and not (settings.out / "checkpoints").exists()


@pytest.mark.slow
def test_what_processes_refuse_is_told_by_the_one_that_started_them(asked, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(InputError, match="--batch 3: expected a multiple of 2"):
        launch(asked(batch=3), ["cpu", "cpu"])


@pytest.mark.slow
def test_torchrun_trains_by_the_command(pictures, tmp_path):
    """Each process runs the whole command; the first alone prepares, writes and evaluates."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "icr",
        "train",
    ]
    command += [str(pictures), "--model", "rtdetrv2-r18", "--imgsz", str(SIZE), "--epochs", "1", "--batch", "4"]
    command += ["--device", "cpu", "--workers", "0", "--out", str(tmp_path / "run"), "--json"]
    for key, value in TINY.items():
        command += ["--set", f"{key}={json.dumps(value)}"]
    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["images"] == 4
    assert len(table(tmp_path / "run")) == 1


@pytest.mark.slow
def test_a_compiled_backbone_trains_with_icr_as_one_that_is_not(asked, monkeypatch):
    """Traced and differentiated as ever; code is not generated from it, which takes minutes."""
    compiled, stock = [], torch.nn.Module.compile

    def compile_(self, **others):
        compiled.append(type(self).__name__)
        stock(self, backend="aot_eager", **others)

    monkeypatch.setattr(torch.nn.Module, "compile", compile_)
    for name in ("compiled", "plain"):
        engine.train(asked(name, overrides={"compile": name == "compiled"}))
    assert compiled == ["RTDetrV2ConvEncoder"]
    one, other = (table(asked(name).out)[-1] for name in ("compiled", "plain"))
    assert float(one["train/icr_pairs"]) > 0
    assert float(one["train/loss"]) == pytest.approx(float(other["train/loss"]), rel=1e-3)


@pytest.mark.slow
def test_a_tiny_detector_learns(pictures, asked):
    """Enough steps for the loss to fall and vehicles to be found."""
    calm = dict.fromkeys(("photometric", "zoom_out", "iou_crop"), 0)
    settings = asked(epochs=60, overrides={**calm, "ema_decay": 0, "clip": 1.0, "lr": 3e-3})
    engine.train(settings)
    rows = table(settings.out)
    assert float(rows[-1]["train/loss"]) < 0.6 * float(rows[0]["train/loss"])


def test_probe_shows_that_the_loss_acts(pictures, trained):
    probe = engine.probe_step(pictures, model=str(trained / "weights/last.safetensors"), imgsz=SIZE, batch=4)
    assert probe.pictures == 4 and probe.pairs > 0 and 0 <= probe.containment < 1
    assert probe.box_loss > probe.box_loss_without > 0 and probe.loss > probe.loss_without
    assert probe.gradient_changed > 0


def test_a_training_that_diverges_says_so_in_one_line(asked, monkeypatch):
    stock = Epochs.on_epoch_begin

    def on_epoch_begin(self, args, state, control, **others):
        stock(self, args, state, control, **others)
        with torch.no_grad():
            next(others["model"].parameters()).fill_(float("nan"))

    monkeypatch.setattr(Epochs, "on_epoch_begin", on_epoch_begin)
    with pytest.raises(InputError, match="no longer numbers after 0 steps: the training has diverged; lower --set lr"):
        engine.train(asked())
