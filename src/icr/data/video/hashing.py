"""A perceptual hash: pictures that look alike have hashes that differ in few bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

SIDE, KEPT = 64, 16
BITS = KEPT * KEPT - 1
"""Bits of a hash."""

_NOISE = 100.0
"""A frequency weaker than this, a tenth of a grey level, is noise and must not turn a bit."""

Hash = npt.NDArray[np.uint8]

_frequencies = np.arange(KEPT)[:, None] * (2 * np.arange(SIDE)[None, :] + 1)
_COSINES = np.cos(np.pi / (2 * SIDE) * _frequencies)
_ONES = np.array([bin(value).count("1") for value in range(256)], np.uint8)


def perceptual_hash(luma: npt.NDArray[np.float32]) -> Hash:
    """Hash a picture by which of its 16 by 16 lowest frequencies, the mean left out, exceed their median.

    Exposure, noise, compression and shifts of a few pixels turn few bits; another scene turns about half of them.

    Args:
        luma: (height, width), 0 to 255, any size.

    Returns:
        uint8 (32,): 255 bits, packed.

    Example:
        >>> scenes = np.random.default_rng(0).uniform(40, 215, (2, 9, 16)).astype(np.float32)
        >>> one, other = scenes.repeat(20, 1).repeat(20, 2)
        >>> hashes = np.stack([perceptual_hash(each) for each in (one, one * 0.8 + 9, other)])
        >>> bool(distances(hashes[0], hashes)[1] < 0.1), bool(distances(hashes[0], hashes)[2] > 0.3)
        (True, True)
    """
    from PIL import Image

    small = np.asarray(Image.fromarray(luma).resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
    low = (_COSINES @ small @ _COSINES.T).ravel()[1:]
    return np.packbits(low - np.median(low) > _NOISE)


def distances(one: Hash, many: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The share of bits, 0..1, in which a hash differs from each of many, uint8 (N, 32)."""
    turned: npt.NDArray[np.float64] = _ONES[many ^ one].sum(-1, dtype=np.int64) / BITS
    return turned
