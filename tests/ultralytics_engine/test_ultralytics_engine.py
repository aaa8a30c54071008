# SPDX-License-Identifier: AGPL-3.0-only
"""What `icr train`, `eval`, `predict` and `doctor` ask of the engine."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_scenes import FAST, SIZE, results, settings, write_set
from ultralytics import YOLO
from ultralytics.models.yolo.detect import DetectionTrainer as StockTrainer
from ultralytics.utils import SETTINGS, downloads

from icr.errors import InputError
from icr.relations import Relation
from icr.ultralytics import engine, trainer
from icr.ultralytics.overrides import CHOICES, check_overrides
from icr.ultralytics.quiet import without_glyph_warnings
from icr.ultralytics.weights import checkpoint_of, read, start

PLATE = (Relation("plate", "vehicle"),)


def contents(folder: Path) -> dict[str, str]:
    return {str(each): hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.rglob("*") if each.is_file()}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, nets: SimpleNamespace) -> SimpleNamespace:
    """One training by the engine in a folder of its own, and what it left where."""
    root = tmp_path_factory.mktemp("engine")
    data = write_set(root / "set", {"train": 8, "val": 3})
    cwd = root / "cwd"
    cwd.mkdir()
    before, here = contents(root / "set"), Path.cwd()
    os.chdir(cwd)
    try:
        engine.train(settings(data, root / "out", nets.plain, overrides={**FAST, "plots": True}))
    finally:
        os.chdir(here)
    return SimpleNamespace(out=root / "out", cwd=cwd, data=data, before=before, after=contents(root / "set"))


def test_a_run_is_exactly_its_folder(run: SimpleNamespace) -> None:
    assert len(results(run.out)) == 2
    assert {each.name for each in (run.out / "weights").iterdir()} == {"best.pt", "last.pt"}
    assert not (run.out / "cache").exists()
    assert list(run.cwd.iterdir()) == [], "something was left in the working folder"
    assert run.after == run.before, "something was written beside the user's pictures"
    assert {each.name for each in run.out.parent.iterdir()} == {"set", "cwd", "out"}


def test_predictor_finds_boxes_within_the_picture(run: SimpleNamespace) -> None:
    predictor = engine.load(run.out / "weights" / "best.pt")
    pictures = sorted((run.data.parent / "images" / "train").iterdir())
    found = list(predictor.predict(pictures, conf=1e-4, max_det=7))
    assert predictor.names == ["plate", "vehicle"] and predictor.imgsz == SIZE
    assert len(found) == len(pictures) and any(len(each.scores) for each in found)
    for each in found:
        assert each.boxes.shape == (len(each.scores), 4) and each.boxes.dtype == np.float64
        assert len(each.scores) <= 7 and bool((np.diff(each.scores) <= 0).all())
        assert each.labels.dtype == np.int64 and set(each.labels.tolist()) <= {0, 1}
        assert each.boxes.min(initial=0) >= 0 and each.boxes.max(initial=0) <= SIZE


def test_predictions_do_not_depend_on_the_batch_or_on_the_form_of_the_picture(run: SimpleNamespace) -> None:
    from PIL import Image

    predictor = engine.load(run.out / "weights" / "best.pt")
    files = sorted((run.data.parent / "images" / "train").iterdir())[:4]
    wide = np.full((40, 200, 3), 120, np.uint8)
    arrays = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    together = list(predictor.predict([files[0], arrays[1], wide, *files[2:]], conf=1e-4, batch=3))
    alone = [next(iter(predictor.predict([each], conf=1e-4))) for each in (arrays[0], files[1], wide, *arrays[2:])]
    for one, other in zip(together, alone, strict=True):
        assert len(one.scores) == len(other.scores)
        np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-2)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_a_file_that_is_no_picture_is_named(run: SimpleNamespace, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"broken\.jpg cannot be read as a picture"):
        list(engine.load(run.out / "weights" / "best.pt").predict([broken]))


KILLED = """
import sys
from pathlib import Path
from icr.relations import Relation
from icr.training import TrainSettings
from icr.ultralytics import engine
data, out, net, resume = sys.argv[1:]
engine.train(TrainSettings(model=net, data_yaml=Path(data), relations=(Relation("plate", "vehicle"),), out=Path(out),
    imgsz=96, epochs=20, batch=4, workers=0, form="sum", resume=resume == "resume",
    overrides={"optimizer": "AdamW", "plots": False, "nbs": 4}))
"""


@pytest.mark.parametrize("net", ["plain", "end2end"])
def test_a_run_killed_by_sigkill_goes_on(scenes: Path, nets: SimpleNamespace, tmp_path: Path, net: str) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", KILLED, str(scenes), str(out), str(getattr(nets, net))]
    with subprocess.Popen([*command, "new"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as job:
        while job.poll() is None and not ((out / "weights" / "last.pt").is_file() and len(results(out)) >= 3):
            time.sleep(0.05)
        job.send_signal(signal.SIGKILL)
    before = len(results(out))
    assert 3 <= before < 20
    done = subprocess.run([*command, "resume"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = results(out)
    assert [int(row["epoch"]) for row in rows] == list(range(1, 21))
    assert all(float(row["train/icr_pairs"]) > 0 for row in rows)
    assert read(out / "weights" / "best.pt").icr_record["form"] == "sum"


def test_a_finished_run_is_not_trained_again(run: SimpleNamespace, nets: SimpleNamespace) -> None:
    before = contents(run.out)
    engine.train(settings(run.data, run.out, nets.plain, resume=True))
    assert contents(run.out) == before


def test_a_run_killed_while_tidying_up_is_tidied_up(
    scenes: Path, nets: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("icr.ultralytics.training.DetectionTrainer.final_eval", killed, raising=False)
        with pytest.raises(KeyboardInterrupt):
            engine.train(settings(scenes, tmp_path / "out", nets.plain))
    last = tmp_path / "out" / "weights" / "last.pt"
    assert checkpoint_of(last)["optimizer"] is not None
    engine.train(settings(scenes, tmp_path / "out", nets.plain, resume=True))
    assert checkpoint_of(last)["optimizer"] is None and len(results(tmp_path / "out")) == 2


def test_resume_without_a_checkpoint_starts_anew(scenes: Path, nets: SimpleNamespace, tmp_path: Path) -> None:
    engine.train(settings(scenes, tmp_path / "out", nets.plain, resume=True, epochs=1))
    assert len(results(tmp_path / "out")) == 1


def test_a_file_of_stock_ultralytics_is_fine_tuned(trained: Callable[..., Path], scenes: Path, tmp_path: Path) -> None:
    weights = trained("stock") / "weights" / "best.pt"
    first: list[torch.Tensor] = []
    begin = start(str(weights))
    assert begin.weights is not None and str(weights) in begin.said
    expected = begin.weights.state_dict()["model.0.conv.weight"]
    run = trainer()(
        overrides={"model": str(weights), "data": str(scenes), "imgsz": SIZE, "project": str(tmp_path), "name": "a"}
    )
    first.append(run.get_model(cfg=begin.plan, weights=begin.weights).state_dict()["model.0.conv.weight"])
    assert torch.equal(first[0], expected)
    engine.train(settings(scenes, tmp_path / "out", weights, epochs=1))
    assert float(results(tmp_path / "out")[0]["train/icr_pairs"]) > 0
    moved = read(tmp_path / "out" / "weights" / "last.pt").state_dict()["model.0.conv.weight"]
    assert 0 < float((moved - expected).norm() / expected.norm()) < 0.5, "it did not start from the given weights"


def test_a_name_takes_the_weights_at_hand_and_says_so(
    trained: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scratch = start("yolo11n")
    assert scratch.weights is None and scratch.model == "yolo11n.yaml" and "from scratch" in scratch.said
    with pytest.raises(InputError, match="nothing is downloaded; --model yolo11n would start from scratch"):
        start("yolo11n.pt")
    (tmp_path / "yolo11n.pt").write_bytes((trained("stock") / "weights" / "best.pt").read_bytes())
    at_hand = start("yolo11n")
    assert at_hand.weights is not None and "yolo11n.pt" in at_hand.said
    assert start("yolo11n", pretrained=False).weights is None
    other = start("yolo12n", pretrained=str(tmp_path / "yolo11n.pt"))
    assert other.plan == "yolo12n.yaml" and other.weights is not None
    assert start("yolo11n.yaml").weights is None


@pytest.mark.parametrize(
    "name", ["yolov8n", "yolov9t", "yolov9e", "yolov10n", "yolo11x", "yolo12n", "yolo26n", "yolov8s-p2", "rtdetr-l"]
)
def test_names_of_ultralytics_are_known(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert start(name).model == f"{name}.yaml"


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("yolo11n-seg", "ends in Segment"),
        ("yolo11n-pose.yaml", "ends in Pose"),
        ("yolo11n-obb", "ends in OBB"),
        ("yolo11n-cls", "ends in Classify"),
        ("yolo99n", "no such model"),
        ("missing.pt", "no such"),
    ],
)
def test_other_models_are_refused_in_one_line(
    model: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=told) as refused:
        start(model)
    assert "\n" not in str(refused.value)


def test_weights_for_another_task_are_refused(tmp_path: Path, scenes: Path) -> None:
    from ultralytics.nn.tasks import SegmentationModel

    plan = {"nc": 2, "backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": [[[0], 1, "Segment", ["nc", 4, 8]]]}
    file = tmp_path / "seg.pt"
    torch.save({"model": SegmentationModel(plan, verbose=False), "train_args": {}}, file)
    for what in (lambda: start(str(file)), lambda: engine.load(file)):
        with pytest.raises(InputError, match="ends in Segment"):
            what()
    with pytest.raises(InputError, match="segment"):
        trainer()(overrides={"task": "segment", "data": str(scenes), "project": str(tmp_path)})


class Payload:
    """A pickle that leaves a mark when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize(
    ("kind", "why"),
    [("torch", "asks for posix.mkdir, foreign code that icr does not run"), ("pickle", "Unsupported operand")],
)
def test_code_in_a_file_is_not_run(tmp_path: Path, kind: str, why: str) -> None:
    file, mark = tmp_path / "model.pt", tmp_path / "mark"
    if kind == "torch":
        torch.save({"model": Payload(mark)}, file)
    else:
        file.write_bytes(pickle.dumps({"model": Payload(mark)}))
    with pytest.raises(InputError, match="restricted loader") as refused:
        engine.load(file)
    assert not mark.exists() and "\n" not in str(refused.value)
    assert why in str(refused.value) and str(refused.value).endswith(
        "; if you trust where it comes from, --trust runs it"
    )
    assert "eights" not in str(refused.value), "PyTorch's own advice to run the code is left out"


def test_several_gpus_ask_for_what_they_need(
    scenes: Path, nets: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs cloudpickle"):
        engine.train(settings(scenes, tmp_path / "out", nets.plain, device="0,1"))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", b"text"])
def test_damaged_files_are_refused_in_one_line(tmp_path: Path, damage: bytes) -> None:
    file = tmp_path / "model.pt"
    file.write_bytes(damage)
    with pytest.raises(InputError) as refused:
        engine.load(file)
    assert "\n" not in str(refused.value) and "model.pt" in str(refused.value)
    assert not str(refused.value).rstrip().endswith(":") and ("is empty" in str(refused.value)) == (damage == b"")


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"lr": 0.1}, "did you mean 'lr0'"),
        ({"mosiac": 0.1}, "did you mean 'mosaic'"),
        ({"epochs": 3}, "set by --epochs"),
        ({"project": "x"}, "set by --out"),
        ({"mosaic": "often"}, "mosaic"),
        ({"optimizer": "AdamW", "lr0": "fast"}, "lr0"),
        ({"optimizer": "AdamWW"}, "optimizer=AdamWW: expected one of SGD, .*did you mean 'AdamW'"),
        ({"copy_paste_mode": "flop"}, "did you mean 'flip'"),
    ],
)
def test_overrides_are_checked(
    scenes: Path, nets: SimpleNamespace, tmp_path: Path, overrides: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told) as refused:
        engine.train(settings(scenes, tmp_path / "out", nets.plain, overrides=overrides))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_the_optimizers_are_those_of_ultralytics(nets: SimpleNamespace) -> None:
    for name in (*CHOICES["optimizer"], "adamw"):
        check_overrides({"optimizer": name})
        run = SimpleNamespace(args=SimpleNamespace(lr0=0.01, warmup_bias_lr=0.1), data={"nc": 2})
        StockTrainer.build_optimizer(run, YOLO(str(nets.plain)).model, name=name)


@pytest.mark.parametrize(("told", "fetched"), [("1", False), ("", True)])
def test_no_weights_are_fetched_to_try_half_precision_with_where_it_is_told_to_be_offline(
    arguments: Callable[..., dict[str, Any]],
    nets: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: str,
    fetched: bool,
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(downloads, "safe_download", lambda *given, **named: asked.append(named))

    def set_up(run: Any) -> None:  # what a GPU would have it do
        downloads.attempt_download_asset(tmp_path / "yolo26n.pt")

    monkeypatch.setattr(StockTrainer, "_setup_train", set_up)
    monkeypatch.setenv("YOLO_OFFLINE", told)
    run = trainer()(overrides=arguments(tmp_path / "run", model=str(nets.plain)))
    if fetched:
        run._setup_train()
    else:
        with pytest.raises(ConnectionError, match="nothing is downloaded"):
            run._setup_train()
    assert bool(asked) is fetched


@pytest.mark.parametrize(
    ("overrides", "told"),
    [({"split": "test"}, "split=test: the data has none"), ({"freeze": 99}, "freeze=99 leaves no layer to train")],
)
def test_what_the_data_or_the_network_cannot_give_is_refused(
    scenes: Path, nets: SimpleNamespace, tmp_path: Path, overrides: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        engine.train(settings(scenes, tmp_path / "out", nets.plain, overrides={**FAST, **overrides}))


def test_characters_that_a_font_lacks_are_not_warned_of() -> None:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        with without_glyph_warnings():
            warnings.warn("Glyph 36710 (\\N{CJK}) missing from font(s) DejaVu Sans.", UserWarning, stacklevel=1)
            warnings.warn("something else", UserWarning, stacklevel=1)
    assert [str(each.message) for each in heard] == ["something else"]


@pytest.mark.parametrize("trial", [None, "trial-1"])
def test_ray_tune_is_told_of_epochs_where_it_started_the_training_alone(
    arguments: Callable[..., dict[str, Any]],
    nets: SimpleNamespace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    trial: str | None,
) -> None:
    pytest.importorskip("ray")
    from ultralytics.utils.callbacks import raytune

    if not SETTINGS["raytune"]:
        pytest.skip("Ultralytics' settings leave Ray Tune out")
    if trial is not None:
        context = SimpleNamespace(get_trial_id=lambda: trial)
        monkeypatch.setattr(raytune, "tune", SimpleNamespace(get_context=lambda: context))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run = trainer()(overrides=arguments(tmp_path / "run", model=str(nets.plain)))
    assert (raytune.on_fit_epoch_end in run.callbacks["on_fit_epoch_end"]) is (trial is not None)


def test_data_without_a_pair_is_refused_and_says_why(tmp_path: Path, nets: SimpleNamespace) -> None:
    data = write_set(tmp_path / "set", {"train": 3, "val": 1})
    for file in (tmp_path / "set" / "labels" / "train").iterdir():
        file.write_text("0 0.5 0.5 0.1 0.1\n0 0.2 0.2 0.1 0.1\n")
    with pytest.raises(InputError) as refused:
        engine.train(settings(data, tmp_path / "out", nets.plain))
    text = str(refused.value)
    assert "plate:vehicle" in text and "plate 6" in text and "6 children" in text and "\n" not in text


def test_relations_are_asked_for(tmp_path: Path, nets: SimpleNamespace) -> None:
    data = write_set(tmp_path / "set", {"train": 2, "val": 1}, relations=None)
    with pytest.raises(InputError, match="declares no relation"):
        trainer()(overrides={"model": str(nets.plain), "data": str(data), "project": str(tmp_path), "name": "out"})
    with pytest.raises(InputError, match="no class 'wheel'"):
        trainer(relations="wheel:vehicle")(
            overrides={"model": str(nets.plain), "data": str(data), "project": str(tmp_path), "name": "out"}
        )


@pytest.mark.parametrize("settings", [{"single_cls": True}, {"distill_model": "teacher.pt"}])
def test_settings_that_icr_cannot_live_with_are_refused(
    scenes: Path, nets: SimpleNamespace, tmp_path: Path, settings: dict[str, Any]
) -> None:
    given = {"model": str(nets.plain), "data": str(scenes), "project": str(tmp_path), "name": "out", **settings}
    with pytest.raises(InputError, match=next(iter(settings))):
        trainer()(overrides=given)
    trainer(enabled=False)(overrides=given)


def test_the_predictor_agrees_with_the_validator_of_ultralytics(nets: SimpleNamespace, tmp_path: Path) -> None:
    """AP50 of the same weights on the same pictures: by our predictor and evaluation, and by Ultralytics' own."""
    from ultralytics import YOLO

    from icr.data.formats import read as read_set
    from icr.metrics.evaluation import evaluate

    data = write_set(tmp_path / "set", {"train": 40, "val": 16})
    longer = {**FAST, "lr0": 0.01, "mosaic": 0.0, "val": False}
    engine.train(settings(data, tmp_path / "out", nets.plain, epochs=25, batch=8, overrides=longer))
    weights = tmp_path / "out" / "weights" / "best.pt"
    dataset = read_set(data)
    samples = dataset.splits["val"]
    found = list(engine.load(weights).predict([sample.image for sample in samples]))
    ours = evaluate(samples, dataset.names, found, resamples=2).as_json()["classes"]["vehicle"]["AP50"]
    # Not in rectangles: for those Ultralytics pads by half a stride more, which counts at this size.
    theirs = YOLO(str(weights)).val(
        data=str(data), imgsz=SIZE, device="cpu", plots=False, project=str(tmp_path), name="val", workers=0, rect=False
    )
    vehicle = float(theirs.box.ap50[1])
    assert vehicle > 0.3 and ours == pytest.approx(vehicle, abs=0.03)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"base": "cioo"}, "ciou"),
        ({"base": 3}, "base loss is 3"),
        ({"form": "prod"}, "product"),
        ({"weight": -1}, "^weight -1: expected a number that is 0 or more$"),
        ({"weight": "2"}, "^weight '2': expected"),
        ({"relations": "a"}, "a"),
        ({"relations": 3}, "relations is int 3; expected 'plate:vehicle'"),
        ({"relations": [3]}, "a relation is int 3; expected 'plate:vehicle'"),
    ],
)
def test_trainer_settings_are_checked_at_once(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        trainer(**given)


@pytest.mark.parametrize("net", ["plain", "end2end"])
def test_a_probe_shows_that_the_loss_acts(scenes: Path, nets: SimpleNamespace, net: str) -> None:
    before = contents(scenes.parent)
    probe = engine.probe_step(scenes, PLATE, model=str(getattr(nets, net)), imgsz=SIZE)
    assert probe.pairs > 0 and probe.factor > 1 and probe.containment < 1
    assert probe.factor == pytest.approx(1 + 2.5 * (1 - probe.containment), rel=1e-3)
    assert probe.loss > probe.loss_without and probe.box_loss > probe.box_loss_without
    assert probe.gradient_changed > 0
    nothing = engine.probe_step(scenes, (Relation("plate", "vehicle", 0.0),), model=str(getattr(nets, net)), imgsz=SIZE)
    assert nothing.loss == nothing.loss_without and nothing.gradient_changed == 0 and nothing.factor == 1
    assert contents(scenes.parent) == before


@pytest.mark.parametrize("name", ["yolov8n", "yolov9t", "yolov10n", "yolo11n", "yolo12n", "yolo26n"])
def test_the_loss_acts_in_every_family(
    scenes: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    probe = engine.probe_step(scenes, PLATE, model=name, imgsz=SIZE, batch=2)
    assert probe.pairs > 0 and probe.gradient_changed > 0 and probe.loss != probe.loss_without
