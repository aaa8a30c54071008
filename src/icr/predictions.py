"""What a detector says about a picture: the form that engines give and that metrics and drawings take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass
class Predictions:
    """The boxes found in one picture, best first.

    Attributes:
        boxes: float64 (N, 4), xyxy, pixels of the original picture.
        scores: float64 (N,), 0..1, falling.
        labels: int64 (N,), index into the predictor's names.
    """

    boxes: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]


class Predictor(Protocol):
    """A loaded detector, whatever its engine."""

    names: list[str]

    def predict(
        self,
        images: Sequence[Path | npt.NDArray[np.uint8]],
        *,
        imgsz: int | None = None,
        conf: float = 0.001,
        iou: float = 0.7,
        max_det: int = 300,
        batch: int = 16,
    ) -> Iterator[Predictions]:
        """Find objects in pictures (paths, or RGB arrays of (height, width, 3)), in order, lazily.

        `imgsz` None means the size the detector was trained at; `iou` is the threshold of non-maximum suppression,
        ignored by detectors that have none.
        """
        ...
