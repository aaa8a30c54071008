"""A pinhole camera over a flat road."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MANY = 60
"""Number of points from which it pays to sort out those inside before the hull is made."""

AROUND = np.stack([trigonometric(np.linspace(0, 2 * np.pi, 24, endpoint=False)) for trigonometric in (np.cos, np.sin)])

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
        pixels = np.empty((*points.shape[:-1], 2))
        pixels[..., 0] = self.centre + self.focal * points[..., 0] / depth
        pixels[..., 1] = self.horizon + self.focal * (self.height - points[..., 1]) / depth
        return pixels

    def scaled(self, factor: float) -> Camera:
        """The same view in a picture `factor` times as large."""
        return Camera(self.focal * factor, self.centre * factor, self.horizon * factor, self.height)


def hull(points: Array) -> Array:
    """Convex hull (M, 2) of points (N, 2), in order around it.

    Example:
        >>> hull(np.array([[0, 0], [2, 0], [1, 0.5], [2, 2], [0, 2]], float)).tolist()
        [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]
    """
    ordered = sorted((_outer(points) if len(points) > MANY else points).tolist())
    return np.array(_chain(ordered) + _chain(ordered[::-1]), np.float64)


def _chain(items: list[list[float]]) -> list[list[float]]:
    """One side of the hull of points that are sorted, without its last point."""
    kept: list[list[float]] = []
    for point in items:
        x, y = point
        while len(kept) > 1:
            (x0, y0), (x1, y1) = kept[-2], kept[-1]
            if (x1 - x0) * (y - y0) > (y1 - y0) * (x - x0):
                break
            kept.pop()
        kept.append(point)
    return kept[:-1]


def _outer(points: Array) -> Array:
    """The points (N, 2) without most of those inside their hull, which it does not need."""
    far = points[list(dict.fromkeys((points @ AROUND).argmax(axis=0).tolist()))]
    edges = np.concatenate([far[1:], far[:1]]) - far
    depth = edges[:, :1] * (points[:, 1] - far[:, 1:]) - edges[:, 1:] * (points[:, 0] - far[:, :1])
    # What lies on an edge but for the rounding stays.
    return np.asarray(points[depth.min(axis=0) <= 1e-9 * float(np.ptp(far, axis=0).max()) ** 2])


def inside(points: Array, polygon: Array) -> npt.NDArray[np.bool_]:
    """Which of the points (N, 2) lie in a convex polygon as `hull` makes it."""
    edges = np.concatenate([polygon[1:], polygon[:1]]) - polygon
    along, down = points[:, :1] - polygon[:, 0], points[:, 1:] - polygon[:, 1]
    return np.asarray((edges[:, 0] * down - edges[:, 1] * along >= 0).all(axis=1))
