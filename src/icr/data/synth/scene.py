"""A scene on the road before it is drawn: what stands where, and its labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from icr.data.synth.bodies import Body, Facing
from icr.data.synth.camera import Array, Camera

Light = Literal["day", "night"]


@dataclass(frozen=True)
class Pose:
    """Where a vehicle stands.

    Attributes:
        x, z: the middle of its near end on the road, in metres.
        yaw: rotation about the vertical axis in radians.
    """

    x: float
    z: float
    yaw: float

    def place(self, points: Array) -> Array:
        """World points of points in the vehicle's own frame: x right, y up, z away from the camera."""
        cos, sin = np.cos(self.yaw), np.sin(self.yaw)
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        placed = np.empty(points.shape)
        placed[..., 0], placed[..., 1], placed[..., 2] = self.x + x * cos + z * sin, y, self.z - x * sin + z * cos
        return placed


@dataclass(frozen=True)
class Vehicle:
    """One vehicle in its place.

    Attributes:
        body: its shape.
        facing: which end the camera sees.
        pose: where it stands.
        lane: index of its lane; the camera's own lane is 0.
        outline: convex hull (M, 2) of its projection, in pixels.
        quad: corners (4, 2) of its plate: top left, top right, bottom right, bottom left.
        box: xyxy (4,) of the whole vehicle, cut at the picture's edge.
    """

    body: Body
    facing: Facing
    pose: Pose
    lane: int
    outline: Array
    quad: Array
    box: Array

    @property
    def depth(self) -> float:
        """Distance of the near end from the camera, in metres."""
        return self.pose.z


@dataclass(frozen=True)
class Road:
    """Lanes of equal width; lane 0 is the camera's.

    Attributes:
        lane: width of a lane in metres.
        left, right: index of the outermost lanes.
        divider: lanes of a lower index carry oncoming traffic.
        middle: x of the middle of lane 0.
    """

    lane: float
    left: int
    right: int
    divider: int
    middle: float

    def edges(self) -> tuple[float, float]:
        """x of the left and right edge of the carriageway."""
        return (self.left - 0.5) * self.lane + self.middle, (self.right + 0.5) * self.lane + self.middle


@dataclass(frozen=True)
class Scene:
    """A scene before it is drawn.

    Attributes:
        size: width and height in pixels.
        light: ``day`` or ``night``.
        vehicles: from the farthest to the nearest.
        labels: int64 (N,): 0 plate, 1 vehicle.
        boxes: float64 (N, 4), xyxy pixels, whole objects cut at the picture's edge.
        pairs: rows of each plate and of its vehicle.
    """

    size: tuple[int, int]
    light: Light
    camera: Camera
    road: Road
    vehicles: tuple[Vehicle, ...]
    labels: npt.NDArray[np.int64] = field(repr=False)
    boxes: Array = field(repr=False)
    pairs: tuple[tuple[int, int], ...] = ()
