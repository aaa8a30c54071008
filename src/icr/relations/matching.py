"""Which box is whose parent, by geometry; PyTorch is imported where boxes are compared."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from icr.errors import InputError
from icr.relations.declaring import Relation, kind_of
from icr.relations.resolving import ResolvedRelation

if TYPE_CHECKING:
    import torch

Indexed: TypeAlias = "ResolvedRelation | Relation | Iterable[ResolvedRelation | Relation]"
"""Relations whose classes are indices: one or several."""

HALF = 0.5
"""The least share of a child that must lie inside a box for that box to be its parent."""

ALIKE = 1e-3
"""Parents whose shares of a child differ by no more than this hold it equally well; the smallest of them is taken."""


def match_parents(boxes: torch.Tensor, labels: torch.Tensor, relations: Indexed) -> torch.Tensor:
    """Find each box's parent by geometry: the allowed box holding most of it, at least half; of equals, the smallest.

    Works on any device without host synchronisation or a loop over boxes, inside ``torch.compile(fullgraph=True)`` too;
    memory grows with B·N·N. No gradient.

    Args:
        boxes: (N, 4) or padded (B, N, 4), xyxy, any unit.
        labels: (N,) or (B, N), class indices; padded rows have -1.
        relations: one resolved relation or several (or `Relation` whose classes are indices).

    Returns:
        int64 (N,) or (B, N): index of the parent within the same picture, -1 where there is none. A child of zero size
        has none: no share of it can be measured.

    Raises:
        ValueError: the shapes do not fit together.
        InputError: a relation names its classes; `resolve` it first.

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[165.0, 185, 195, 195], [100, 100, 260, 220], [0, 0, 400, 400]])
        >>> match_parents(boxes, torch.tensor([0, 1, 1]), [ResolvedRelation(0, (1,))])
        tensor([ 1, -1, -1])
    """
    import torch

    shares, areas = _shares(boxes, labels, relations)
    if boxes.shape[-2] == 0:
        return torch.full(labels.shape, -1, dtype=torch.int64, device=boxes.device)
    best = shares.amax(-1, keepdim=True)
    held = best >= HALF
    # An area beyond all floats must still win against boxes that are no parents.
    finite = areas.clamp(max=torch.finfo(areas.dtype).max).unsqueeze(-2)
    candidates = torch.where((shares >= best - ALIKE) & held, finite, math.inf)
    return torch.where(held.squeeze(-1), candidates.argmin(-1), -1)


def ambiguous(boxes: torch.Tensor, labels: torch.Tensor, relations: Indexed) -> torch.Tensor:
    """Tell which children two or more allowed parents hold equally well, so that geometry alone is a guess.

    Args:
        boxes, labels, relations: as in `match_parents`.

    Returns:
        bool (N,) or (B, N).

    Example:
        >>> import torch
        >>> boxes = torch.tensor([[165.0, 185, 195, 195], [100, 100, 260, 220], [0, 0, 400, 400]])
        >>> ambiguous(boxes, torch.tensor([0, 1, 1]), [ResolvedRelation(0, (1,))])
        tensor([ True, False, False])
    """
    import torch

    shares, _ = _shares(boxes, labels, relations)
    if boxes.shape[-2] == 0:
        return torch.zeros(labels.shape, dtype=torch.bool, device=boxes.device)
    best = shares.amax(-1, keepdim=True)
    return ((shares >= best - ALIKE) & (best >= HALF)).sum(-1) > 1


def _shares(boxes: torch.Tensor, labels: torch.Tensor, relations: Indexed) -> tuple[torch.Tensor, torch.Tensor]:
    """Share of box i in box j (..., N, N), -1 where j may not be i's parent or holds under half; areas (..., N)."""
    import torch

    from icr.boxes import area, intersection

    if boxes.shape[-1:] != (4,) or boxes.shape[:-1] != labels.shape or labels.ndim not in (1, 2):
        raise ValueError(
            f"boxes {tuple(boxes.shape)} and labels {tuple(labels.shape)} do not fit; "
            "expected (N, 4) with (N,), or (B, N, 4) with (B, N)"
        )
    with torch.no_grad():
        boxes = boxes if boxes.dtype == torch.float64 else boxes.float()
        areas = area(boxes)
        share = intersection(boxes.unsqueeze(-2), boxes.unsqueeze(-3)) / areas.unsqueeze(-1)
        allowed = torch.zeros(share.shape, dtype=torch.bool, device=boxes.device)
        for child_class, parent_classes in _classes(relations):
            is_parent = labels == parent_classes[0]
            for each in parent_classes[1:]:
                is_parent = is_parent | (labels == each)
            allowed = allowed | ((labels == child_class).unsqueeze(-1) & is_parent.unsqueeze(-2))
        # NaN (a child of zero size, a broken box) compares false, so it never becomes a pair.
        return torch.where(allowed & (share >= HALF), share, -1.0), areas


def _classes(relations: Indexed) -> list[tuple[int, tuple[int, ...]]]:
    found: list[tuple[int, tuple[int, ...]]] = []
    for relation in (relations,) if isinstance(relations, (ResolvedRelation, Relation)) else relations:
        if not isinstance(relation, (ResolvedRelation, Relation)):
            raise InputError(
                f"a relation is {kind_of(relation)}; turn it into indices with icr.relations.resolve first"
            )
        parents = [each for each in relation.parents if isinstance(each, int)]
        if not isinstance(relation.child, int) or len(parents) != len(relation.parents):
            raise InputError(
                f"relation {relation} names its classes; turn names into indices with icr.relations.resolve first"
            )
        found.append((relation.child, tuple(parents)))
    return found
