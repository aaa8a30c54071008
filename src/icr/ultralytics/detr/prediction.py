# SPDX-License-Identifier: AGPL-3.0-only
"""Prediction with detectors of the RT-DETR kind: stretched pictures, no non-maximum suppression."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch

from icr.predictions import Picture, Predictions
from icr.ultralytics.prediction import UltralyticsPredictor


class DETRPredictor(UltralyticsPredictor):
    """A loaded RT-DETR or UAV-DETR; the `iou` of `predict` means nothing to it."""

    @torch.inference_mode()
    def _together(self, pictures: list[Picture], size: int, conf: float, iou: float, max_det: int) -> list[Predictions]:
        stretched = np.stack([cv2.resize(each, (size, size), interpolation=cv2.INTER_LINEAR) for each in pictures])
        inputs = torch.from_numpy(stretched.transpose(0, 3, 1, 2).copy()).to(self.device).float() / 255
        rows: Any = self.model(inputs)[0]
        return [_prediction(row, each.shape[:2], conf, max_det) for row, each in zip(rows, pictures, strict=True)]


def _prediction(rows: torch.Tensor, picture: tuple[int, ...], conf: float, max_det: int) -> Predictions:
    """Rows (queries, 6) of centre, sides (as shares of the picture), score and class."""
    rows = rows[rows[:, 4] > conf].cpu().double()
    rows = rows[rows[:, 4].argsort(descending=True, stable=True)][:max_det]
    height, width = picture
    centre, sides = rows[:, :2], rows[:, 2:4]
    limit = torch.tensor([width, height], dtype=torch.float64)
    corners = [((centre + sign * sides / 2) * limit).clamp(min=0).minimum(limit) for sign in (-1, 1)]
    return Predictions(torch.cat(corners, 1).numpy(), rows[:, 4].numpy(), rows[:, 5].long().numpy())
