"""Pictures that show the same: found by perceptual hash among any number of pictures, confirmed by their thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np
import numpy.typing as npt

from icr.data.pictures import Decoded
from icr.data.video.hashing import distances

BITS = 25
"""Bits of 255 in which the hashes of two such pictures differ at most. Saving anew and scaling together turn about 10
of them, seldom 25; photographs of different scenes differ in 90 and more."""

_BANDS = 16
"""Hashes that differ in fewer bits than this agree in at least one band; of those that differ in 25, 97 in 100 do."""

_DEPTH = 64
"""How many of those that agree in a band each is held against: it bounds the work on videos of one standing scene."""

_LIKE, _CELL = 0.97, 0.7
"""Least share of a thumbnail's variance that the other explains, and the largest misfit of a cell, in deviations: a
vehicle that came or went in an unmoved view is a larger one."""


class Prints(Sequence[Decoded]):
    """What decoding many pictures has shown, without thumbnails and reasons of failure: 49 bytes a picture.

    Args:
        count: how many pictures.
    """

    def __init__(self, count: int) -> None:
        self._digests = np.zeros((count, 16), np.uint8)
        self._hashes = np.zeros((count, 32), np.uint8)
        self._has = np.zeros((count, 2), np.bool_)

    def keep(self, place: int, picture: Decoded) -> None:
        """Keep one picture."""
        self._has[place] = bool(picture.digest), bool(picture.hash)
        if picture.digest:
            self._digests[place] = np.frombuffer(picture.digest, np.uint8)
        if picture.hash:
            self._hashes[place] = np.frombuffer(picture.hash, np.uint8)

    def __len__(self) -> int:
        return len(self._has)

    @overload
    def __getitem__(self, place: int) -> Decoded: ...
    @overload
    def __getitem__(self, place: slice) -> list[Decoded]: ...
    def __getitem__(self, place: int | slice) -> Decoded | list[Decoded]:
        if isinstance(place, slice):
            return [self[at] for at in range(len(self))[place]]
        digest, hash_ = self._has[place]
        return Decoded(
            None, self._digests[place].tobytes() if digest else b"", self._hashes[place].tobytes() if hash_ else b""
        )

    def equal(self) -> Iterator[tuple[int, int]]:
        """The places of files that are equal byte for byte, each with the place of the first of them, in order."""
        places = np.flatnonzero(self._has[:, 0])
        digests = self._digests[places].view("S16")[:, 0] if len(places) else np.zeros(0, "S16")
        _, first, of, count = np.unique(digests, return_index=True, return_inverse=True, return_counts=True)
        for at in np.flatnonzero(count[of] > 1).tolist():
            yield int(places[at]), int(places[first[of[at]]])


def alike(
    pictures: Sequence[Decoded], thumbnails: Callable[[Sequence[int]], Sequence[bytes]] | None = None
) -> npt.NDArray[np.int64]:
    """Find the pairs of pictures that show the same: copies saved anew, scaled, brightened, shifted by a hair.

    Pictures with too little to see to tell them apart, and copies with the same bytes but the first, are passed over.

    Args:
        pictures: what decoding them has shown.
        thumbnails: gives those at some places, where they were left out of `pictures` to save memory: only few are
            looked at.

    Returns:
        int64 (P, 2): places of two such pictures, the smaller first, in order.
    """
    seen: set[bytes] = set()
    places: list[int] = []
    for place, each in enumerate(pictures):
        if each.hash and each.digest not in seen:
            seen.add(each.digest)
            places.append(place)
    if len(places) < 2:
        return np.zeros((0, 2), np.int64)
    hashes = np.frombuffer(b"".join(pictures[place].hash for place in places), np.uint8).reshape(-1, 32)
    pairs = [pair for pair in _close(hashes) if len(pair)]
    if not pairs:
        return np.zeros((0, 2), np.int64)
    found = np.array(places, np.int64)[np.unique(np.concatenate(pairs), axis=0)]
    looked_at = np.unique(found).tolist()
    small = [pictures[each].thumbnail for each in looked_at] if thumbnails is None else thumbnails(looked_at)
    seen_at = dict(zip(looked_at, small, strict=True))
    same = [_same_view(seen_at[one], seen_at[other]) for one, other in found.tolist()]
    return np.asarray(found[np.array(same, np.bool_)])


def _close(hashes: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.int64]]:
    """Pairs of hashes (N, 32) that differ in few bits; some more than once."""
    bits = np.unpackbits(hashes, axis=1)
    powers = 1 << np.arange(16, dtype=np.uint32)
    for band in range(_BANDS):
        # Every 16th bit: low frequencies, which are often alike, and high ones in each band.
        keys = bits[:, band::_BANDS].astype(np.uint32) @ powers
        order = np.argsort(keys, kind="stable").astype(np.int64)
        keys = keys[order]
        for step in range(1, min(_DEPTH, len(keys) - 1) + 1):
            first = np.flatnonzero(keys[:-step] == keys[step:])
            if not len(first):
                break
            one, other = order[first], order[first + step]
            near = distances(hashes[one], hashes[other]) * 255 <= BITS + 0.5
            yield np.stack([one[near], other[near]], 1)


def _same_view(one: bytes, other: bytes) -> bool:
    """Whether two thumbnails agree up to brightness and contrast."""
    a, b = (np.frombuffer(each, np.uint8).astype(np.float64) for each in (one, other))
    a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
    like = float((a * b).mean())
    misfit = np.abs(b - like * a)
    return like > 0 and like * like >= _LIKE and float(misfit.max()) <= _CELL
