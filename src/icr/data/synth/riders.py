"""Scenes of riders: helmets on riders on motorcycles, a chain of two relations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from icr.data.synth.camera import Array, hull, inside
from icr.data.synth.layout import lay_out
from icr.data.synth.motorcycles import Part, parts, spread
from icr.data.synth.scene import Scene, Vehicle
from icr.data.synth.settings import SceneSettings

NAMES = ("helmet", "rider", "motorcycle")
RELATIONS = (("helmet", "rider"), ("rider", "motorcycle"))

RIDER_SEEN, HELMET_SEEN = 0.4, 0.6
"""Least visible share of a labelled rider and of a labelled helmet."""

SMALLEST = 36.0
"""Least area of a labelled helmet in px²."""


def lay_out_riders(settings: SceneSettings, seed: int, split: str, index: int) -> Scene:
    """The scene of one image, with the labels helmet 0, rider 1, motorcycle 2.

    A motorcycle's box spans the machine and whoever rides it; a rider's spans the person and the helmet. Other
    vehicles of the scene have no label.
    """
    return labelled(lay_out(settings, seed, split, index, accept=lambda scene: bool(_machines(scene))))


def _machines(scene: Scene) -> list[int]:
    return [number for number, vehicle in enumerate(scene.vehicles) if vehicle.body.kind == "motorcycle"]


def labelled(scene: Scene) -> Scene:
    """The same scene with the labels of its motorcycles."""
    labels: list[int] = []
    boxes: list[Array] = []
    pairs: list[tuple[int, int]] = []
    for number in _machines(scene):
        vehicle = scene.vehicles[number]
        machine = len(boxes)
        labels.append(2)
        boxes.append(vehicle.box)
        covers = [nearer.outline for nearer in scene.vehicles[number + 1 :]]
        for person in range(len(vehicle.body.people)):
            body, head = _shapes(scene, vehicle, person)
            hiding = covers + _before(scene, vehicle, person)
            box = _box([*body, *head], scene.size)
            if box is None or _visible([*body, *head], hiding, scene.size) < RIDER_SEEN:
                continue
            rider = len(boxes)
            labels.append(1)
            boxes.append(box)
            pairs.append((rider, machine))
            top = _box(head, scene.size)
            if not vehicle.body.people[person].helmet or top is None:
                continue
            large = (top[2:] - top[:2]).prod() >= SMALLEST
            if large and _visible(head, hiding, scene.size) >= HELMET_SEEN:
                pairs.append((len(boxes), rider))
                labels.append(0)
                boxes.append(top)
    return replace(
        scene,
        labels=np.array(labels, np.int64),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        pairs=tuple(sorted(pairs)),
    )


def _shapes(scene: Scene, vehicle: Vehicle, person: int) -> tuple[list[Array], list[Array]]:
    """Outlines, in pixels, of the parts of a person below the head and of the head."""
    own = [part for part in parts(vehicle.body, vehicle.facing) if part.owner == person]
    body, head = [part for part in own if not part.head], [part for part in own if part.head]
    return _outlines(scene, vehicle, body), _outlines(scene, vehicle, head)


def _before(scene: Scene, vehicle: Vehicle, person: int) -> list[Array]:
    """Outlines of the trunk and head of whoever sits nearer to the camera on the same machine."""
    every = parts(vehicle.body, vehicle.facing)

    def depth(number: int) -> float:
        heads = [part for part in every if part.owner == number and part.head]
        return float(np.mean([vehicle.pose.place(part.centres)[:, 2].mean() for part in heads]))

    nearer = [other for other in range(len(vehicle.body.people)) if other != person and depth(other) < depth(person)]
    hiding = [part for part in every if part.owner in nearer and (part.head or len(part.radii) == 4)]
    return _outlines(scene, vehicle, hiding)


def _outlines(scene: Scene, vehicle: Vehicle, some: list[Part]) -> list[Array]:
    return [hull(points) for points in spread(some, vehicle.pose.place, scene.camera)] if some else []


def _box(shapes: list[Array], size: tuple[int, int]) -> Array | None:
    """The box (4,) of the shapes, cut at the picture's edge; None where most of it lies outside."""
    points = np.concatenate(shapes)
    low, high = points.min(axis=0), points.max(axis=0)
    limit = np.array(size, np.float64)
    cut = np.concatenate([np.clip(low, 0, limit), np.clip(high, 0, limit)])
    if (cut[2:] - cut[:2]).min() < 3 or (cut[2:] - cut[:2]).prod() < 0.5 * (high - low).prod():
        return None
    return cut


def _visible(shapes: list[Array], covers: list[Array], size: tuple[int, int]) -> float:
    """Share of the shapes that lies in the picture and behind none of the covers."""
    points = np.concatenate(shapes)
    low, high = points.min(axis=0), points.max(axis=0)
    x, y = (low + (high - low) * ((np.arange(12)[:, None] + 0.5) / 12)).T
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    own = grid[np.any([inside(grid, shape) for shape in shapes], axis=0)]
    if not len(own):
        return 0.0
    hidden = ((own < 0) | (own > np.array(size))).any(axis=1)
    for cover in covers:
        hidden |= inside(own, cover)
    return float(1 - hidden.mean())
