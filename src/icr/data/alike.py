"""Pictures that show the same: found by perceptual hash among any number of pictures, confirmed by their thumbnails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from icr.data.compact import Ints, repeated
from icr.data.pictures import Decoded
from icr.data.video.hashing import distances

BITS = 25
"""Bits of 255 in which the hashes of two such pictures differ at most. Saving anew and scaling together turn about 10
of them, seldom 25; photographs of different scenes differ in 90 and more."""

_BANDS = 16
"""Hashes that differ in fewer bits than this agree in at least one band; of those that differ in 25, 97 in 100 do."""

_DEPTH = 64
"""How many of those that agree in a band each is held against: it bounds the work on videos of one standing scene."""

_AT_ONCE = 4_000
"""Pairs of hashes that are held against each other in one go: half a megabyte."""

_LIKE, _CELL = 0.97, 0.7
"""Least share of a thumbnail's variance that the other explains, and the largest misfit of a cell, in deviations: a
vehicle that came or went in an unmoved view is a larger one."""


class Prints:
    """What decoding many pictures has shown, without thumbnails and reasons of failure: 49 bytes a picture.

    Args:
        count: how many pictures.
    """

    def __init__(self, count: int) -> None:
        self._digests = np.zeros((count, 16), np.uint8)
        self.hashes = np.zeros((count, 32), np.uint8)
        self._has_hash = np.zeros(count, np.bool_)
        self._equal: dict[int, int] | None = None

    def keep(self, place: int, picture: Decoded) -> None:
        """Keep one picture."""
        if picture.digest:
            self._digests[place] = np.frombuffer(picture.digest, np.uint8)
        if picture.hash:
            self.hashes[place] = np.frombuffer(picture.hash, np.uint8)
            self._has_hash[place] = True

    def equal(self) -> dict[int, int]:
        """The places of files that are equal byte for byte, each with the place of the first of them, in order.

        Once this is known, their digests are forgotten; none can be kept from then on.
        """
        if self._equal is None:
            self._equal = self._by_digest()
            self._digests = self._digests[:0].copy()
        return self._equal

    def _by_digest(self) -> dict[int, int]:
        first: dict[bytes, int] = {}
        places = repeated(self._digests[:, :8].copy().view(np.int64)[:, 0])
        places = places[self._digests[places].any(1)]  # all zero: the file could not be read
        found = [(place, first.setdefault(self._digests[place].tobytes(), place)) for place in places.tolist()]
        several = {one for place, one in found if place != one}
        return {place: one for place, one in found if one in several}

    def tellable(self) -> Ints:
        """The places of pictures in which there is enough to see, without those equal to an earlier one."""
        there = self._has_hash.copy()
        there[[place for place, one in self.equal().items() if place != one]] = False
        return np.flatnonzero(there)


def alike(
    prints: Prints, thumbnails: Callable[[Sequence[int]], Iterable[bytes]], groups: Ints | None = None
) -> npt.NDArray[np.int64]:
    """Find the pairs of pictures that show the same: copies saved anew, scaled, brightened, shifted by a hair.

    Pictures with too little to see to tell them apart, and copies with the same bytes but the first, are passed over.

    Args:
        prints: what decoding the pictures has shown.
        thumbnails: gives those at some places: only few are looked at.
        groups: int64, for each picture the group of those that are meant to be alike, so that no pair is looked for
            among them, or -1; None: there are no groups.

    Returns:
        int64 (P, 2): places of two such pictures, the smaller first, in order.
    """
    places = prints.tellable()
    codes = np.zeros(0, np.int64)  # a number for each pair, so that one met in several bands is held once
    for band in range(_BANDS):
        pairs = list(_close(prints.hashes, places, groups, band))
        codes = np.union1d(codes, np.concatenate([one * len(prints.hashes) + other for one, other in pairs] or [codes]))
    found = np.stack(np.divmod(codes, max(len(prints.hashes), 1)), 1)
    looked_at = np.unique(found).tolist()
    seen_at = dict(zip(looked_at, thumbnails(looked_at), strict=True))
    same = [_same_view(seen_at[one], seen_at[other]) for one, other in found.tolist()]
    return np.asarray(found[np.array(same, np.bool_)])


def _close(hashes: npt.NDArray[np.uint8], places: Ints, groups: Ints | None, band: int) -> Iterator[tuple[Ints, Ints]]:
    """Pairs among some places of hashes (N, 32) that agree in a band of bits and differ in few of all."""
    # Every 16th bit: low frequencies, which are often alike, and high ones in each band.
    keys = np.zeros(len(places), np.uint16)
    for bit in range(16):
        column = hashes[places, band // 8 + 2 * bit]
        keys |= (column >> (7 - band % 8) & 1).astype(np.uint16) << bit
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    for step in range(1, min(_DEPTH, len(keys) - 1) + 1):
        first = np.flatnonzero(keys[:-step] == keys[step:])
        if not len(first):
            return
        for start in range(0, len(first), _AT_ONCE):
            some = first[start : start + _AT_ONCE]
            one, other = places[order[some]], places[order[some + step]]
            if groups is not None:
                apart = (groups[one] != groups[other]) | (groups[one] < 0)
                one, other = one[apart], other[apart]
            near = distances(hashes[one], hashes[other]) * 255 <= BITS + 0.5
            yield one[near], other[near]


def _same_view(one: bytes, other: bytes) -> bool:
    """Whether two thumbnails agree up to brightness and contrast."""
    a, b = (np.frombuffer(each, np.uint8).astype(np.float64) for each in (one, other))
    a, b = (a - a.mean()) / a.std(), (b - b.mean()) / b.std()
    like = float((a * b).mean())
    misfit = np.abs(b - like * a)
    return like > 0 and like * like >= _LIKE and float(misfit.max()) <= _CELL
