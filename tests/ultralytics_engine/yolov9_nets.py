# SPDX-License-Identifier: AGPL-3.0-only
"""YOLOv9 of size T on two small pictures, with boxes of about two cells, so that small objects weigh something."""

from __future__ import annotations

from typing import Any

import torch
from ultralytics.cfg import get_cfg

from icr.relations import ResolvedRelation
from icr.ultralytics.dataset import PARENT
from icr.ultralytics.settings import BoxLoss
from icr.ultralytics.yolov9.model import YOLOv9

PLATE = (ResolvedRelation(0, (1,), 2.5),)


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


def batch(size: int = 64) -> dict[str, Any]:
    """Two pictures: plates partly outside their vehicles, one vehicle without a plate, one plate without a vehicle."""
    torch.manual_seed(1)
    table = torch.tensor(
        [
            (0, 0, 0.30, 0.30, 0.20, 0.12),
            (0, 1, 0.40, 0.40, 0.30, 0.30),
            (0, 0, 0.80, 0.80, 0.20, 0.12),
            (1, 1, 0.50, 0.50, 0.60, 0.60),
            (1, 0, 0.55, 0.25, 0.25, 0.16),
            (1, 1, 0.20, 0.80, 0.20, 0.20),
        ]
    )
    return {
        "img": torch.rand(2, 3, size, size),
        "batch_idx": table[:, 0],
        "cls": table[:, 1:2],
        "bboxes": table[:, 2:],
        PARENT: torch.tensor([1, -1, -1, -1, 3, -1]),
    }


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
