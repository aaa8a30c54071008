# SPDX-License-Identifier: AGPL-3.0-only
"""Every YOLO of the paper in its own size: its count, a step with and without ICR, in bfloat16, stored and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from ultralytics.cfg import get_cfg
from yolov9_nets import batch

from icr.relations import ResolvedRelation
from icr.ultralytics import architectures, engine, weights
from icr.ultralytics.building import build
from icr.ultralytics.loss import related, stock_form
from icr.ultralytics.settings import BoxLoss

COUNTS = {
    # name: as built with 10 classes; fused with 1, 2 and 10
    "yolo11n": (2_591_790, 2_582_347, 2_582_542, 2_584_102),
    "yolo12n": (2_569_998, 2_556_923, 2_557_118, 2_558_678),
}
"""Of Ultralytics' own; those of YOLOv9 with its branch are in `test_yolov9_graph.py`."""


def count(model: Any) -> int:
    return sum(each.numel() for each in model.parameters())


def net(name: str, weight: float | None) -> Any:
    """The same weights each time, with boxes of about two cells, so that small objects weigh something."""
    torch.manual_seed(0)
    model = build(name, 2)
    model.args, model.names = get_cfg(overrides={"epochs": 2}), {0: "plate", 1: "vehicle"}
    for head in (model.model[-1], *([model.aux_head] if hasattr(model, "aux_head") else [])):
        for branch in head.cv2:
            branch[-1].bias.data = (-((torch.arange(16.0) - 1) ** 2)).repeat(4)
    if weight is None:
        return model
    box = BoxLoss("ciou", "product", (ResolvedRelation(0, (1,), weight),))
    if architectures.find(name) is None:
        return related(model, box)
    model.icr = box
    return model


def step(model: Any, autocast: bool = False) -> tuple[float, Tensor]:
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss, _ = model.train()(batch())
    loss.sum().backward()
    gradient = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])
    assert loss.isfinite().all() and gradient.isfinite().all()
    return float(loss.detach().sum()), gradient


@pytest.mark.parametrize("name", COUNTS)
def test_counts_are_those_of_the_paper(name: str) -> None:
    built = build(name, 10)
    assert (count(built), *(count(build(name, nc).fuse(verbose=False)) for nc in (1, 2, 10))) == COUNTS[name]


@pytest.mark.parametrize(
    "name",
    [
        "yolo11n",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("yolo12n", "yolov9-t", "yolov9-s", "yolov9-m", "yolov9", "yolov9-c")
        ),
    ],
)
def test_a_step_and_a_file(name: str, tmp_path: Path) -> None:
    plain, gradient = step(net(name, None))
    loss, changed = step(net(name, 2.5))
    assert loss > plain and (changed - gradient).norm() > 1e-4 * gradient.norm()
    nothing = step(net(name, 0.0))
    assert nothing[0] == plain and torch.equal(nothing[1], gradient)
    step(net(name, 2.5), autocast=True)

    model, architecture = net(name, 2.5), architectures.find(name)
    file = tmp_path / ("best.safetensors" if architecture else "best.pt")
    if architecture:
        architectures.write(file, architecture, model, {"imgsz": 64})
    else:
        with stock_form(model):
            torch.save({"model": model, "train_args": {"imgsz": 64}}, file)
    again = weights.read(file)
    with torch.no_grad():
        assert torch.equal(model.eval()(batch()["img"])[0], again.eval()(batch()["img"])[0])
    (found,) = engine.load(file).predict([torch.zeros(48, 80, 3, dtype=torch.uint8).numpy()], conf=0.0)
    assert (found.boxes[:, 2] <= 80).all() and (found.boxes[:, 3] <= 48).all()
