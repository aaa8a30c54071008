"""RT-DETRv2's augmentations, with every child's pair kept: ids travel with the boxes through crop and filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

_ROW, _LABEL, _BOXES = "row", "label", "boxes"


@dataclass(frozen=True)
class Strengths:
    """How probable each augmentation is, 0..1; the defaults are RT-DETRv2's own.

    Attributes:
        photometric: change of brightness, contrast, saturation and hue.
        zoom_out: the picture laid into a black one of up to four times its sides.
        iou_crop: a part of the picture that shares enough with at least one box (torchvision's `RandomIoUCrop`).
        flip: mirrored left to right.
    """

    photometric: float = 0.5
    zoom_out: float = 0.5
    iou_crop: float = 0.8
    flip: float = 0.5

    def calm(self) -> Strengths:
        """What is left in the last epochs: the mirror alone."""
        return Strengths(0.0, 0.0, 0.0, self.flip)


NONE = Strengths(0.0, 0.0, 0.0, 0.0)
"""A picture as validation sees it: brought to size and no more."""


@dataclass(frozen=True)
class Augmented:
    """A picture ready for the network.

    Attributes:
        pixels: float32 (3, size, size), RGB, 0..1.
        boxes: float32 (N, 4), cxcywh, shares of the sides.
        labels: int64 (N,).
        parents: int64 (N,), row of each box's parent among these boxes, -1 for none.
        rows: int64 (N,), row that each box had in the picture as stored.
    """

    pixels: Tensor
    boxes: Tensor
    labels: Tensor
    parents: Tensor
    rows: Tensor


def transforms(strengths: Strengths, size: int) -> v2.Transform:
    """Build the chain for pictures of `size` by `size` pixels, stretched, in the official order.

    Boxes of less than a pixel are taken out after the crop and after the change of size.
    """
    chain: list[v2.Transform] = []
    if strengths.photometric:
        chain.append(v2.RandomPhotometricDistort(p=strengths.photometric))
    if strengths.zoom_out:
        chain.append(v2.RandomZoomOut(fill=0, p=strengths.zoom_out))
    if strengths.iou_crop:
        chain.append(v2.RandomApply([v2.RandomIoUCrop()], p=strengths.iou_crop))
    chain.append(_sanitize())
    if strengths.flip:
        chain.append(v2.RandomHorizontalFlip(p=strengths.flip))
    chain += [v2.Resize((size, size), antialias=True), _sanitize(), v2.ToDtype(torch.float32, scale=True)]
    return v2.Compose(chain)


def _sanitize() -> v2.Transform:
    return v2.Compose(
        [
            v2.ClampBoundingBoxes(),
            v2.SanitizeBoundingBoxes(min_size=1, labels_getter=_columns),
        ]
    )


def _columns(inputs: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """What is filtered along with the boxes; a function with a name, so that it can be sent to other processes."""
    return inputs[_LABEL], inputs[_ROW]


def augment(
    picture: npt.NDArray[np.uint8],
    boxes: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    parents: npt.NDArray[np.int64],
    chain: v2.Transform,
    seed: int,
) -> Augmented:
    """Send a picture through the chain.

    A child whose parent is taken out on the way, or lies outside the crop, has none; a parent that is cut off at the
    edge is its part inside.

    Args:
        picture: RGB (height, width, 3).
        boxes: (N, 4), xyxy, pixels of the picture.
        labels: (N,).
        parents: (N,), row of each box's parent, negative for none.
        chain: from `transforms`.
        seed: of this draw; the global source of chance is left as it was.
    """
    height, width = picture.shape[:2]
    # Copied: pictures from Pillow are read-only memory.
    image = tv_tensors.Image(torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous())
    xyxy = torch.from_numpy(np.asarray(boxes, np.float32).reshape(-1, 4))
    given: dict[str, Any] = {
        "image": image,
        _BOXES: tv_tensors.BoundingBoxes(xyxy, format="XYXY", canvas_size=(height, width)),  # type: ignore[call-arg]
        _LABEL: torch.from_numpy(np.asarray(labels, np.int64)),
        _ROW: torch.arange(len(labels)),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        done = chain(given)
    pixels, rows = done["image"].as_subclass(Tensor), done[_ROW]
    sides = torch.tensor([pixels.shape[2], pixels.shape[1]] * 2, dtype=torch.float32)
    first, last = (done[_BOXES].as_subclass(Tensor) / sides).split(2, -1)
    return Augmented(
        pixels=pixels,
        boxes=torch.cat([(first + last) / 2, last - first], -1),
        labels=done[_LABEL],
        parents=kept_parents(rows, torch.from_numpy(np.asarray(parents, np.int64))),
        rows=rows,
    )


def kept_parents(rows: Tensor, parents: Tensor) -> Tensor:
    """Find the parents anew once some boxes are gone.

    Args:
        rows: (N,), row that each box that is left had before.
        parents: (M,), row of each box's parent before, negative for none.

    Returns:
        int64 (N,): row of the parent among those that are left, -1 for none or where it is gone.

    Example:
        >>> kept_parents(torch.tensor([0, 2, 3]), torch.tensor([1, -1, 3, -1]))
        tensor([-1,  2, -1])
    """
    place = torch.full((len(parents) + 1,), -1, dtype=torch.int64)
    place[rows] = torch.arange(len(rows))
    before = parents[rows]
    return place[torch.where(before >= 0, before, len(parents))]
