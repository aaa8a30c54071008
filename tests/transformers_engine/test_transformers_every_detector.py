"""Every detector of this engine in its own size: a step with and without ICR, in bfloat16, stored and loaded.

Their counts are in `test_transformers_models.py`.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

import torch
from tiny_detrs import NAMES, PICTURES, step

from icr.transformers import build, loss_function
from icr.transformers.plans import PLANS
from icr.transformers.weights import read, write


def stepped(model: Any, weight: float | None, autocast: bool = False) -> tuple[float, torch.Tensor]:
    model = copy.deepcopy(model)
    if weight is not None:
        model.loss_function = loss_function(model, "plate:vehicle", weight=weight)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = step(model)
    output.loss.backward()
    assert ("icr_pairs" in output.loss_dict) == (weight is not None)
    gradient = torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None])
    assert output.loss.isfinite() and gradient.isfinite().all()
    return float(output.loss.detach()), gradient


@pytest.mark.parametrize(
    "name", [pytest.param(each, marks=() if each == "dfine-n" else pytest.mark.slow) for each in PLANS]
)
def test_a_step_and_a_file(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build(name, NAMES, imgsz=64, num_queries=12, num_denoising=8).train()
    plain, gradient = stepped(model, None)
    loss, changed = stepped(model, 2.5)
    assert loss > plain and (changed - gradient).norm() > 1e-4 * gradient.norm()
    nothing = stepped(model, 0.0)
    assert nothing[0] == pytest.approx(plain, rel=1e-6)
    torch.testing.assert_close(nothing[1], gradient, rtol=1e-3, atol=1e-3 * float(gradient.abs().max()))
    stepped(model, 2.5, autocast=True)

    file = tmp_path / "best.safetensors"
    write(file, model, model=name, imgsz=64)
    again = read(file)
    assert (again.model, again.imgsz) == (name, 64)
    with torch.no_grad():
        before, after = (each.eval()(pixel_values=PICTURES) for each in (model, again.network))
    assert torch.equal(before.logits, after.logits) and torch.equal(before.pred_boxes, after.pred_boxes)
