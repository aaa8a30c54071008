"""Scenes of corridors: handles on doors. Where everything stands, and hence the labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from icr.data.synth.camera import Array, Camera
from icr.data.synth.layout import generator
from icr.data.synth.scene import Light
from icr.data.synth.settings import SceneSettings
from icr.data.synth.shapes import box, ellipse, rounded
from icr.errors import InputError

NAMES = ("handle", "door")
RELATIONS = (("handle", "door"),)

Fitting = Literal["lever", "plate", "knob", "bar"]
FITTINGS: tuple[Fitting, ...] = ("lever", "plate", "knob", "bar")

SMALLEST = 36.0
"""Least area of a handle's box in px²; a door whose handle would have less is not built."""

VISIBLE = 0.4
"""Least share of a door's box that lies in the picture."""


@dataclass(frozen=True)
class Wall:
    """A wall that stands upright on the floor.

    Attributes:
        origin: x and z of its start in metres.
        along: x and z of its direction, of length 1.
        normal: x and z of the direction into the room, of length 1.
        length: in metres.
    """

    origin: tuple[float, float]
    along: tuple[float, float]
    normal: tuple[float, float]
    length: float

    def place(self, points: Array) -> Array:
        """World points of (..., 3): metres along the wall, height, metres out of it."""
        run, height, out = points[..., 0], points[..., 1], points[..., 2]
        x = self.origin[0] + run * self.along[0] + out * self.normal[0]
        z = self.origin[1] + run * self.along[1] + out * self.normal[1]
        return np.stack([x, height, z], axis=-1)


@dataclass(frozen=True)
class Door:
    """A closed door.

    Attributes:
        wall: that it is set in.
        start: of its leaf along the wall, in metres.
        width, height: of its leaf, in metres.
        latch: 1 when the handle is at the end of the leaf that lies farther along the wall, else -1.
        fitting: what its handle is.
        grip: height of the handle.
    """

    wall: Wall
    start: float
    width: float
    height: float
    latch: int
    fitting: Fitting
    grip: float

    def leaf(self) -> Array:
        """World corners (4, 3) of the leaf."""
        left, right = self.start, self.start + self.width
        return self.wall.place(raised(box(left, 0.01, right, self.height), 0.012))

    def handle(self) -> list[Array]:
        """World outlines of the handle's parts, the hindmost first."""
        edge = self.start + self.width if self.latch > 0 else self.start
        x, y, inward = edge - self.latch * 0.07, self.grip, -self.latch
        if self.fitting == "knob":
            shapes = [raised(ellipse(x, y, 0.034, 0.034), 0.016), raised(ellipse(x, y, 0.030, 0.030), 0.065)]
        elif self.fitting == "bar":
            shapes = [
                raised(box(x - 0.012, y - 0.30, x + 0.012, y - 0.26), 0.03),
                raised(box(x - 0.012, y + 0.26, x + 0.012, y + 0.30), 0.03),
                raised(rounded(x - 0.017, y - 0.36, x + 0.017, y + 0.36, 0.016), 0.065),
            ]
        else:
            back = ellipse(x, y, 0.028, 0.028)
            if self.fitting == "plate":
                back = rounded(x - 0.024, y - 0.15, x + 0.024, y + 0.08, 0.02)
            left, right = sorted((x - inward * 0.012, x + inward * 0.135))
            lever = rounded(left, y - 0.012, right, y + 0.012, 0.011)
            shapes = [raised(back, 0.018), raised(ellipse(x, y, 0.013, 0.013), 0.04), raised(lever, 0.06)]
        return [self.wall.place(shape) for shape in shapes]


@dataclass(frozen=True)
class Corridor:
    """A corridor before it is drawn.

    Attributes:
        size: width and height in pixels.
        light: ``day`` or ``night``.
        camera: projects metres to pixels.
        wide, long, high: of the corridor, in metres.
        walls: left, right and end.
        doors: from the farthest to the nearest.
        labels: int64 (N,): 0 handle, 1 door.
        boxes: float64 (N, 4), xyxy pixels, cut at the picture's edge.
        pairs: rows of each handle and of its door.
    """

    size: tuple[int, int]
    light: Light
    camera: Camera
    wide: float
    long: float
    high: float
    walls: tuple[Wall, ...]
    doors: tuple[Door, ...]
    labels: npt.NDArray[np.int64] = field(repr=False)
    boxes: Array = field(repr=False)
    pairs: tuple[tuple[int, int], ...] = ()


def raised(outline: Array, out: float) -> Array:
    """An outline (N, 2) on a wall as points (N, 3), `out` metres before it."""
    return np.column_stack([outline, np.full(len(outline), out)])


def lay_out_doors(settings: SceneSettings, seed: int, split: str, index: int) -> Corridor:
    """The corridor of one image: even indices are days, odd ones nights; of the settings only `size` counts.

    Raises:
        InputError: when no handle would be large enough to be labelled, in pictures that are too small.

    Example:
        >>> from icr.data.synth.settings import DEFAULT
        >>> scene = lay_out_doors(DEFAULT, 0, "train", 0)
        >>> scene.light, scene.labels[:2].tolist(), scene.pairs[0]
        ('day', [0, 1], (0, 1))
    """
    rng = generator(seed, split, index, 7)
    for _ in range(80):
        scene = _try(settings.size, "night" if index % 2 else "day", rng)
        if scene.doors:
            return scene
    raise InputError(
        f"no door of a picture of {settings.size[0]}x{settings.size[1]} pixels has a handle of {SMALLEST:.0f} px²: "
        "ask for larger pictures"
    )


def _try(size: tuple[int, int], light: Light, rng: np.random.Generator) -> Corridor:
    width, height = size
    camera = Camera(
        focal=float(np.sqrt(width * height) * rng.uniform(0.85, 1.25)),
        centre=width * float(rng.uniform(0.36, 0.64)),
        horizon=height * float(rng.uniform(0.42, 0.54)),
        height=float(rng.uniform(1.3, 1.7)),
    )
    wide, long = float(rng.uniform(2.0, 6.5)), float(rng.uniform(3.2, 11.0))
    aside = float(rng.uniform(-0.22, 0.22)) * wide
    left, right = aside - wide / 2, aside + wide / 2
    walls = (
        Wall((left, 0.0), (0.0, 1.0), (1.0, 0.0), long),
        Wall((right, 0.0), (0.0, 1.0), (-1.0, 0.0), long),
        Wall((left, long), (1.0, 0.0), (0.0, -1.0), wide),
    )
    tall, grip = float(rng.uniform(1.98, 2.12)), float(rng.uniform(0.98, 1.08))
    fitting = FITTINGS[int(rng.choice(4, p=[0.4, 0.25, 0.2, 0.15]))]
    doors = [door for wall in walls for door in _row(wall, tall, grip, fitting, rng) if _clear(door, camera, size)]
    doors.sort(key=lambda door: -float(door.leaf()[:, 2].mean()))
    labels: list[int] = []
    boxes: list[Array] = []
    for door in doors:
        labels += [0, 1]
        boxes += [_span(camera, np.concatenate(door.handle())), _cut(_span(camera, door.leaf()), size)]
    return Corridor(
        size, light, camera, wide, long, float(rng.uniform(2.5, 3.1)), walls, tuple(doors),
        np.array(labels, np.int64), np.array(boxes, np.float64).reshape(-1, 4),
        tuple((row, row + 1) for row in range(0, len(labels), 2)),
    )  # fmt: skip


def _row(wall: Wall, tall: float, grip: float, usual: Fitting, rng: np.random.Generator) -> list[Door]:
    """Doors along a wall, now and then two leaves side by side; most have the fitting of the house."""
    doors: list[Door] = []
    run = float(rng.uniform(0.15, 1.4))
    while True:
        wide = float(rng.uniform(0.74, 0.96))
        leaves = 2 if rng.random() < 0.16 else 1
        if run + leaves * wide + 0.15 > wall.length:
            return doors
        fitting = usual if rng.random() < 0.8 else FITTINGS[int(rng.integers(4))]
        latches = (1, -1) if leaves == 2 else (int(rng.choice([-1, 1])),)
        for leaf, latch in enumerate(latches):
            doors.append(Door(wall, run + leaf * (wide + 0.006), wide, tall, latch, fitting, grip))
        run += leaves * wide + float(rng.uniform(0.35, 2.2))


def _span(camera: Camera, world: Array) -> Array:
    pixels = camera.project(world)
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def _cut(span: Array, size: tuple[int, int]) -> Array:
    return np.asarray(np.clip(span, 0, np.array([*size, *size], np.float64)))


def _clear(door: Door, camera: Camera, size: tuple[int, int]) -> bool:
    """Whether most of a door and all of its handle are in the picture, and the handle is large enough."""
    leaf = door.leaf()
    if leaf[:, 2].min() < 0.75:
        return False
    whole = _span(camera, leaf)
    cut = _cut(whole, size)
    if (cut[2:] - cut[:2]).min() < 8 or (cut[2:] - cut[:2]).prod() < VISIBLE * (whole[2:] - whole[:2]).prod():
        return False
    handle = _span(camera, np.concatenate(door.handle()))
    extent = handle[2:] - handle[:2]
    inside = (handle[:2] >= cut[:2]).all() and (handle[2:] <= cut[2:]).all()
    return bool(inside and extent.prod() >= SMALLEST * 1.001 and extent.min() >= 2.5)
