# SPDX-License-Identifier: AGPL-3.0-only
"""YOLOv9 of size T on two small pictures, with boxes of about two cells, so that small objects weigh something."""

from __future__ import annotations

from functools import partial
from typing import Any

import tiny_scenes
import torch
from ultralytics.cfg import get_cfg

from icr.relations import ResolvedRelation
from icr.ultralytics.settings import BoxLoss
from icr.ultralytics.yolov9.model import YOLOv9

PLATE = (ResolvedRelation(0, (1,), 2.5),)

batch = partial(tiny_scenes.batch, 64)


def net(base: Any = "ciou", weight: float | None = 2.5, name: str = "yolov9-t", nc: int = 2) -> YOLOv9:
    """A network with the same weights each time; weight None trains it with Ultralytics' own loss."""
    torch.manual_seed(0)
    made = YOLOv9(name, nc)
    made.args = get_cfg(overrides={"epochs": 2})
    for head in (made.model[-1], made.aux_head):
        for branch in head.cv2:
            branch[-1].bias.data = (-((torch.arange(16.0) - 1) ** 2)).repeat(4)
    if weight is not None:
        made.icr = BoxLoss(base, "product", (ResolvedRelation(0, (1,), weight),))
    return made


def stir(model: YOLOv9) -> YOLOv9:
    """Give every batch norm the statistics of some pictures; in a new network what is in a picture is soon lost."""
    torch.manual_seed(2)
    norms = [each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)]
    before = [each.momentum for each in norms]
    for each in norms:
        each.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.rand(4, 3, 64, 64))
    for each, momentum in zip(norms, before, strict=True):
        each.momentum = momentum
        each.running_var.clamp_(min=0.1)
    return model
