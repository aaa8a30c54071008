"""Prediction with a detector of Transformers, in the form that the rest of the package takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from icr.drawing.pictures import pixels_of
from icr.errors import InputError
from icr.predictions import Picture, Predictions, check_imgsz


@dataclass(frozen=True)
class Scale:
    """How pixels are brought from 0..1 to what a network was trained on; RT-DETR's kin take them as they are."""

    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    def __call__(self, pixels: Tensor) -> Tensor:
        return functional.normalize(pixels, list(self.mean), list(self.deviation)) if self.mean else pixels


class TransformersPredictor:
    """A loaded detector of Transformers.

    Args:
        model: RT-DETR or a relative of it, which scores every class by a sigmoid of its own.
        imgsz: the size that it was trained at.
        scale: what its pixels are brought to.

    Attributes:
        names: class names; a label is an index into them.
        imgsz: as given.
        model: in evaluation mode, where it was.
    """

    def __init__(self, model: Any, imgsz: int = 640, scale: Scale | None = None) -> None:
        self.names = [str(model.config.id2label[index]) for index in sorted(model.config.id2label)]
        self.imgsz = imgsz
        self.model = model.eval()
        self._scale = scale or Scale()

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

        A picture is stretched to a square of `imgsz`, as in training. Of all queries and classes together the `max_det`
        best are kept, as RT-DETR does.

        Args:
            imgsz: None means the size that the detector was trained at.
            iou: of no effect: these detectors have no non-maximum suppression.

        Raises:
            InputError: a file is no picture that can be read, or `imgsz` is no multiple of 32, or too small.
        """
        size = imgsz or self.imgsz
        if hasattr(self.model.config, "feat_strides"):
            check_imgsz(size)
        check_places(self.model, size)
        return self._in_batches(iter(images), size, conf, max_det, batch)

    def _in_batches(
        self, images: Iterator[Path | Picture], size: int, conf: float, max_det: int, batch: int
    ) -> Iterator[Predictions]:
        while pictures := [pixels_of(image) for image in islice(images, batch)]:
            inputs = torch.stack([stretched(picture, size) for picture in pictures])
            with torch.inference_mode():
                found = self.model(self._scale(inputs.to(next(self.model.parameters()).device)))
                for scores, labels, boxes, picture in zip(
                    *best(found.logits, found.pred_boxes, max_det), pictures, strict=True
                ):
                    yield _prediction(scores, labels, boxes, picture, conf)


def check_places(network: Any, size: int) -> None:
    """Refuse a size at which a network has fewer places to look at than queries to choose from them.

    Raises:
        InputError: says how many of each there are.
    """
    queries = getattr(network.config, "num_queries", 0)
    places = sum((size // stride) ** 2 for stride in getattr(network.config, "feat_strides", ()))
    if 0 < places < queries:
        raise InputError(
            f"at {size} px the network sees {places} places, and has {queries} queries to choose from them; "
            f"give a larger --imgsz, or train with --set queries={places} at most"
        )


def stretched(picture: Picture, size: int) -> Tensor:
    """A picture as the network takes it: float32 (3, size, size), 0..1."""
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
    return functional.resize(pixels, [size, size], antialias=True).float() / 255


def best(logits: Tensor, boxes: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Choose the best of all queries and classes together.

    Args:
        logits: (B, Q, C).
        boxes: (B, Q, 4).
        most: how many to keep, if there are as many.

    Returns:
        Scores (B, K), 0..1, falling; classes (B, K); boxes (B, K, 4).

    Example:
        >>> scores, labels, _ = best(torch.tensor([[[0.0, -9.0], [2.0, 1.0]]]), torch.zeros(1, 2, 4), 2)
        >>> scores, labels
        (tensor([[0.8808, 0.7311]]), tensor([[0, 1]]))
    """
    classes = logits.shape[-1]
    scores = logits.float().sigmoid().flatten(1)
    scores, at = scores.topk(min(most, scores.shape[1]), dim=1)
    chosen = boxes.float().gather(1, (at // classes).unsqueeze(-1).expand(-1, -1, 4))
    return scores, at % classes, chosen


def _prediction(scores: Tensor, labels: Tensor, boxes: Tensor, picture: Picture, conf: float) -> Predictions:
    kept = scores >= conf
    height, width = picture.shape[:2]
    found = boxes[kept].cpu().double()
    centre, sides = found[:, :2], found[:, 2:]
    sizes = torch.tensor([width, height], dtype=torch.float64)
    corners = torch.cat([(centre - sides / 2).clamp(0, 1) * sizes, (centre + sides / 2).clamp(0, 1) * sizes], -1)
    return Predictions(corners.numpy(), scores[kept].cpu().double().numpy(), labels[kept].cpu().numpy())


def scale_of(folder: Path) -> tuple[Scale, int | None]:
    """What a folder that Transformers saved says of its pictures: their scale, and the side of the input if square."""
    try:
        said = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Scale(), None
    size = said.get("size") or {}
    side = size.get("height") if isinstance(size, dict) and size.get("height") == size.get("width") else None
    if not said.get("do_normalize", False):
        return Scale(), side
    return Scale(tuple(said["image_mean"]), tuple(said["image_std"])), side
