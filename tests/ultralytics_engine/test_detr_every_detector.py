# SPDX-License-Identifier: AGPL-3.0-only
"""Every detector of the RT-DETR kind in its own size: a step with and without ICR, in bfloat16, stored and loaded."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from test_uav_detr import batch
from torch import Tensor

from icr.detectors import find, own_base
from icr.relations import ResolvedRelation
from icr.ultralytics import architectures, engine, weights
from icr.ultralytics.building import build
from icr.ultralytics.detr.model import related, stock_form
from icr.ultralytics.kinds import kind_of
from icr.ultralytics.settings import BoxLoss

pytestmark = pytest.mark.slow


def step(model: Any, box: BoxLoss | None, settings: Any, autocast: bool = False) -> tuple[float, Tensor]:
    model = related(copy.deepcopy(model), box, settings).train()
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss, items = model.loss(batch())
    loss.backward()
    gradient = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])
    assert math.isfinite(float(loss.detach())) and gradient.isfinite().all()
    assert ("icr_pairs" in items) == (box is not None)
    return float(loss.detach()), gradient


@pytest.mark.parametrize("name", ["uav-detr-r18", "uav-detr-r50", "rtdetr-l", "rtdetr-resnet50"])
def test_a_step_and_a_file(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, settings = build(name, 2), kind_of(name).settings
    model.names = {0: "plate", 1: "vehicle"}
    relations = (ResolvedRelation(0, (1,), 2.5),)
    plain = step(model, None, settings)
    loss, gradient = step(model, BoxLoss(own_base(find(name)), "product", relations), settings)
    assert loss > plain[0] and (gradient - plain[1]).norm() > 1e-4 * plain[1].norm()
    nothing = step(model, BoxLoss(own_base(find(name)), "product", (ResolvedRelation(0, (1,), 0.0),)), settings)
    assert nothing[0] == plain[0] and torch.equal(nothing[1], plain[1])
    step(model, BoxLoss(own_base(find(name)), "product", relations), settings, autocast=True)

    architecture = architectures.find(name)
    file = tmp_path / ("best.safetensors" if architecture else "best.pt")
    if architecture:
        architectures.write(file, architecture, model, {"imgsz": 64})
    else:
        with stock_form(related(model, None, settings), {"box": None}):
            torch.save({"model": model, "train_args": {"imgsz": 64}}, file)
    again = weights.read(file)
    with torch.no_grad():
        assert torch.equal(model.eval()(batch()["img"])[0], again.eval()(batch()["img"])[0])
    (found,) = engine.load(file).predict([torch.zeros(48, 80, 3, dtype=torch.uint8).numpy()], conf=0.0)
    assert len(found.boxes) and (found.boxes[:, 2] <= 80).all() and (found.boxes[:, 3] <= 48).all()
