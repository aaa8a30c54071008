"""Whether a vehicle can stand among others: apart from them, in sight, and each plate plainly seen or hidden."""

from __future__ import annotations

import numpy as np

from icr.data.synth.camera import NEAR, Array, inside
from icr.data.synth.scene import Vehicle
from icr.data.synth.settings import SceneSettings

COVERED, CLEAR = 0.15, 0.70
"""Visible share up to which a plate counts as hidden, and from which it is labelled; nothing in between is laid out."""

VISIBLE = 0.35
"""Least visible share of a labelled vehicle."""


def fits(vehicle: Vehicle, placed: list[Vehicle], settings: SceneSettings, *, hide: bool) -> bool:
    """Whether a vehicle can stand here: apart from the others, in sight, and every plate plainly seen or hidden."""
    if vehicle.depth < NEAR + 0.8 or any(_collide(vehicle, other) for other in placed):
        return False
    everyone = [*placed, vehicle]
    for one in everyone:
        if one is not vehicle and not (vehicle.depth < one.depth and _overlap(vehicle.box, one.box)):
            continue
        nearer = [other for other in everyone if other.depth < one.depth and _overlap(other.box, one.box)]
        if _seen(_grid(one.box, 9, 7), one, nearer) < VISIBLE or _small(one, settings):
            return False
        clear = plate_seen(one, nearer, settings.size)
        if COVERED < clear < CLEAR:
            return False
        if (clear <= COVERED) != (hide and one is vehicle):
            return False
    return True


def _small(vehicle: Vehicle, settings: SceneSettings) -> bool:
    """Whether too little of a vehicle is left in the picture to call it one."""
    cut = vehicle.box[2:] - vehicle.box[:2]
    whole = vehicle.outline.max(axis=0) - vehicle.outline.min(axis=0)
    return bool(cut.min() < 6 or cut.prod() < 0.3 * whole.prod())


def _collide(one: Vehicle, other: Vehicle) -> bool:
    near, far = sorted((one, other), key=lambda vehicle: vehicle.depth)
    apart = float(one.body.front.half.max() + other.body.front.half.max()) + 0.25
    turn = abs(float(np.sin(near.pose.yaw))) * near.body.length
    return far.depth < near.depth + near.body.length + 0.8 and abs(near.pose.x - far.pose.x) < apart + turn


def _overlap(one: Array, other: Array) -> bool:
    return bool((one[:2] < other[2:]).all() and (other[:2] < one[2:]).all())


def plate_seen(vehicle: Vehicle, nearer: list[Vehicle], size: tuple[int, int]) -> float:
    low, high = vehicle.quad.min(axis=0), vehicle.quad.max(axis=0)
    if (high < 0).any() or (low > np.array(size)).any():
        return 0.0
    return _seen(_grid(np.concatenate([low, high]), 13, 5), None, nearer)


def _grid(box: Array, columns: int, rows: int) -> Array:
    x = box[0] + (box[2] - box[0]) * (np.arange(columns) + 0.5) / columns
    y = box[1] + (box[3] - box[1]) * (np.arange(rows) + 0.5) / rows
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _seen(points: Array, own: Vehicle | None, nearer: list[Vehicle]) -> float:
    """Share of the points (of those on the vehicle itself) that no nearer vehicle covers."""
    if own is not None:
        points = points[inside(points, own.outline)]
    if not len(points):
        return 0.0
    covered = np.zeros(len(points), bool)
    for vehicle in nearer:
        covered |= inside(points, vehicle.outline)
    return float(1 - covered.mean())
