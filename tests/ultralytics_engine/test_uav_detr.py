# SPDX-License-Identifier: AGPL-3.0-only
"""UAV-DETR as a whole: the released networks' parameters, a step with and without ICR, stored, loaded and resumed."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_scenes import results
from torch import Tensor
from ultralytics.nn.modules import Conv

from icr import checkpoints
from icr.detectors import find, own_base
from icr.errors import InputError
from icr.relations import ResolvedRelation
from icr.ultralytics import architectures, engine, state
from icr.ultralytics.detr.model import related
from icr.ultralytics.detr.prediction import DETRPredictor
from icr.ultralytics.detr.settings import DetrSettings
from icr.ultralytics.detr.trainer import DETRArchitectureTrainer
from icr.ultralytics.settings import BoxLoss
from icr.ultralytics.training import trainer
from icr.ultralytics.uav_detr.model import UAVDETRModel

# layer by layer, ten classes: the released networks of March 2025
SHARED = {0: 928, 1: 9_280, 2: 18_560, 3: 0, 9: 789_760, 10: 66_048, 11: 8_224, 13: 0, 15: 33_024, 16: 4_128, 18: 0}
SHARED |= {21: 380_928, 22: 0, 24: 380_928, 25: 0, 27: 1_422_336}
LAYERS = {
    "r18": SHARED
    | {4: 152_192, 5: 525_568, 6: 2_099_712, 7: 8_393_728, 8: 131_584, 12: 66_048, 14: 657_920, 17: 33_024}
    | {19: 455_160, 20: 625_152, 23: 625_152, 26: 657_920, 28: 3_929_496},
    "r50": SHARED
    | {4: 215_808, 5: 1_219_584, 6: 7_098_368, 7: 14_964_736, 8: 524_800, 12: 262_656, 14: 2_232_320, 17: 131_328}
    | {19: 1_619_952, 20: 2_363_392, 23: 2_166_784, 26: 2_232_320, 28: 7_322_658},
}
TOTALS = [
    ("r18", 1, 21_455_244, 21_243_660),
    ("r18", 10, 21_466_800, 21_255_216),
    ("r18", 80, 21_556_680, None),
    ("r50", 1, 45_450_355, 44_621_875),
    ("r50", 10, 45_468_850, 44_640_370),
    ("r50", 80, 45_612_700, None),
]
FREQUENCY_LAYERS = {"r18": {19: 96, 21: 128, 24: 128, 27: 256}, "r50": {19: 192, 21: 128, 24: 128, 27: 256}}


def on_paper(variant: str, nc: int) -> UAVDETRModel:
    with torch.device("meta"):
        return UAVDETRModel(variant, nc=nc)


def count(model: Any) -> int:
    return sum(each.numel() for each in model.parameters())


@pytest.mark.parametrize("variant", ["r18", "r50"])
def test_parameters_of_every_layer(variant: str) -> None:
    found = {layer.i: layer.np for layer in on_paper(variant, 10).model}
    assert found == dict(sorted(LAYERS[variant].items()))


@pytest.mark.parametrize(("variant", "nc", "unfused", "fused"), TOTALS)
def test_parameters_in_total(variant: str, nc: int, unfused: int, fused: int | None) -> None:
    model = on_paper(variant, nc)
    assert count(model) == unfused
    # Folding a norm into its convolution leaves one bias where there were a weight and a bias; the 1×1 convolution of
    # a RepConv goes into its 3×3 one.
    norms = sum(each.bn.weight.numel() for each in model.modules() if isinstance(each, Conv))
    merged = sum(
        count(each.conv2.conv) + each.conv2.bn.weight.numel()
        for each in model.modules()
        if type(each).__name__ == "RepConv"
    )
    if fused is not None:
        assert unfused - norms - merged == fused


def test_fusing_gives_the_papers_count_and_the_same_output() -> None:
    torch.manual_seed(0)
    model = UAVDETRModel("r18", nc=1, queries=12).train()
    with torch.no_grad():
        model(torch.rand(2, 3, 64, 64))  # norms that do something
        model.eval()
        picture = torch.rand(1, 3, 64, 96)
        before = model(picture)[1]
        after = copy.deepcopy(model).fuse(verbose=False)
        assert count(after) == 21_243_660
        for first, second in zip(before[:4], after(picture)[1][:4], strict=True):
            torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("nc", "fused"), [(1, 44_621_875), (10, 44_640_370)])
def test_fusing_r50_gives_the_papers_count(nc: int, fused: int) -> None:
    assert count(UAVDETRModel("r50", nc=nc).eval().fuse(verbose=False)) == fused


@pytest.mark.parametrize("variant", ["r18", "r50"])
def test_what_the_released_networks_own_and_never_use(variant: str) -> None:
    model = on_paper(variant, 10)
    unused = {name: each.numel() for name, each in model.named_parameters() if ".unused." in name}
    found = {int(name.split(".")[1]): 0 for name in unused}
    for name, number in unused.items():
        found[int(name.split(".")[1])] += number
    widths = FREQUENCY_LAYERS[variant]
    assert found == {layer: 20 * (width // (4 if layer == 19 else 1)) for layer, width in _widths(variant).items()}
    assert sum(found.values()) == {"r18": 12_160, "r50": 14_080}[variant]
    assert set(found) == set(widths)
    assert model.model[-1].denoising_class_embed.weight.shape == (11, 256), "a row more than classes"


def _widths(variant: str) -> dict[int, int]:
    """Channels that reach the frequency focus of each layer; layer 19 gives it a quarter of its own."""
    return {19: 384 if variant == "r18" else 768, 21: 128, 24: 128, 27: 256}


def test_shapes_of_the_maps_that_reach_the_decoder() -> None:
    seen: list[tuple[int, ...]] = []
    model = UAVDETRModel("r18", nc=2, queries=12).eval()
    model.model[-1].register_forward_pre_hook(lambda _, given: seen.extend(tuple(each.shape) for each in given[0]))
    with torch.no_grad():
        found = model(torch.rand(1, 3, 64, 96))[0]
    assert seen == [(1, 256, 8, 12), (1, 256, 4, 6), (1, 256, 2, 3)]
    assert found.shape == (1, 12, 6)


@pytest.fixture(scope="module")
def small() -> UAVDETRModel:
    torch.manual_seed(0)
    return UAVDETRModel("r18", nc=2, queries=12)


def batch() -> dict[str, Any]:
    chance = torch.Generator().manual_seed(0)
    parents = torch.tensor([[0.3, 0.4, 0.3, 0.3], [0.6, 0.5, 0.4, 0.3], [0.5, 0.7, 0.2, 0.4]])
    children = torch.cat([parents[:, :2] + 0.05, torch.full((3, 2), 0.1)], 1)
    return {
        "img": torch.rand(2, 3, 64, 64, generator=chance),
        "cls": torch.tensor([[0.0], [1.0], [0.0], [1.0], [0.0], [1.0]]),
        "bboxes": torch.stack([children, parents], 1).flatten(0, 1),
        "batch_idx": torch.tensor([0.0, 0, 0, 0, 1, 1]),
        "parent": torch.tensor([1, -1, 3, -1, 5, -1]),
    }


def step(model: UAVDETRModel, box: BoxLoss | None, autocast: bool = False) -> tuple[float, dict[str, Tensor], Tensor]:
    model = copy.deepcopy(model).train()
    related(model, box, DetrSettings())
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss, items = model.loss(batch())
    loss.backward()
    used = {name: each.grad for name, each in model.named_parameters() if ".unused." not in name}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in used.values()), "all take part"
    return float(loss.detach()), items, torch.cat([each.flatten() for each in used.values() if each is not None])


def box(weight: float = 2.5, base: str = "inner-siou") -> BoxLoss:
    return BoxLoss(base, "product", (ResolvedRelation(0, (1,), weight),))


def test_a_step_with_and_without(small: UAVDETRModel) -> None:
    plain = step(small, None)
    nothing = step(small, box(weight=0.0))
    assert plain[0] == nothing[0] and torch.equal(plain[2], nothing[2])
    loss, items, gradient = step(small, box())
    assert loss > plain[0] and float(items["icr_pairs"]) == 3 and 0 < float(items["icr_containment"]) < 1
    assert (gradient - plain[2]).norm() > 1e-3 * plain[2].norm()
    giou = step(small, box(weight=0.0, base="giou"))
    assert float(giou[1]["giou_loss"]) != float(plain[1]["giou_loss"]), "its own base is Inner-SIoU, not GIoU"


def test_a_step_in_bfloat16_is_finite(small: UAVDETRModel) -> None:
    loss, items, _ = step(small, box(), autocast=True)
    assert math.isfinite(loss) and float(items["icr_pairs"]) == 3


def test_halving_the_weights_leaves_a_model_that_runs(small: UAVDETRModel) -> None:
    half = copy.deepcopy(small).bfloat16().eval()
    with torch.no_grad():
        assert half(batch()["img"].bfloat16())[0].isfinite().all()


def test_stored_and_loaded_it_says_the_same(small: UAVDETRModel, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = architectures.ARCHITECTURES["uav-detr-r18"].build(2)
    model.names = {0: "plate", 1: "vehicle"}
    file = tmp_path / "best.safetensors"
    architectures.write(file, architectures.ARCHITECTURES["uav-detr-r18"], model, {"imgsz": 64})
    stored = checkpoints.read_header(file)
    assert (stored.engine, stored.model, stored.names) == ("ultralytics", "uav-detr-r18", ["plate", "vehicle"])
    again = architectures.read(file)
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.eval()(picture)[0], again.eval()(picture)[0])
    assert own_base(find(str(file))) == own_base(find("uav-detr-r50")) == "inner-siou"
    predictor = engine.load(file)
    assert type(predictor) is DETRPredictor and predictor.imgsz == 64


def test_weights_of_other_classes_are_taken_but_for_their_rows(small: UAVDETRModel) -> None:
    source, target = copy.deepcopy(small), UAVDETRModel("r18", nc=2, queries=12)
    source.names, target.names = {0: "helmet", 1: "rider"}, {0: "plate", 1: "vehicle"}
    rows = target.model[-1].enc_score_head.weight.clone()
    target.load(source)
    assert torch.equal(target.model[0].conv.weight, source.model[0].conv.weight)
    assert torch.equal(target.model[-1].enc_score_head.weight, rows)
    more = UAVDETRModel("r18", nc=5, queries=12)
    more.load(source)
    assert torch.equal(more.model[27].high.conv.weight, source.model[27].high.conv.weight)


@pytest.mark.parametrize("compared", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_killed_and_resumed_it_ends_with_two_files(
    compared: bool, tmp_path: Path, arguments: Callable[..., dict[str, Any]]
) -> None:
    class StoppedError(Exception):
        pass

    out = tmp_path / "run"

    def made(**others: Any) -> Any:
        settled = DETRArchitectureTrainer.settled({"warmup_iterations": 0})
        return trainer(of=settled, **{"base": "inner-siou", **others})

    asked = arguments(out, model="uav-detr-r18", imgsz=64, epochs=2, fraction=0.34)
    first = made()(overrides=asked)

    def stop(each: Any) -> None:
        raise StoppedError

    first.add_callback("on_model_save", stop)
    with pytest.raises(StoppedError):
        first.train()
    kept = out / "weights" / state.NAME
    averaged = {name: tensor.clone() for name, tensor in state.read(kept)["ema"].items()}
    with pytest.raises(InputError, match="was trained with base inner-siou"):
        made(base="giou")(overrides={**asked, "resume": str(kept)}).train()
    again = made()(overrides={**asked, "resume": str(kept)})
    seen: list[Any] = []

    def look(each: Any) -> None:
        seen.append((each.epoch, each.model.criterion.box.base))
        if len(seen) == 1:
            assert each.ema.updates > 1

    again.add_callback("on_train_batch_end", look)
    again.train()
    assert {epoch for epoch, _ in seen} == {1} and {base for _, base in seen} == {"inner-siou"}
    assert [row["epoch"] for row in results(out)] == ["1", "2"]
    assert sorted(each.name for each in (out / "weights").iterdir()) == ["best.safetensors", "last.safetensors"]
    stored = checkpoints.read(out / "weights" / "last.safetensors")
    assert stored.settings["loss"]["box"]["base"] == "inner-siou"
    assert any(not torch.equal(averaged[name].float(), tensor) for name, tensor in stored.tensors.items())
    if not compared:
        return
    made()(overrides={**asked, "name": "whole"}).train()
    whole = checkpoints.read(tmp_path / "whole" / "weights" / "last.safetensors").tensors
    assert all(torch.equal(tensor, whole[name]) for name, tensor in stored.tensors.items()), "as if never killed"
