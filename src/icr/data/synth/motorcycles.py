"""Motorcycles and scooters with the people on them, as rounded parts in three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from icr.data.synth.bodies import Body, Facing, Person
from icr.data.synth.camera import Array, Camera

Tint = Literal[
    "paint", "dark", "metal", "tyre", "rim", "lens", "tail", "jacket", "trousers", "shoes", "skin", "hair", "helmet",
    "visor", "glass",
]  # fmt: skip
"""What a part is made of; the painter picks the colours."""

TURN = np.linspace(0, 2 * np.pi, 18, endpoint=False)
CIRCLE = np.stack([np.cos(TURN), np.sin(TURN)], axis=-1)


@dataclass(frozen=True, eq=False)
class Part:
    """Balls, and whatever lies between them.

    Attributes:
        centres: middles (N, 3) of the balls in metres, in the vehicle's frame: x right, y up, z away from the camera.
        radii: their radii (N,) in metres.
        tint: what it is made of.
        owner: -1 for the machine, else the number of the person it belongs to.
        head: whether it is a head or what is worn on it.
        order: moves it towards the camera in the order of painting, in metres.
    """

    centres: Array
    radii: Array
    tint: Tint
    owner: int = -1
    head: bool = False
    order: float = 0.0


def parts(body: Body, facing: Facing) -> tuple[Part, ...]:
    """All parts of a motorcycle and its riders, as `facing` turns them to the camera."""
    return _parts(body.style, body.people, body.length, facing)


@lru_cache(maxsize=512)
def _parts(style: str, people: tuple[Person, ...], length: float, facing: Facing) -> tuple[Part, ...]:
    found = _scooter() if style == "scooter" else _motorcycle()
    for number, person in enumerate(people):
        found += _person(person, number, behind=number > 0)
    if facing == "rear":
        return tuple(found)
    flip, shift = np.array([-1.0, 1.0, -1.0]), np.array([0.0, 0.0, length])
    return tuple(
        Part(part.centres * flip + shift, part.radii, part.tint, part.owner, part.head, part.order) for part in found
    )


def spread(every: Sequence[Part], place: Callable[[Array], Array], camera: Camera) -> list[Array]:
    """For each part, pixels (M, 2) on the outlines of its balls."""
    world = place(np.concatenate([part.centres for part in every]))
    middle = camera.project(world)
    radius = np.concatenate([part.radii for part in every]) * camera.focal / np.maximum(world[:, 2], 0.6)
    points = (middle[:, None, :] + CIRCLE[None] * radius[:, None, None]).reshape(-1, 2)
    return np.split(points, np.cumsum([len(CIRCLE) * len(part.radii) for part in every[:-1]]))


def _limb(tint: Tint, *balls: tuple[float, float, float, float], owner: int = -1, order: float = 0.0) -> Part:
    """A part from (x, y, z, radius) of its balls; z from the rear axle's end to the front."""
    table = np.array(balls, np.float64)
    return Part(table[:, :3], table[:, 3], tint, owner, order=order)


def _wheel(z: float, half: float) -> list[Part]:
    """A tyre with its rim, seen from any side."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    found = []
    for radius, tint, wide in ((0.245, "tyre", half), (0.15, "rim", half * 0.9), (0.06, "metal", half * 1.1)):
        sides = [
            np.stack([np.full(16, side), 0.30 + radius * np.sin(angles), z + radius * np.cos(angles)], axis=-1)
            for side in (-wide, wide)
        ]
        found.append(
            Part(np.concatenate(sides), np.full(32, 0.055 if tint == "tyre" else 0.01), tint, order=0.001 * radius)  # type: ignore[arg-type]
        )
    return found


def _shared(front: float) -> list[Part]:
    """What every machine has: wheels, lamps, handlebar, mirrors, the plate's bracket."""
    found = [*_wheel(0.33, 0.045), *_wheel(front, 0.03)]
    found += [
        _limb("metal", (-0.36, 1.02, 1.20, 0.014), (0.36, 1.02, 1.20, 0.014)),
        _limb("dark", (-0.37, 1.02, 1.19, 0.022), (-0.27, 1.02, 1.20, 0.022)),
        _limb("dark", (0.27, 1.02, 1.20, 0.022), (0.37, 1.02, 1.19, 0.022)),
        _limb("dark", (0.0, 0.80, 0.06, 0.045), (0.0, 0.56, 0.02, 0.03)),
        _limb("dark", (-0.05, 0.74, 1.50, 0.02), (0.05, 0.74, 1.50, 0.02), (0.0, 0.70, 1.80, 0.02)),
        _limb("tail", (-0.07, 0.79, 0.035, 0.032), (0.07, 0.79, 0.035, 0.032), order=0.1),
        _limb("metal", (-0.10, 0.74, 0.09, 0.018), (0.10, 0.74, 0.09, 0.018)),
    ]
    for side in (-1.0, 1.0):
        found += [
            _limb("tail", (side * 0.15, 0.77, 0.06, 0.022), order=0.05),
            _limb("metal", (side * 0.28, 1.04, 1.20, 0.008), (side * 0.34, 1.22, 1.18, 0.008)),
            _limb("dark", (side * 0.33, 1.23, 1.18, 0.04), (side * 0.40, 1.24, 1.18, 0.04)),
            _limb("glass", (side * 0.34, 1.23, 1.16, 0.026), (side * 0.39, 1.24, 1.16, 0.026)),
        ]
    return found


def _motorcycle() -> list[Part]:
    """A naked machine with a tank, an engine in sight and a round headlamp."""
    found = _shared(1.60)
    found += [
        _limb("dark", (0.0, 0.42, 0.80, 0.15), (0.0, 0.46, 1.08, 0.17)),
        _limb("metal", (-0.12, 0.38, 0.92, 0.09), (0.12, 0.38, 0.92, 0.09)),
        _limb("paint", (0.0, 0.80, 0.92, 0.12), (0.0, 0.86, 1.12, 0.16), (0.0, 0.84, 1.20, 0.11)),
        _limb("dark", (0.0, 0.80, 0.22, 0.08), (0.0, 0.76, 0.86, 0.12)),
        _limb("paint", (0.0, 0.72, 0.55, 0.11), (0.0, 0.80, 0.12, 0.06)),
        _limb("metal", (0.16, 0.36, 0.22, 0.055), (0.16, 0.32, 0.85, 0.04)),
        _limb("paint", (0.0, 0.58, 1.46, 0.055), (0.0, 0.62, 1.62, 0.065), (0.0, 0.56, 1.80, 0.05)),
        _limb("dark", (0.0, 0.93, 1.36, 0.10)),
        _limb("metal", (0.0, 0.93, 1.42, 0.10)),
        _limb("lens", (0.0, 0.93, 1.47, 0.082), order=-0.02),
    ]
    for side in (-1.0, 1.0):
        found += [
            _limb("metal", (side * 0.09, 0.30, 0.33, 0.03), (side * 0.12, 0.44, 0.85, 0.03)),
            _limb("metal", (side * 0.08, 0.30, 1.60, 0.028), (side * 0.10, 0.96, 1.28, 0.028)),
            _limb("tail", (side * 0.17, 0.90, 1.40, 0.025)),
        ]
    return found


def _scooter() -> list[Part]:
    """A scooter: a shield before the legs, a floor, a closed tail."""
    found = _shared(1.62)
    found += [
        _limb("paint", (-0.13, 0.40, 1.40, 0.07), (0.13, 0.40, 1.40, 0.07), (-0.14, 0.86, 1.26, 0.09),
              (0.14, 0.86, 1.26, 0.09)),
        _limb("paint", (0.0, 0.98, 1.26, 0.11), (0.0, 0.92, 1.36, 0.09)),
        _limb("lens", (-0.04, 0.95, 1.42, 0.052), (0.04, 0.95, 1.42, 0.052)),
        _limb("dark", (-0.10, 0.30, 0.80, 0.05), (0.10, 0.30, 0.80, 0.05), (-0.10, 0.30, 1.32, 0.05),
              (0.10, 0.30, 1.32, 0.05)),
        _limb("paint", (-0.06, 0.52, 0.78, 0.13), (0.06, 0.52, 0.78, 0.13), (-0.04, 0.68, 0.16, 0.10),
              (0.04, 0.68, 0.16, 0.10), (0.0, 0.48, 0.40, 0.14)),
        _limb("dark", (0.0, 0.80, 0.18, 0.07), (0.0, 0.76, 0.86, 0.10)),
        _limb("paint", (0.0, 0.56, 1.50, 0.07), (0.0, 0.60, 1.64, 0.075), (0.0, 0.50, 1.86, 0.05)),
        _limb("metal", (0.17, 0.34, 0.20, 0.05), (0.17, 0.34, 0.62, 0.05)),
    ]  # fmt: skip
    for side in (-1.0, 1.0):
        found.append(_limb("tail", (side * 0.16, 0.80, 1.38, 0.03)))
    return found


def _person(person: Person, number: int, behind: bool) -> list[Part]:
    """Someone who sits on it, both hands at the handlebar or, behind, at the waist of the one before."""
    z, lean, size = 0.62 - person.seat, person.lean, person.build
    up = 0.06 if behind else 0.0

    def at(x: float, y: float, depth: float, radius: float) -> tuple[float, float, float, float]:
        return x * size, 0.86 + up + (y - 0.86) * size, z + depth, radius * size

    neck = 0.16 + lean

    def limb(tint: Tint, *balls: tuple[float, float, float, float], order: float = 0.0) -> Part:
        return _limb(tint, *balls, owner=number, order=order)

    found = [
        limb("jacket", at(-0.10, 0.92, 0.0, 0.12), at(0.10, 0.92, 0.0, 0.12),
             at(-0.15, 1.30, neck - 0.02, 0.105), at(0.15, 1.30, neck - 0.02, 0.105)),
        limb("skin", at(0.0, 1.38, neck, 0.06), at(0.0, 1.46, neck + 0.02, 0.06)),
    ]  # fmt: skip
    for side in (-1.0, 1.0):
        hand = (side * 0.31, 1.04, 1.19, 0.045) if not behind else at(side * 0.12, 1.0, 0.34, 0.045)
        elbow = at(side * 0.33, 1.10, neck + 0.14, 0.055) if not behind else at(side * 0.28, 1.06, 0.14, 0.055)
        shoulder = at(side * 0.21, 1.30, neck, 0.075)
        knee = at(side * 0.21, 0.80, 0.42, 0.08)
        foot = at(side * 0.20, 0.38, 0.24, 0.05)
        found += [
            limb("jacket", shoulder, elbow, order=0.02),
            limb("jacket", elbow, hand),
            limb("skin", hand),
            limb("trousers", at(side * 0.10, 0.86, 0.02, 0.115), knee, order=0.03),
            limb("trousers", knee, foot),
            limb("shoes", at(side * 0.20, 0.34, 0.18, 0.05), at(side * 0.20, 0.33, 0.36, 0.042)),
        ]
    top = neck + 0.05
    skull = [at(0.0, 1.57, top, 0.105), at(0.0, 1.52, top + 0.03, 0.09)]
    if person.helmet:
        shell = [at(0.0, 1.575, top, 0.142), at(0.0, 1.53, top + 0.025, 0.128)]
        face = [at(-0.05, 1.555, top + 0.115, 0.052), at(0.05, 1.555, top + 0.115, 0.052)]
        found += [_head("helmet", shell, number), _head("visor", face, number)]
    else:
        hair = [at(0.0, 1.60, top - 0.02, 0.11), at(0.0, 1.56, top - 0.035, 0.10)]
        found += [_head("skin", skull, number), _head("hair", hair, number)]
    return found


def _head(tint: Tint, balls: list[tuple[float, float, float, float]], number: int) -> Part:
    table = np.array(balls, np.float64)
    return Part(table[:, :3], table[:, 3], tint, number, head=True)
