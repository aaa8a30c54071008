"""Pictures and labels as the models of Transformers take them, each child with its parent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.data import Dataset, Sampler

from icr.data.dataset import Sample
from icr.data.pairs import pair_all
from icr.drawing.pictures import read_picture
from icr.relations import ResolvedRelation
from icr.transformers.augment import NONE, Augmented, Strengths, augment, transforms

_STRIDE = 32


@dataclass(frozen=True)
class Item:
    """A picture of a batch; `key` makes chance in the batch a matter of its content alone."""

    picture: Augmented
    key: tuple[int, ...]
    varied: bool


class PairedPictures(Dataset[Item]):
    """The pictures of a split, augmented.

    What is drawn for a picture depends on seed, epoch and picture alone, so that neither the number of worker processes
    nor an interruption changes a training.

    Args:
        samples: the pictures.
        relations: resolved; none of them: no child has a parent.
        strengths: of the augmentation.
        size: side of the square input, pixels.
        seed: of all chance.
        strong_until: the number of epochs after which only the mirror is left.

    Attributes:
        epoch: the epoch that `Shuffled` draws for, from 0; set it before iterating.
        parents: for each picture, row of each box's parent, -1 for none.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        relations: Sequence[ResolvedRelation] = (),
        *,
        strengths: Strengths = NONE,
        size: int = 640,
        seed: int = 0,
        strong_until: int = 1 << 30,
    ) -> None:
        self.samples = list(samples)
        if relations:
            self.parents = [pairing.parents for pairing in pair_all(self.samples, relations)]
        else:
            self.parents = [np.full(len(sample.labels), -1, np.int64) for sample in self.samples]
        self.seed = seed
        self.strong_until = strong_until
        self.epoch = 0
        self._strong, self._calm = transforms(strengths, size), transforms(strengths.calm(), size)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, drawn: int | tuple[int, int]) -> Item:
        """A picture by its number, in this epoch or in another: `(epoch, number)`."""
        epoch, index = (self.epoch, drawn) if isinstance(drawn, int) else drawn
        sample = self.samples[index]
        strong = epoch < self.strong_until
        key = (self.seed, epoch, index)
        picture = read_picture(sample.image, (sample.width, sample.height))
        chain = self._strong if strong else self._calm
        done = augment(picture, sample.boxes, sample.labels, self.parents[index], chain, _chance(key))
        return Item(done, key, strong)


class Shuffled(Sampler[tuple[int, int]]):
    """A new order for each epoch of the data, the same in all processes and after an interruption.

    It gives `(epoch, number)`, for the processes that load pictures know of the epoch by nothing else.
    """

    def __init__(self, data: PairedPictures) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        epoch = self.data.epoch
        order = np.random.default_rng([self.data.seed, epoch]).permutation(len(self.data))
        yield from ((epoch, index) for index in order.tolist())


@dataclass(frozen=True)
class Collate:
    """Put items into a batch.

    Attributes:
        sizes: sides that a batch may be brought to, one drawn for each, as long as the augmentation is strong; empty:
            all batches stay as they are.

    The result is what `model(**batch)` takes: `pixel_values` float32 (B, 3, size, size), and for each picture in
    `labels`: `class_labels` int64 (N,), `boxes` float32 (N, 4) cxcywh in shares of the sides, `parent` int64 (N,), row
    of each box's parent, -1 for none, and `size` int64 (2,), height and width of the batch in pixels.
    """

    sizes: tuple[int, ...] = ()

    def __call__(self, items: Sequence[Item]) -> dict[str, Any]:
        pixels = torch.stack([item.picture.pixels for item in items])
        if self.sizes and items[0].varied:
            side = self.sizes[_chance(items[0].key) % len(self.sizes)]
            if side != pixels.shape[-1]:
                pixels = interpolate(pixels, (side, side), mode="bilinear")
        size = torch.tensor(pixels.shape[-2:])
        return {"pixel_values": pixels, "labels": [{**_labels(item.picture), "size": size} for item in items]}


def _labels(picture: Augmented) -> dict[str, Tensor]:
    return {"class_labels": picture.labels, "boxes": picture.boxes, "parent": picture.parents}


def sizes_around(size: int) -> tuple[int, ...]:
    """The sides of RT-DETRv2's multi-scale training, 480 to 800 for 640, which itself is three times as likely.

    Example:
        >>> sizes_around(128)
        (96, 128, 128, 128, 160)
    """
    least, most = (round(size * share / _STRIDE) * _STRIDE for share in (0.75, 1.25))
    others = [side for side in range(max(least, _STRIDE), most + 1, _STRIDE) if side != size]
    return tuple(sorted([*others, size, size, size]))


def _chance(key: Sequence[int]) -> int:
    return int(np.random.SeedSequence(list(key)).generate_state(1)[0])
