# SPDX-License-Identifier: AGPL-3.0-only
"""The network: its counts, its auxiliary branch, what is left of it once that is stripped, and stock Ultralytics."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from ultralytics.nn.modules import Conv, RepConv
from ultralytics.nn.tasks import DetectionModel
from yolov9_nets import batch, net, stir

from icr.errors import InputError
from icr.ultralytics import architectures
from icr.ultralytics.yolov9 import stock
from icr.ultralytics.yolov9.head import GroupedDetect
from icr.ultralytics.yolov9.model import BACKBONE, YOLOv9

# Unfused, fused, and unfused without the auxiliary branch, by number of classes; the original's and the paper's.
COUNTS = {
    "yolov9-t": {
        10: (2_662_796, 2_620_460, 1_915_198),
        2: (2_659_676, 2_617_340, 1_913_638),
        1: (2_659_286, 2_616_950, 1_913_443),
    },
    "yolov9-s": {
        10: (9_750_332, 9_604_988, 7_199_118),
        2: (9_744_140, 9_598_796, 7_196_022),
        1: (9_743_366, 9_598_022, 7_195_635),
    },
    "yolov9-m": {
        10: (32_777_212, 32_566_180, 20_073_390),
        2: (32_765_644, 32_554_612, 20_067_606),
        1: (32_764_198, 32_553_166, 20_066_883),
    },
    "yolov9": {
        10: (60_818_012, 60_516_700, 31_408_558),
        2: (60_799_532, 60_498_220, 31_402_390),
        1: (60_797_222, 60_495_910, 31_401_619),
    },
    "yolov9-c": {
        10: (51_020_380, 50_719_068, 25_444_782),
        2: (51_001_900, 50_700_588, 25_438_614),
        1: (50_999_590, 50_698_278, 25_437_843),
    },
}
AUXILIARY = {
    "yolov9-t": 270_816,
    "yolov9-s": 1_076_416,
    "yolov9-m": 8_151_936,
    "yolov9-c": 9_510_336,
    "yolov9": 13_344_192,
}
QUICK = [("yolov9-t", nc) for nc in (10, 2, 1)] + [(name, 10) for name in COUNTS if name != "yolov9-t"]
REST = [pytest.param(name, nc, marks=pytest.mark.slow) for name in COUNTS for nc in (2, 1) if name != "yolov9-t"]


def count(module: nn.Module) -> int:
    return sum(each.numel() for each in module.parameters())


@pytest.mark.parametrize(("name", "nc"), QUICK + REST)
def test_the_counts_are_those_of_the_original_and_the_paper(name: str, nc: int) -> None:
    unfused, fused, main = COUNTS[name][nc]
    model = YOLOv9(name, nc)
    assert (count(model), count(model.model), count(model.aux)) == (unfused, main, AUXILIARY[name])
    model.fuse(verbose=False)
    assert model.is_fused() and count(model) == fused


def test_a_network_of_80_classes_has_the_width_of_the_original() -> None:
    assert count(YOLOv9("yolov9-t", 80)) == 3_717_680


def test_the_auxiliary_branch_runs_in_training_alone() -> None:
    model, pictures = net(), batch()["img"]
    preds = model(pictures)
    assert {"boxes", "scores", "feats", "aux"} == set(preds)
    assert preds["aux"]["boxes"].shape == preds["boxes"].shape == (2, 64, 84)
    assert [tuple(each.shape) for each in preds["aux"]["feats"]] == [(2, 64, 8, 8), (2, 96, 4, 4), (2, 128, 2, 2)]
    decoded, raw = model.eval()(pictures)
    assert decoded.shape == (2, 6, 84) and "aux" not in raw


@pytest.mark.parametrize("name", ["yolov9-t", pytest.param("yolov9-m", marks=pytest.mark.slow)])
def test_its_gradients_reach_the_backbone(name: str) -> None:
    """Nothing is detached on the way: that is what the auxiliary branch is for."""
    model = net(name=name)
    model(torch.rand(1, 3, 64, 64))["aux"]["boxes"].square().sum().backward()
    assert all(bool(each.grad.abs().sum() > 0) for each in model.model[0].parameters())
    reached = {int(name.split(".")[0]) for name, each in model.model.named_parameters() if each.grad is not None}
    assert reached == set(range(BACKBONE[-1] + 1))


@pytest.mark.parametrize("name", ["yolov9-t", pytest.param("yolov9", marks=pytest.mark.slow)])
def test_stripping_leaves_the_outputs_as_they_are(name: str) -> None:
    model, pictures = stir(net(name=name)).eval(), batch()["img"]
    with torch.no_grad():
        before, raw = model(pictures)
        assert float(raw["scores"].std(-1).mean()) > 0.1, "the network looks at the picture"
        assert torch.equal(model.strip()(pictures)[0], before)
        assert not any(key.startswith("aux") for key in model.state_dict())
        fused = model.fuse(verbose=False)(pictures)[0]
    torch.testing.assert_close(fused, before, rtol=1e-3, atol=0.02)


def test_the_head_is_the_originals() -> None:
    head = YOLOv9("yolov9-t", 2).model[-1]
    assert isinstance(head, GroupedDetect)
    for box, scores, stride in zip(head.cv2, head.cv3, (8, 16, 32), strict=True):
        assert [box[0].conv.groups, box[1].conv.groups, box[2].groups] == [1, 4, 4]
        assert bool((box[2].bias == 1.0).all())
        assert float(scores[2].bias[0].detach()) == pytest.approx(
            float(torch.tensor(5 / 2 / (640 / stride) ** 2).log())
        )
    assert head.stride.tolist() == [8.0, 16.0, 32.0]


def test_only_the_model_of_60_million_activates_by_relu() -> None:
    for name in ("yolov9-t", "yolov9"):
        model = YOLOv9(name, 2)
        kinds = {type(each.act) for each in model.modules() if isinstance(each, (Conv, RepConv))} - {nn.Identity}
        assert kinds == ({nn.ReLU} if name == "yolov9" else {nn.SiLU})
    assert isinstance(Conv.default_act, nn.SiLU) and isinstance(RepConv.default_act, nn.SiLU)


def test_new_batch_norms_are_set_as_ultralytics_sets_its_own() -> None:
    norms = [each for each in YOLOv9("yolov9-t", 2).modules() if isinstance(each, nn.BatchNorm2d)]
    assert {(each.eps, each.momentum) for each in norms} == {(1e-3, 0.03)}


def stored(folder: Path, model: YOLOv9) -> Path:
    model.names = {0: "plate", 1: "vehicle"}
    path = folder / "best.safetensors"
    architectures.write(path, architectures.ARCHITECTURES[model.architecture], model, {"imgsz": 64})
    return path


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    model, pictures = stir(net()), batch()["img"]
    read = architectures.read(stored(tmp_path, model))
    assert read.names == {0: "plate", 1: "vehicle"} and read.args["imgsz"] == 64 and read.aux is None
    with torch.no_grad():
        assert torch.equal(read.eval()(pictures)[0], model.eval()(pictures)[0])


def test_files_that_do_not_fit_are_refused_in_one_line(tmp_path: Path) -> None:
    from icr import checkpoints

    path = stored(tmp_path, net())
    whole = checkpoints.read(path)
    cut = {key: value for key, value in whole.tensors.items() if not key.startswith("model.22.cv2")}
    other = tmp_path / "other.safetensors"
    checkpoints.write(other, checkpoints.Checkpoint("ultralytics", "yolov9-t", whole.names, 64, {}, cut))
    with pytest.raises(InputError, match="does not fit yolov9-t") as refused:
        architectures.read(other)
    assert "\n" not in str(refused.value)
    checkpoints.write(other, checkpoints.Checkpoint("ultralytics", "yolov9-x", whole.names, 64, {}, cut))
    with pytest.raises(InputError, match="'yolov9-x' of the engine 'ultralytics'"):
        architectures.read(other)


@pytest.mark.parametrize("nc", [2, 80])
def test_the_same_from_ultralytics_own_classes(nc: int) -> None:
    """With 80 classes the class branch of size T is wider than Ultralytics' plan; it is taken over as it is."""
    model, pictures = stir(net(nc=nc)).eval(), batch()["img"]
    plain = stock.as_stock(model).eval()
    assert type(plain) is DetectionModel
    assert {type(each).__module__.split(".")[0] for each in plain.modules()} == {"ultralytics", "torch"}
    with torch.no_grad():
        torch.testing.assert_close(plain(pictures)[0], model(pictures)[0], rtol=1e-5, atol=1e-3)
    as_planned = DetectionModel("yolov9t.yaml", nc=nc, verbose=False).model[-1].cv3[0][2].in_channels
    assert (model.model[-1].cv3[0][2].in_channels == as_planned) == (nc <= 32)
    # What Ultralytics does when such a file is trained further.
    again = DetectionModel(plain.yaml, nc=nc, verbose=False)
    again.load(plain, verbose=False)
    given, taken = plain.state_dict(), again.state_dict()
    assert list(given) == list(taken) and all(torch.equal(value, taken[name]) for name, value in given.items())


@pytest.mark.slow
def test_ultralytics_builds_the_model_of_60_million_anew_with_other_activations() -> None:
    model, pictures = stir(net(name="yolov9")).eval(), batch()["img"]
    plain = stock.as_stock(model).eval()
    again = DetectionModel(plain.yaml, nc=2, verbose=False).eval()
    again.load(plain, verbose=False)
    kinds = {type(each.act) for each in again.modules() if isinstance(each, RepConv)}
    with torch.no_grad():
        wanted = model(pictures)[0]
        torch.testing.assert_close(plain(pictures)[0], wanted, rtol=1e-5, atol=1e-3)
        assert kinds == {nn.SiLU} and float((again(pictures)[0] - wanted).abs().max()) > 0.1


PLAIN = """
import sys
sys.modules["icr"] = None  # any import of icr fails now
import torch
from ultralytics import YOLO
from ultralytics.nn.tasks import DetectionModel, torch_safe_load
torch_safe_load(sys.argv[1], safe_only=True)
model = YOLO(sys.argv[1])
assert type(model.model) is DetectionModel and model.names == {0: "plate", 1: "vehicle"}
torch.save(model.model.eval()(torch.load(sys.argv[2]))[0], sys.argv[3])
"""


def test_plain_ultralytics_loads_what_is_written_for_it(tmp_path: Path) -> None:
    model, pictures = stir(net()).eval(), batch()["img"]
    stock.write(stored(tmp_path, model), tmp_path / "plain.pt")
    torch.save(pictures, tmp_path / "in.pt")
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, *(str(tmp_path / name) for name in ("plain.pt", "in.pt", "out.pt"))],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "YOLO_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with torch.no_grad():
        torch.testing.assert_close(torch.load(tmp_path / "out.pt"), model(pictures)[0], rtol=1e-5, atol=1e-3)
    with pytest.raises(InputError, match="nothing is written over"):
        stock.write(tmp_path / "best.safetensors", tmp_path / "plain.pt")
