# SPDX-License-Identifier: AGPL-3.0-only
"""Prediction with a trained Ultralytics detector, in the form that the rest of the package takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Ultralytics' suppression takes torchvision's kernel if it happens to be imported, and else one of its own that keeps
# other boxes: without this line, predictions after a training differ from those of the same weights later.
import torchvision  # noqa: F401
from ultralytics.data.augment import LetterBox
from ultralytics.nn.modules.head import RTDETRDecoder
from ultralytics.utils.nms import non_max_suppression
from ultralytics.utils.ops import scale_boxes
from ultralytics.utils.patches import imread
from ultralytics.utils.torch_utils import select_device

from icr.errors import InputError
from icr.predictions import Picture, Predictions, check_imgsz, of_one_shape
from icr.ultralytics.weights import read


class UltralyticsPredictor:
    """A loaded Ultralytics detector.

    Attributes:
        names: class names; a label is an index into them.
        imgsz: the size that the detector was trained at.
        model: Ultralytics' model, fused, in evaluation mode.
    """

    def __init__(self, model: Any, device: str = "cpu") -> None:
        self.names = [str(name) for _, name in sorted(model.names.items())]
        size = getattr(model, "args", {}).get("imgsz") or 640
        self.imgsz = int(size if isinstance(size, int) else max(size))
        self.device = select_device(device, verbose=False)
        self.model = model.fuse(verbose=False).eval().to(self.device)
        self._stride = max(int(model.stride.max()), 32)

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

        A picture is scaled to `imgsz` and padded to whole strides; neighbours of the same shape share a batch, so that
        the result for one does not depend on the others.

        Args:
            imgsz: None means the size that the detector was trained at.
            iou: threshold of non-maximum suppression; end-to-end detectors (YOLOv10, YOLO26) have none.

        Raises:
            InputError: a file is no picture that can be read, or the detector takes none of that size.
        """
        if imgsz is not None:
            check_imgsz(imgsz)
        size = -(-(imgsz or self.imgsz) // self._stride) * self._stride
        for pictures in of_one_shape(map(_pixels, images), batch):
            yield from self._together(pictures, size, conf, iou, max_det)

    @torch.inference_mode()
    def _together(self, pictures: list[Picture], size: int, conf: float, iou: float, max_det: int) -> list[Predictions]:
        fit = LetterBox((size, size), auto=True, stride=self._stride)
        scaled = np.stack([fit(image=picture) for picture in pictures]).transpose(0, 3, 1, 2)
        inputs = torch.from_numpy(np.ascontiguousarray(scaled)).to(self.device).float() / 255
        if hasattr(self.model, "set_head_attr"):
            self.model.set_head_attr(max_det=max_det)
        found = non_max_suppression(
            self.model(inputs),
            conf,
            iou,
            multi_label=True,
            max_det=max_det,
            max_time_img=60.0,  # by default a busy machine would cut the search short
            nc=len(self.names),
            end2end=getattr(self.model, "end2end", False),
        )
        return [_prediction(rows, inputs.shape[2:], pictures[0].shape[:2]) for rows in found]


def _prediction(rows: torch.Tensor, network: Sequence[int], picture: Sequence[int]) -> Predictions:
    rows = rows[rows[:, 4].argsort(descending=True, stable=True)].cpu().double()
    boxes = scale_boxes(tuple(network), rows[:, :4].clone(), tuple(picture))
    return Predictions(boxes.numpy(), rows[:, 4].numpy(), rows[:, 5].long().numpy())


def _pixels(image: Path | Picture) -> Picture:
    if isinstance(image, np.ndarray):
        return image
    pixels = imread(str(image))
    if pixels is None:
        raise InputError(f"{image} cannot be read as a picture; expected JPEG, PNG, BMP, TIFF or WebP")
    rgb: Picture = pixels[..., ::-1]
    return rgb


def load(weights: Path, device: str = "cpu", trust: bool = False) -> UltralyticsPredictor:
    """Load trained weights by Ultralytics' restricted loader, which runs no code that a file may hold.

    Args:
        weights: a checkpoint of Ultralytics (`.pt`).
        device: `cpu`, or the index of a GPU.
        trust: unpickle a file that the restricted loader refuses; that may run any code the file holds.

    Raises:
        InputError: no such file, no checkpoint, foreign code in it, or a model for another task.
    """
    model = read(weights, trust)
    if isinstance(model.model[-1], RTDETRDecoder):
        from icr.ultralytics.detr.prediction import DETRPredictor

        return DETRPredictor(model, device)
    return UltralyticsPredictor(model, device)
