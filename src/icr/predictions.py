"""What a detector says about a picture: the form that engines give and that metrics and drawings take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from icr.errors import InputError

COARSEST = 32
"""The stride of a network's coarsest map, in pixels."""

Picture = npt.NDArray[np.uint8]
"""RGB, (height, width, 3)."""


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
        images: Sequence[Path | Picture],
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


def of_one_shape(pictures: Iterable[Picture], most: int) -> Iterator[list[Picture]]:
    """Neighbours of the same shape together, so that what is found in one does not depend on the others.

    Example:
        >>> square, wide = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 4, 3), np.uint8)
        >>> [len(together) for together in of_one_shape([square, square, square, wide, square], 2)]
        [2, 1, 1, 1]
    """
    for _, same in groupby(pictures, key=lambda picture: picture.shape):
        while together := list(islice(same, most)):
            yield together


def check_imgsz(imgsz: int) -> int:
    """Return the side of a network's input if it can be used.

    Raises:
        InputError: it is no multiple of a network's coarsest stride.

    Example:
        >>> check_imgsz(640)
        640
    """
    if imgsz < COARSEST or imgsz % COARSEST:
        raise InputError(f"--imgsz {imgsz}: expected a multiple of {COARSEST}, the coarsest stride, such as 320 or 640")
    return imgsz
