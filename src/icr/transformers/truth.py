"""The true boxes of a batch in one row, each with its parent's box: what a criterion of Transformers is not told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from icr.errors import InputError
from icr.losses import pseudo_parent
from icr.relations import ResolvedRelation, match_parents

Labels = Sequence[dict[str, Any]]
"""A dict for each picture: `class_labels` (N,), `boxes` (N, 4) cxcywh normalised; maybe `parent` (N,), `size` (2,)."""

Indices = Sequence[tuple[Tensor, Tensor]]
"""For each picture the matched queries and the true boxes they are matched to."""


def corners(boxes: Tensor) -> Tensor:
    """Turn cxcywh (..., 4) into xyxy, at least in float32 so that bfloat16 predictions lose nothing.

    Example:
        >>> corners(torch.tensor([0.5, 0.5, 0.2, 0.4]))
        tensor([0.4000, 0.3000, 0.6000, 0.7000])
    """
    x, y, w, h = (boxes if boxes.dtype == torch.float64 else boxes.float()).unbind(-1)
    return torch.stack((x - w / 2, y - h / 2, x + w / 2, y + h / 2), -1)


@dataclass(frozen=True)
class Truth:
    """The true boxes of a batch, all pictures in one row of M.

    Attributes:
        boxes: (M, 4) cxcywh, normalised, as the labels hold them.
        parent: (M, 4) xyxy in units of `scale`, the box of each one's parent; anything where there is none.
        has_parent: (M,) bool.
        weight: (M,) λ of each child; 0 for what is no child.
        scale: (M, 4) or (4,), what turns normalised xyxy into the units in which boxes are compared.
        starts: where each picture's boxes begin.
    """

    boxes: Tensor
    parent: Tensor
    has_parent: Tensor
    weight: Tensor
    scale: Tensor
    starts: list[int]

    def rows(self, indices: Indices) -> Tensor:
        """Rows of the true boxes that the queries are matched to, in the order of the queries."""
        rows = [truth + start for (_, truth), start in zip(indices, self.starts, strict=True)]
        return torch.cat(rows).to(self.boxes.device)


def gather(
    labels: Labels,
    relations: Sequence[ResolvedRelation],
    class_weight: Tensor,
    *,
    size: tuple[int, int] | None = None,
    pseudo: torch.Generator | None = None,
) -> Truth:
    """Lay the labels of a batch in one row and find each box's parent.

    Args:
        labels: as Transformers' detectors take them; `parent` holds for each box the index of its parent in the same
            picture, -1 for none, and geometry decides (`icr.match_parents`) where no label holds it.
        relations: the resolved relations.
        class_weight: (C,) λ by class.
        size: height and width of the network's input, pixels; used where labels hold no `size` of their own.
        pseudo: lay a box of the parent's size at random around each child instead (a control).

    Raises:
        InputError: `parent` stands in some labels only, or does not fit the boxes.
    """
    counts = [len(each["boxes"]) for each in labels]
    starts = [0, *accumulate(counts)][:-1]
    boxes = torch.cat([each["boxes"] for each in labels])
    classes = torch.cat([each["class_labels"] for each in labels])
    local = _stated(labels, counts) if any("parent" in each for each in labels) else _found(labels, relations)
    offset = torch.cat([torch.full_like(each, start) for each, start in zip(local, starts, strict=True)])
    flat = torch.cat(local)
    scale = _scale(labels, counts, size, boxes)
    pixels = corners(boxes) * scale
    has, parent = flat >= 0, pixels[torch.where(flat >= 0, flat + offset, 0)]
    if pseudo is not None:
        parent = pseudo_parent(pixels, parent, pseudo)
    return Truth(boxes, parent, has, class_weight[classes], scale, starts)


def _stated(labels: Labels, counts: Sequence[int]) -> list[Tensor]:
    for index, (each, count) in enumerate(zip(labels, counts, strict=True)):
        if "parent" not in each:
            raise InputError(f"labels[{index}] has no 'parent' though others of the batch do; give all or none of them")
        parent = each["parent"]
        if parent.shape != (count,) or parent.is_floating_point():
            raise InputError(
                f"labels[{index}]['parent'] is {parent.dtype} of shape {tuple(parent.shape)}; "
                f"expected integers, one for each of the {count} boxes"
            )
        # on a GPU the values are not looked at: the host would wait for the device
        if parent.device.type == "cpu" and count and not -1 <= int(parent.min()) <= int(parent.max()) < count:
            raise InputError(
                f"labels[{index}]['parent'] holds {parent.tolist()}; expected -1 or an index below {count}, "
                "counted within the picture"
            )
    return [each["parent"].long() for each in labels]


def _found(labels: Labels, relations: Sequence[ResolvedRelation]) -> list[Tensor]:
    boxes = pad_sequence([corners(each["boxes"]) for each in labels], batch_first=True)
    classes = pad_sequence([each["class_labels"] for each in labels], batch_first=True, padding_value=-1)
    parents = match_parents(boxes, classes, relations)
    return [parent[: len(each["boxes"])] for parent, each in zip(parents, labels, strict=True)]


def _scale(labels: Labels, counts: Sequence[int], size: tuple[int, int] | None, like: Tensor) -> Tensor:
    if size is None and labels and all("size" in each for each in labels):
        sides = torch.stack([each["size"] for each in labels]).to(like).flip(-1)
        repeats = torch.tensor(counts, device=like.device)
        return sides.repeat(1, 2).repeat_interleave(repeats, 0, output_size=sum(counts))
    height, width = size or (1, 1)
    return like.new_tensor([width, height, width, height])
