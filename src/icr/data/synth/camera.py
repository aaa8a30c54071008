"""A pinhole camera over a flat road."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

NEAR = 0.6
"""Nearest depth in metres that is projected; what lies nearer is drawn as if it were there."""


@dataclass(frozen=True)
class Camera:
    """A camera that looks along the road, level, with the horizon moved by a vertical shift of the lens.

    World axes in metres: x to the right, y up from the road, z forward from the camera.

    Attributes:
        focal: focal length in pixels.
        centre: column of the vanishing point.
        horizon: row of the horizon.
        height: height of the camera above the road in metres.
    """

    focal: float
    centre: float
    horizon: float
    height: float

    def project(self, points: Array) -> Array:
        """Pixels (..., 2) of world points (..., 3).

        Example:
            >>> Camera(1000, 640, 300, 1.5).project(np.array([1.0, 0.5, 10.0])).tolist()
            [740.0, 400.0]
        """
        depth = np.maximum(points[..., 2], NEAR)
        columns = self.centre + self.focal * points[..., 0] / depth
        rows = self.horizon + self.focal * (self.height - points[..., 1]) / depth
        return np.stack([columns, rows], axis=-1)

    def scaled(self, factor: float) -> Camera:
        """The same view in a picture `factor` times as large."""
        return Camera(self.focal * factor, self.centre * factor, self.horizon * factor, self.height)


def hull(points: Array) -> Array:
    """Convex hull (M, 2) of points (N, 2), in order around it.

    Example:
        >>> hull(np.array([[0, 0], [2, 0], [1, 0.5], [2, 2], [0, 2]], float)).tolist()
        [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]
    """
    ordered = sorted(map(tuple, points.tolist()))

    def chain(items: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
        kept: list[tuple[float, ...]] = []
        for x, y in items:
            while len(kept) > 1 and (
                (kept[-1][0] - kept[-2][0]) * (y - kept[-2][1]) <= (kept[-1][1] - kept[-2][1]) * (x - kept[-2][0])
            ):
                kept.pop()
            kept.append((x, y))
        return kept[:-1]

    return np.array(chain(ordered) + chain(ordered[::-1]), np.float64)


def inside(points: Array, polygon: Array) -> npt.NDArray[np.bool_]:
    """Which of the points (N, 2) lie in a convex polygon as `hull` makes it."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    away = points[:, None, :] - polygon[None, :, :]
    return np.asarray((edges[None, :, 0] * away[..., 1] - edges[None, :, 1] * away[..., 0] >= 0).all(axis=1))
