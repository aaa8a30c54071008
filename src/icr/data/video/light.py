"""Telling day from night."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

NIGHT_BELOW = 65.0
"""A picture whose `brightness` is lower counts as night."""


def brightness(luma: npt.NDArray[np.float32]) -> float:
    """How bright the upper half of a picture is, where roads have their sky: its median, which lamps do not lift.

    Of 500 generated road scenes 498 are on the right side of `NIGHT_BELOW`, of 200 close ones 193; the others are
    nights that it takes for day.

    Args:
        luma: (height, width), 0 to 255.

    Returns:
        0..255.

    Example:
        >>> street = np.full((8, 10), 20, np.float32)
        >>> street[0, :3] = 255  # a lamp
        >>> street[6:] = 120  # the road in the headlights
        >>> brightness(street), float(street.mean())
        (20.0, 53.8125)
    """
    return float(np.median(luma[: max(len(luma) // 2, 1)]))
