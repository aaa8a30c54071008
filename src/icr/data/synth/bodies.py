"""The shapes of vehicles: each end is a surface of rows, from the bumper up over the windscreen to the roof."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from icr.data.synth.camera import Array

Kind = Literal["car", "van", "truck", "bus", "motorcycle"]
KINDS: tuple[Kind, ...] = ("car", "van", "truck", "bus", "motorcycle")
Facing = Literal["front", "rear"]

PLATE_WIDTH, PLATE_HEIGHT = 0.44, 0.14
"""Size of a plate in metres."""

TWO_LINES = (0.44, 0.22)
"""Size of a plate with two lines on the rear of a truck or a bus, in metres."""

MOTORCYCLE_REAR, MOTORCYCLE_FRONT = (0.22, 0.14), (0.22, 0.095)
"""Sizes of a motorcycle's plates in metres: two lines behind, one in front."""

ACROSS = np.array([-1.0, -0.985, -0.93, -0.82, 0.0, 0.82, 0.93, 0.985, 1.0])
"""Columns of an end's surface, as shares of its half width; they crowd where the corner is rounded."""

BEND = np.array([1.0, 0.62, 0.22, 0.04, 0.0, 0.04, 0.22, 0.62, 1.0])
"""How far each column lies behind the middle, as a share of the corner's depth."""


@dataclass(frozen=True)
class End:
    """One end of a vehicle, in metres.

    Attributes:
        height, half, back: height, half width and set-back of each row, from the bottom up.
        corner: depth of the rounded corner.
        glass: height of the lower and upper edge of the screen; equal when there is none.
        plate: height of the plate's centre and its offset from the middle.
        plate_size: width and height of the plate.
    """

    height: Array
    half: Array
    back: Array
    corner: float
    glass: tuple[float, float]
    plate: tuple[float, float]
    plate_size: tuple[float, float] = (PLATE_WIDTH, PLATE_HEIGHT)

    def at(self, across: Array, height: Array) -> Array:
        """Points (..., 3) on the surface, at shares (-1..1) of the half width; z grows to the far end."""
        half = np.interp(height, self.height, self.half)
        back = np.interp(height, self.height, self.back)
        bend = np.interp(across, ACROSS, BEND) * self.corner
        return np.stack([across * half, height, back + bend], axis=-1)


@dataclass(frozen=True)
class Person:
    """Someone on a motorcycle.

    Attributes:
        helmet: whether a helmet is worn.
        seat: how far behind the usual seat, in metres.
        lean: how far the shoulders lean forward, in metres.
        build: size, about 1.
    """

    helmet: bool
    seat: float
    lean: float
    build: float


@dataclass(frozen=True)
class Body:
    """A vehicle's shape.

    Attributes:
        kind: what it is.
        style: which of its kind, for details.
        length: in metres.
        front, rear: the two ends.
        belt: height of the lower edge of the side windows.
        wheel: radius of a wheel.
        axles: distance of each axle from the front.
        cargo: length of the cab before a cargo box, and the heights of the box; None where there is no box.
        people: who rides it, where that is seen from outside.
    """

    kind: Kind
    style: str
    length: float
    front: End
    rear: End
    belt: float
    wheel: float
    axles: tuple[float, ...]
    cargo: tuple[float, float, float] | None = None
    people: tuple[Person, ...] = ()

    def end(self, facing: Facing) -> End:
        """The end that faces the viewer."""
        return self.front if facing == "front" else self.rear

    def depths(self, facing: Facing) -> tuple[float, ...]:
        """Distance of each axle from the end that faces the viewer."""
        return self.axles if facing == "front" else tuple(self.length - axle for axle in self.axles)


Rows = list[tuple[float, float, float]]

SEDAN_FRONT: Rows = [
    (0.19, 0.74, 0.10), (0.28, 0.85, 0.02), (0.40, 0.89, 0.00), (0.56, 0.90, 0.00), (0.68, 0.90, 0.03),
    (0.78, 0.885, 0.12), (0.85, 0.85, 0.40), (0.92, 0.82, 0.95), (0.96, 0.80, 1.10), (1.34, 0.62, 1.80),
    (1.42, 0.56, 2.05), (1.46, 0.46, 2.40),
]  # fmt: skip
SEDAN_REAR: Rows = [
    (0.21, 0.76, 0.10), (0.30, 0.85, 0.02), (0.44, 0.89, 0.00), (0.60, 0.905, 0.01), (0.78, 0.90, 0.06),
    (0.93, 0.87, 0.09), (1.00, 0.84, 0.17), (1.03, 0.80, 0.50), (1.34, 0.62, 1.15), (1.42, 0.56, 1.35),
    (1.46, 0.46, 1.65),
]  # fmt: skip
HATCH_FRONT: Rows = [
    (0.22, 0.74, 0.10), (0.33, 0.86, 0.02), (0.48, 0.90, 0.00), (0.68, 0.92, 0.00), (0.82, 0.92, 0.03),
    (0.94, 0.90, 0.12), (1.02, 0.87, 0.40), (1.07, 0.85, 0.85), (1.11, 0.83, 0.97), (1.54, 0.68, 1.60),
    (1.63, 0.62, 1.85), (1.68, 0.50, 2.20),
]  # fmt: skip
HATCH_REAR: Rows = [
    (0.24, 0.76, 0.09), (0.35, 0.88, 0.02), (0.50, 0.92, 0.00), (0.70, 0.93, 0.02), (0.95, 0.92, 0.06),
    (1.09, 0.90, 0.10), (1.52, 0.73, 0.36), (1.62, 0.66, 0.38), (1.68, 0.54, 0.70),
]  # fmt: skip
VAN_FRONT: Rows = [
    (0.24, 0.80, 0.10), (0.36, 0.92, 0.02), (0.60, 0.96, 0.00), (0.85, 0.965, 0.03), (1.02, 0.95, 0.12),
    (1.10, 0.93, 0.40), (1.18, 0.91, 0.60), (1.78, 0.82, 1.12), (1.92, 0.76, 1.30), (1.99, 0.62, 1.60),
]  # fmt: skip
VAN_REAR: Rows = [
    (0.28, 0.84, 0.07), (0.38, 0.94, 0.01), (0.60, 0.96, 0.00), (1.10, 0.965, 0.02), (1.30, 0.95, 0.04),
    (1.78, 0.87, 0.12), (1.92, 0.80, 0.16), (1.99, 0.66, 0.40),
]  # fmt: skip
CAB_FRONT: Rows = [
    (0.34, 0.98, 0.08), (0.46, 1.08, 0.01), (0.80, 1.10, 0.00), (1.20, 1.10, 0.03), (1.38, 1.10, 0.05),
    (2.05, 1.06, 0.20), (2.28, 1.02, 0.28), (2.36, 0.94, 0.50), (2.37, 1.17, 1.70), (3.05, 1.17, 1.70),
    (3.10, 1.16, 1.74),
]  # fmt: skip
BOX_REAR: Rows = [
    (0.50, 0.98, 0.10), (0.62, 1.08, 0.02), (0.80, 1.12, 0.00), (0.92, 1.17, 0.00), (3.05, 1.17, 0.00),
    (3.10, 1.16, 0.04),
]  # fmt: skip
BUS_FRONT: Rows = [
    (0.28, 1.08, 0.08), (0.42, 1.20, 0.01), (0.90, 1.25, 0.00), (1.15, 1.25, 0.02), (2.45, 1.22, 0.12),
    (2.85, 1.19, 0.15), (3.02, 1.12, 0.25), (3.08, 0.98, 0.50),
]  # fmt: skip
BUS_REAR: Rows = [
    (0.32, 1.10, 0.07), (0.45, 1.21, 0.01), (0.90, 1.25, 0.00), (1.65, 1.25, 0.02), (2.45, 1.22, 0.08),
    (2.85, 1.19, 0.10), (3.02, 1.12, 0.20), (3.08, 0.98, 0.45),
]  # fmt: skip


def _end(
    rows: Rows,
    wide: float,
    tall: float,
    *,
    corner: float,
    glass: tuple[float, float],
    plate: tuple[float, float],
) -> End:
    height, half, back = np.array(rows, np.float64).T
    return End(
        height * tall, half * wide, back, corner, (glass[0] * tall, glass[1] * tall), (plate[0] * tall, plate[1])
    )


def make(kind: Kind, rng: np.random.Generator, two_lines: float = 0.0) -> Body:
    """A vehicle of a kind, with proportions of its own; `two_lines` is the share of large ones with such a plate."""
    wide, tall = rng.uniform(0.96, 1.05), rng.uniform(0.95, 1.06)
    if kind == "car":
        return _car(rng, wide, tall)
    if kind == "motorcycle":
        return motorcycle(rng, two_lines)
    if kind == "van":
        front = _end(VAN_FRONT, wide, tall, corner=0.22, glass=(1.21, 1.76), plate=(0.45, 0.0))
        rear = _end(VAN_REAR, wide, tall, corner=0.08, glass=(1.24, 1.74), plate=(float(rng.choice([0.5, 0.88])), 0.0))
        return Body("van", "van", 4.9, front, rear, 1.14 * tall, 0.33, (0.75, 3.85))
    if kind == "truck":
        length = float(rng.uniform(6.0, 9.5))
        front = _end(CAB_FRONT, wide, tall, corner=0.16, glass=(1.40, 2.06), plate=(0.57, 0.0))
        rear = _end(
            BOX_REAR, wide, tall, corner=0.01, glass=(1.0, 1.0), plate=(0.71, float(rng.choice([-0.55, 0.0, 0.5])))
        )
        axles = (0.85, length - 1.5)
        if two_lines and rng.random() < two_lines:
            rear = replace(rear, plate=(rear.plate[0] + 0.01, rear.plate[1]), plate_size=TWO_LINES)
        return Body("truck", "box", length, front, rear, 1.38 * tall, 0.44, axles, (1.65, 0.92 * tall, 3.06 * tall))
    length = float(rng.uniform(8.5, 12.0))
    front = _end(BUS_FRONT, wide, tall, corner=0.22, glass=(1.18, 2.42), plate=(0.60, 0.0))
    rear = _end(BUS_REAR, wide, tall, corner=0.16, glass=(1.70, 2.42), plate=(0.66, 0.0))
    if two_lines and rng.random() < two_lines:
        rear = replace(rear, plate_size=TWO_LINES)
    return Body("bus", "bus", length, front, rear, 1.25 * tall, 0.48, (2.4, length - 3.0))


def _car(rng: np.random.Generator, wide: float, tall: float) -> Body:
    style = str(rng.choice(["sedan", "hatch", "suv"], p=[0.45, 0.25, 0.30]))
    on_lid = bool(rng.random() < 0.6)
    if style == "sedan":
        front = _end(SEDAN_FRONT, wide, tall, corner=0.32, glass=(0.985, 1.33), plate=(0.40, 0.0))
        rear = _end(SEDAN_REAR, wide, tall, corner=0.22, glass=(1.05, 1.33), plate=(0.74 if on_lid else 0.45, 0.0))
        return Body("car", style, 4.65, front, rear, 0.96 * tall, 0.31, (0.92, 3.62))
    if style == "hatch":
        tall *= 0.91
    front = _end(HATCH_FRONT, wide, tall, corner=0.30, glass=(1.13, 1.53), plate=(0.47, 0.0))
    rear = _end(HATCH_REAR, wide, tall, corner=0.16, glass=(1.12, 1.50), plate=(0.82 if on_lid else 0.50, 0.0))
    length = 4.05 if style == "hatch" else 4.7
    return Body("car", style, length, front, rear, 1.09 * tall, 0.34, (0.85, length - 0.85))


def motorcycle(rng: np.random.Generator, two_lines: float, bare_heads: float = 0.15) -> Body:
    """A motorcycle or scooter with one or two people on it, of whom `bare_heads` wear no helmet."""
    style = str(rng.choice(["motorcycle", "scooter"]))
    people = [
        Person(bool(rng.random() >= bare_heads), seat, float(rng.uniform(0.0, 0.16)), float(rng.uniform(0.94, 1.05)))
        for seat in ((0.0, 0.44) if rng.random() < 0.25 else (0.0,))
    ]
    # One width and no slope: the plate hangs clear of the wheel, and what is seen has a shape of its own.
    rows = np.array([0.0, 1.0, 1.7]), np.full(3, 0.36), np.zeros(3)
    rear = End(*rows, 0.0, (1.0, 1.0), (0.62, 0.0), MOTORCYCLE_REAR if rng.random() < two_lines else MOTORCYCLE_FRONT)
    front = End(rows[0], rows[1], np.full(3, 0.12), 0.0, (1.0, 1.0), (0.72, 0.0), MOTORCYCLE_FRONT)
    return Body("motorcycle", style, 1.95, front, rear, 1.0, 0.30, (0.33, 1.62), people=tuple(people))
