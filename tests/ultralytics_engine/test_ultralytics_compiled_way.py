# SPDX-License-Identifier: AGPL-3.0-only
"""With compile=True Ultralytics takes another way to the loss: first the outputs, then the criterion on them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ultralytics.cfg import get_cfg
from ultralytics.utils.torch_utils import unwrap_model

from icr.relations import ResolvedRelation
from icr.ultralytics.building import build
from icr.ultralytics.dataset import PARENT
from icr.ultralytics.settings import BoxLoss


@pytest.fixture
def batch() -> dict[str, Any]:
    """Two pictures, a plate beside its vehicle in each, so that every factor is above 1."""
    boxes = torch.tensor([[0.30, 0.30, 0.2, 0.1], [0.6, 0.6, 0.5, 0.4]] * 2)
    return {
        "img": torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)),
        "batch_idx": torch.tensor([0.0, 0.0, 1.0, 1.0]),
        "cls": torch.tensor([[0.0], [1.0], [0.0], [1.0]]),
        "bboxes": boxes,
        PARENT: torch.tensor([1, -1, 3, -1]),
    }


def network(with_icr: bool) -> Any:
    torch.manual_seed(0)
    model = build("yolov9-t", 2)
    model.names, model.args = {0: "plate", 1: "vehicle"}, get_cfg()
    model.icr = BoxLoss("ciou", "product", (ResolvedRelation(0, (1,), 2.5),)) if with_icr else None
    return model.train()


@pytest.mark.slow
def test_icr_is_reached_in_both_branches_of_yolov9(batch: dict[str, Any]) -> None:
    """The loss by the outputs of a compiled network is the one that the network gives by itself."""
    losses = {}
    for with_icr in (False, True):
        direct, items = network(with_icr)(batch)
        compiled: Any = torch.compile(network(with_icr), backend="eager")
        outputs = compiled(batch["img"])
        assert "aux" in outputs, "the auxiliary branch runs"
        told, told_items = unwrap_model(compiled).loss(batch, outputs)
        torch.testing.assert_close(told, direct)
        assert set(told_items) == set(items)
        losses[with_icr] = told.detach()
    assert losses[True][0] > losses[False][0] and torch.equal(losses[True][1:], losses[False][1:])


def test_ultralytics_own_detectors(batch: dict[str, Any], nets: SimpleNamespace) -> None:
    from ultralytics.nn.tasks import DetectionModel

    from icr.ultralytics.loss import related

    torch.manual_seed(0)
    model = DetectionModel(str(Path(nets.plain)), nc=2, verbose=False)
    model.args = get_cfg()
    related(model, BoxLoss("ciou", "product", (ResolvedRelation(0, (1,), 2.5),)))
    direct, items = model.train()(batch)
    told, told_items = model.loss(batch, torch.compile(model, backend="eager")(batch["img"]))
    torch.testing.assert_close(told, direct)
    assert (
        float(told_items["icr_factor"]) == pytest.approx(float(items["icr_factor"])) and float(items["icr_pairs"]) == 2
    )
