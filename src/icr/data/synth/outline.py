"""The points of a vehicle that span its outline in a picture, and the corners of its plate."""

from __future__ import annotations

import numpy as np

from icr.data.synth.bodies import Body, End, Facing
from icr.data.synth.camera import Array, Camera
from icr.data.synth.motorcycles import parts, spread
from icr.data.synth.scene import Pose

TURN = np.linspace(0, 2 * np.pi, 48, endpoint=False)
DIRECTIONS = np.stack([np.cos(TURN), np.sin(TURN)])


def silhouette(body: Body, facing: Facing, pose: Pose, camera: Camera) -> Array:
    """Pixels (N, 2) that span a vehicle's outline."""
    if body.kind == "motorcycle":
        points = np.concatenate(spread(parts(body, facing), pose.place, camera))
        # The farthest points in each direction are all that matters, and a hundredth of them.
        return np.asarray(points[np.unique((points @ DIRECTIONS).argmax(axis=0))])
    return camera.project(pose.place(_extremes(body, facing)))


def _extremes(body: Body, facing: Facing) -> Array:
    """Points (N, 3) of a vehicle, in its own frame, that span its outline."""
    near, far = body.end(facing), body.end("rear" if facing == "front" else "front")
    rows = np.repeat(near.height, 2), np.repeat(far.height, 2)
    sides = [np.tile([-1.0, 1.0], len(row) // 2) for row in rows]
    face = near.at(np.concatenate([sides[0], sides[0] * 0.82]), np.concatenate([rows[0], rows[0]]))
    back = far.at(sides[1], rows[1])
    back[:, 2] = body.length - back[:, 2]
    half = float(near.half.max()) - 0.04
    tyres = np.array([[side * half, 0.0, axle] for axle in body.depths(facing) for side in (-1, 1)])
    mirrors = np.array([[side * (half + MIRROR), body.belt + 0.1, mirror_depth(body, facing)] for side in (-1, 1)])
    return np.concatenate([face, back, tyres] if body.kind == "bus" else [face, back, tyres, mirrors])


def plate_corners(end: End) -> Array:
    """Corners (4, 3) of a plate in its vehicle's frame, a little before the surface."""
    height, offset = end.plate
    centre = end.at(np.array(offset / float(np.interp(height, end.height, end.half))), np.array(height))
    wide, tall = end.plate_size[0] / 2, end.plate_size[1] / 2
    return np.asarray(
        centre + np.array([[-wide, tall, -0.03], [wide, tall, -0.03], [wide, -tall, -0.03], [-wide, -tall, -0.03]])
    )


MIRROR = 0.14
"""How far a mirror stands out, in metres."""


def mirror_depth(body: Body, facing: Facing) -> float:
    """Distance in metres of the mirrors behind the near end."""
    front = float(np.interp(body.belt + 0.1, body.front.height, body.front.back)) + 0.25
    return front if facing == "front" else body.length - front
