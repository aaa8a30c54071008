# SPDX-License-Identifier: AGPL-3.0-only
"""A tiny network of the RT-DETR kind really trained: equal to Ultralytics at weight 0, resumed, loaded without us."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from tiny_scenes import DETR, results
from ultralytics import RTDETR
from ultralytics.cfg import get_cfg
from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.models.rtdetr.val import RTDETRDataset
from ultralytics.nn.modules.head import RTDETRDecoder
from ultralytics.nn.tasks import RTDETRDetectionModel, torch_safe_load

from icr.detectors import find, own_base
from icr.errors import InputError
from icr.relations import ResolvedRelation
from icr.ultralytics import engine
from icr.ultralytics.dataset import StretchedDataset
from icr.ultralytics.detr.criterion import DETRCriterion
from icr.ultralytics.detr.model import RelatedDETR
from icr.ultralytics.detr.prediction import DETRPredictor
from icr.ultralytics.detr.settings import DetrSettings
from icr.ultralytics.detr.trainer import DETRTrainer
from icr.ultralytics.kinds import kind_of
from icr.ultralytics.overrides import check_overrides
from icr.ultralytics.training import trainer

Arguments = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("detr") / "detr.yaml"
    path.write_text(DETR)
    return str(path)


def made(base: str = "giou", **chosen: Any) -> type[DETRTrainer]:
    own = {key: chosen.pop(key) for key in list(chosen) if key in ("clip", "warmup_iterations", "icr_terms")}
    return trainer(base=base, of=DETRTrainer.settled({"warmup_iterations": 0, **own}), **chosen)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, plan: str, arguments: Arguments) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    seen: list[Any] = []
    training = made()(overrides=arguments(out, model=plan))
    training.add_callback("on_fit_epoch_end", lambda each: seen.append(each.ema.ema))
    training.train()
    assert type(seen[0]) is RelatedDETR and isinstance(seen[0].criterion, DETRCriterion), "validated by the EMA copy"
    return out


def test_what_a_run_logs(run: Path) -> None:
    rows = results(run)
    assert len(rows) == 2
    for row in rows:
        assert float(row["train/icr_pairs"]) > 0 and float(row["val/icr_pairs"]) > 0
        assert 0 < float(row["train/icr_containment"]) < 1 < float(row["train/icr_factor"])


def test_at_weight_zero_a_training_is_ultralytics_own(tmp_path: Path, plan: str, arguments: Arguments) -> None:
    trained = []
    for out, kind in (("stock", RTDETRTrainer), ("ours", made(weight=0.0, clip=10.0))):
        run = kind(overrides=arguments(tmp_path / out, model=plan))
        run.train()
        trained.append(torch_safe_load(run.last, safe_only=True)[0]["model"].state_dict())
    for name, tensor in trained[0].items():
        assert torch.equal(tensor, trained[1][name]), name


def test_gradients_are_clipped_and_the_rate_rises(tmp_path: Path, plan: str, arguments: Arguments) -> None:
    norms, rates = [], []

    class Watched(DETRTrainer):
        def optimizer_step(self) -> None:
            super_step = self.optimizer.step

            def step(*args: Any, **kwargs: Any) -> Any:
                norms.append(torch.stack([p.grad.norm() for p in self.model.parameters() if p.grad is not None]).norm())
                rates.append([group["lr"] for group in self.optimizer.param_groups])
                return super_step(*args, **kwargs)

            self.optimizer.step = step
            super().optimizer_step()
            self.optimizer.step = super_step

    settled = Watched.settled({"clip": 0.05, "warmup_iterations": 4})
    run = trainer(base="giou", of=settled)(
        overrides=arguments(tmp_path / "run", model=plan, **DETRTrainer.arguments(4))
    )
    run.train()
    assert norms and all(float(norm) <= 0.0501 for norm in norms) and max(norms) > 0.049
    assert [row[0] for row in rates] == pytest.approx([0, 2.5e-5, 5e-5, 7.5e-5, 1e-4, 1e-4])
    assert all(row[2] <= 1e-4 for row in rates), "no bias starts at the 0.1 that Ultralytics has for SGD"


def test_compile_would_turn_denoising_off_and_is_refused(tmp_path: Path, plan: str, arguments: Arguments) -> None:
    with pytest.raises(InputError, match="denoising"):
        made()(overrides=arguments(tmp_path / "run", model=plan, compile=True))


def test_resume_keeps_the_loss_and_refuses_another(tmp_path: Path, plan: str, arguments: Arguments) -> None:
    class StoppedError(Exception):
        pass

    def stop(each: Any) -> None:
        raise StoppedError

    out = tmp_path / "run"
    first = made(icr_terms=["main"])(overrides=arguments(out, model=plan, epochs=3))
    first.add_callback("on_model_save", stop)
    with pytest.raises(StoppedError):
        first.train()
    last = str(out / "weights" / "last.pt")
    for other, told in (
        (made(), "icr_terms was .'main'. and is now"),
        (made(base="ciou", icr_terms=["main"]), "was trained with base giou"),
        (made(enabled=False, icr_terms=["main"]), "was trained with base giou"),
    ):
        with pytest.raises(InputError, match=told):
            other(overrides={"resume": last}).train()
    again = made(icr_terms=["main"])(overrides={"resume": last})
    seen: list[Any] = []
    again.add_callback("on_train_batch_end", lambda each: seen.append(each.model.criterion.terms))
    again.train()
    assert seen == [("main",)] * 6
    assert [row["epoch"] for row in results(out)] == ["1", "2", "3"]
    whole = made(icr_terms=["main"])(overrides=arguments(tmp_path / "whole", model=plan, epochs=3))
    whole.train()
    ends = [torch_safe_load(file, safe_only=True)[0]["model"].state_dict() for file in (last, whole.last)]
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items()), "as if it had not been killed"


PLAIN = """
import sys
sys.modules["icr"] = None  # any import of icr fails now
from ultralytics import RTDETR
from ultralytics.nn.tasks import RTDETRDetectionModel, torch_safe_load
for name in ("best.pt", "last.pt"):
    file = f"{sys.argv[1]}/weights/{name}"
    torch_safe_load(file, safe_only=True)
    model = RTDETR(file)
    assert type(model.model) is RTDETRDetectionModel, type(model.model)
    model.predict(sys.argv[2], imgsz=96, verbose=False, save=False)
print("loaded")
"""


def test_checkpoints_load_in_a_plain_ultralytics(run: Path, scenes: Path, tmp_path: Path) -> None:
    picture = scenes.parent / "images" / "val" / "000.png"
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, str(run), str(picture)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "YOLO_OFFLINE": "1"},
    )
    assert done.stdout.strip().endswith("loaded"), done.stderr


def test_predictions_are_ultralytics_own(run: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (60, 100, 3), np.uint8)
    weights = run / "weights" / "best.pt"
    predictor = engine.load(weights)
    assert type(predictor) is DETRPredictor and predictor.names == ["plate", "vehicle"] and predictor.imgsz == 96
    (found,) = predictor.predict([picture], conf=0.001)
    expected = (
        RTDETR(str(weights)).predict(picture[..., ::-1], imgsz=96, conf=0.001, verbose=False, save=False)[0].boxes
    )
    assert len(found.boxes) == len(expected) == 20
    np.testing.assert_allclose(found.scores, expected.conf.numpy(), atol=1e-5)
    # Ultralytics leaves what juts out of the picture
    np.testing.assert_allclose(found.boxes, expected.xyxy.numpy().clip(0, [100, 60, 100, 60]), atol=1e-2)
    assert (np.diff(found.scores) <= 0).all() and (found.boxes >= 0).all() and (found.boxes <= [100, 60, 100, 60]).all()
    (few,) = predictor.predict([picture], conf=float(found.scores[5]), max_det=3)
    assert few.scores.tolist() == found.scores[:3].tolist()
    batched = list(predictor.predict([picture, picture[:50]], batch=2))
    np.testing.assert_allclose(batched[0].boxes, found.boxes, atol=1e-4)


@pytest.fixture
def wide(tmp_path: Path) -> dict[str, Any]:
    """Four pictures of 80 × 40 px, a plate on a vehicle in each."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for index in range(4):
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), np.full((40, 80, 3), 40 * index, np.uint8))
        (tmp_path / "labels" / f"{index}.txt").write_text("0 0.5 0.5 0.1 0.2\n1 0.5 0.5 0.4 0.6\n")
    return {
        "img_path": str(tmp_path / "images"),
        "data": {"names": {0: "plate", 1: "vehicle"}, "channels": 3},
        "imgsz": 96,
    }


def test_pictures_are_stretched_as_ultralytics_stretches_them(wide: dict[str, Any]) -> None:
    plain, ours = (
        kind(**wide, augment=False, rect=False, task="detect", hyp=get_cfg(), **more)
        for kind, more in ((RTDETRDataset, {}), (StretchedDataset, {"relations": (ResolvedRelation(0, (1,)),)}))
    )
    for index in range(4):
        assert ours[index]["img"].shape == (3, 96, 96) and torch.equal(ours[index]["img"], plain[index]["img"])
        assert torch.equal(ours[index]["bboxes"], plain[index]["bboxes"])
        np.testing.assert_allclose(ours[index]["bboxes"], [[0.5, 0.5, 0.1, 0.2], [0.5, 0.5, 0.4, 0.6]], atol=1e-6)


def test_pairs_survive_stretching_and_augmentation(wide: dict[str, Any]) -> None:
    hyp = get_cfg(overrides={"mosaic": 1.0, "mixup": 1.0, "degrees": 0.0, "cutmix": 0.5})
    relations = (ResolvedRelation(0, (1,)),)
    data = StretchedDataset(**wide, augment=True, rect=False, task="detect", hyp=hyp, relations=relations)
    batch = data.collate_fn([data[index] for index in range(4)] * 2)
    children = batch["parent"] >= 0
    assert int(children.sum()) >= 8
    rows, parents = torch.nonzero(children).flatten(), batch["parent"][children]
    assert (batch["cls"][rows] == 0).all() and (batch["cls"][parents] == 1).all()
    assert torch.equal(batch["batch_idx"][rows], batch["batch_idx"][parents])
    child, parent = batch["bboxes"][rows], batch["bboxes"][parents]
    apart = (child[:, :2] - parent[:, :2]).abs()
    assert (apart <= parent[:, 2:] / 2 + 1e-4).all(), "centres lie in the parent, clipped or not"


def test_names_bases_and_settings_of_the_kind(plan: str, run: Path) -> None:
    assert own_base(find("rtdetr-l")) == own_base(find("rtdetr-resnet50")) == own_base(find(plan)) == "giou"
    assert own_base(find(str(run / "weights" / "best.pt"))) == "giou"
    assert issubclass(kind_of(plan), DETRTrainer)
    assert trainer(of=DETRTrainer).icr.base == "giou" and trainer().icr.base == "ciou"
    with pytest.raises(InputError, match="Ultralytics has no such setting"):
        check_overrides({"icr_terms": ["main"]})
    check_overrides({"icr_terms": ["main"], "lr0": 0.1}, DETRTrainer.keys)


def test_a_model_with_another_head_is_refused(tmp_path: Path, arguments: Arguments, nets: Any) -> None:
    with pytest.raises(InputError, match="ends in Detect"):
        made()(overrides=arguments(tmp_path / "run", model=str(nets.plain))).train()


@pytest.mark.parametrize(("name", "count"), [("rtdetr-l", 32_970_476), ("rtdetr-resnet50", 42_925_132)])
def test_parameters_are_ultralytics_own(name: str, count: int) -> None:
    with torch.device("meta"):
        model = RTDETRDetectionModel(f"{name}.yaml", nc=80, verbose=False)
    assert isinstance(model.model[-1], RTDETRDecoder)
    assert sum(each.numel() for each in model.parameters()) == count


def test_the_authors_class_loss_is_one_setting_away() -> None:
    assert (DETRTrainer.settings.vfl_alpha, DETRTrainer.settings.vfl_gamma) == (0.25, 1.5)
    chosen = DETRTrainer.settled({"vfl_alpha": 0.75, "vfl_gamma": 2}).settings
    assert chosen == DetrSettings()
    assert DETRTrainer.settled({}, box_gain=1.5).settings.giou_gain == 3


def test_through_ultralytics_own_class(tmp_path: Path, plan: str, arguments: Arguments) -> None:
    import icr

    asked = {key: value for key, value in arguments(tmp_path / "run", epochs=1).items() if key != "model"}
    RTDETR(plan).train(trainer=icr.ultralytics.DETRTrainer, **asked)
    assert float(results(tmp_path / "run")[0]["train/icr_pairs"]) > 0
