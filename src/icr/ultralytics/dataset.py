# SPDX-License-Identifier: AGPL-3.0-only
"""Ultralytics' data set with ids on its boxes, so that each child finds its parent again after augmentation.

Mosaic, mixup, cutmix and the affine warp select and join rows of a picture's ``cls`` and rebuild all else, so the ids
ride there as extra columns: number of the draw (the same picture may stand twice in one mosaic), row of the box, row of
its parent. `collate_fn` takes them off again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from ultralytics.data.dataset import YOLODataset
from ultralytics.utils import LOGGER

from icr.relations import ResolvedRelation
from icr.ultralytics.pairs import DRAWS, Count, pair_labels, parent_rows, stated_parents

PARENT = "parent"
"""Key of a batch: int64 (N,), row of each box's parent in the batch, -1 for none."""

_KEPT = "icr_parent"


class PairedDataset(YOLODataset):
    """`YOLODataset` whose batches say under `parent` which box is whose parent.

    Args:
        relations: resolved relations; with none of them the data set is Ultralytics' own.
        label_cache: folder for Ultralytics' label cache; None means beside the labels.

    Attributes:
        count: the children of the data set, and how they came to their parents.
        carries_ids: whether ids survive the augmentation; where not, geometry pairs the boxes of each batch.
        stretches: whether pictures are stretched to the square instead of scaled and padded.
    """

    stretches: ClassVar[bool] = False

    def __init__(
        self,
        *args: Any,
        relations: Sequence[ResolvedRelation] = (),
        label_cache: Path | None = None,
        **kwargs: Any,
    ) -> None:
        self.relations = tuple(relations)
        self.label_cache = label_cache
        self.draws = 0
        self.count = Count()
        super().__init__(*args, **kwargs)
        if self.relations:
            self._pair()

    def _pair(self) -> None:
        in_order = self.data.get("pairs") == "order"
        classes = len(self.data["names"])
        stated = [stated_parents(label, classes, in_order, self.relations) for label in self.labels]
        parents, self.count = pair_labels(self.labels, stated, self.relations)
        for label, rows in zip(self.labels, parents, strict=True):
            label[_KEPT] = rows

    def build_transforms(self, hyp: Any = None) -> Any:
        """Build Ultralytics' transforms, and settle whether ids can ride through them."""
        transforms = super().build_transforms(hyp)
        self.carries_ids = bool(self.relations) and not _loses_ids(transforms, self)
        if self.relations and not self.carries_ids:
            LOGGER.warning(
                "icr: this augmentation cannot carry the pairs; geometry pairs the boxes of each batch instead"
            )
        return transforms

    def _load_or_scan_cache(self, cache_path: Path, cache_hash: str) -> tuple[dict[str, Any], bool]:
        if self.label_cache is not None:
            self.label_cache.mkdir(parents=True, exist_ok=True)
            # Two splits may share a folder of labels, and each has a cache of its own.
            cache_path = self.label_cache / f"{'train' if self.augment else 'val'}-{cache_path.name}"
        found: tuple[dict[str, Any], bool] = super()._load_or_scan_cache(cache_path, cache_hash)
        return found

    def update_labels_info(self, label: dict[str, Any]) -> dict[str, Any]:
        """Put the ids of this draw beside the classes."""
        parents = label.pop(_KEPT, None)
        if parents is not None and self.carries_ids:
            # A counter, not a random number: the global random state must stay as without ICR.
            self.draws = (self.draws + 1) % DRAWS
            rows = np.arange(len(parents))
            ids = np.stack([np.full(len(parents), self.draws), rows, parents], 1)
            label["cls"] = np.concatenate([label["cls"], ids.astype(np.float32)], 1)
        updated: dict[str, Any] = super().update_labels_info(label)
        return updated

    @staticmethod
    def collate_fn(batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Collate as Ultralytics does, with the ids turned into `parent`; without ids there is no such key."""
        ids = [each["cls"][:, 1:] for each in batch if each["cls"].shape[1] > 1]
        plain = [{**each, "cls": each["cls"][:, :1]} for each in batch]
        collated: dict[str, Any] = YOLODataset.collate_fn(plain)
        if ids or not len(collated["cls"]):
            columns = torch.cat(ids) if ids else torch.zeros(0, 3)
            collated[PARENT] = parent_rows(collated["batch_idx"], columns)
        return collated


class StretchedDataset(PairedDataset):
    """The same with pictures stretched to the square, as detectors of the RT-DETR kind take them."""

    stretches: ClassVar[bool] = True

    def load_image(self, i: int, rect_mode: bool = False) -> Any:
        """Load a picture, stretched."""
        return super().load_image(i, rect_mode=rect_mode)


def _loses_ids(transform: Any, dataset: PairedDataset) -> bool:
    """Spatial Albumentations flatten `cls`; pasting polygons (`copy_paste`) doubles the rows of a draw."""
    if type(transform).__name__ == "Albumentations":
        return bool(getattr(transform, "contains_spatial", False)) and transform.transform is not None
    if type(transform).__name__ == "CopyPaste" and transform.p > 0:
        return any(len(label.get("segments", ())) for label in dataset.labels)
    return any(_loses_ids(each, dataset) for each in getattr(transform, "transforms", ()))
