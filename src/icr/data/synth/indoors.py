"""Painting a corridor with its doors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops

from icr.data.synth import weather
from icr.data.synth.camera import Array
from icr.data.synth.canvas import OVERSAMPLE, Canvas
from icr.data.synth.doors import Corridor, Door, Wall, raised
from icr.data.synth.layout import generator
from icr.data.synth.paint import bloom, camera_faults
from icr.data.synth.plates import Rgb, sign_face, warp
from icr.data.synth.settings import SceneSettings
from icr.data.synth.shapes import box, ellipse, rounded

WALLS: tuple[Rgb, ...] = (
    (224, 220, 210), (232, 230, 226), (206, 212, 214), (222, 208, 184), (204, 214, 200), (196, 190, 182),
)  # fmt: skip
WAINSCOTS: tuple[Rgb, ...] = ((120, 158, 136), (128, 148, 172), (170, 150, 122), (150, 150, 148))
FLOORS: tuple[Rgb, ...] = ((176, 168, 154), (150, 152, 154), (126, 104, 82), (196, 192, 184), (104, 112, 118))
LEAVES: tuple[Rgb, ...] = (
    (148, 98, 58), (116, 72, 42), (190, 150, 104), (228, 226, 220), (86, 104, 122), (92, 58, 40), (172, 176, 178),
    (70, 96, 84), (132, 48, 42),
)  # fmt: skip
METALS: tuple[Rgb, ...] = ((186, 188, 192), (196, 160, 84), (58, 58, 60), (150, 152, 156), (214, 216, 220))


@dataclass
class Interior:
    """One corridor that is being painted.

    Attributes:
        canvas: what is painted on.
        scene: what is painted.
        rng: random numbers.
        lit: z of the lamps that burn, in metres.
        ambient: 0..1, how bright it is far from a lamp.
    """

    canvas: Canvas
    scene: Corridor
    rng: np.random.Generator
    lit: Array
    ambient: float

    def bright(self, z: float) -> float:
        """Brightness at a depth, about 0..1."""
        near = float(np.exp(-(((z - self.lit) / 2.2) ** 2)).sum()) if len(self.lit) else 0.0
        return self.ambient + (1 - self.ambient) * min(near, 1.15) * 0.85

    def fill(self, world: Array, colour: Rgb | Array, shade: float = 1.0) -> None:
        """Fill a polygon (N, 3), as bright as it is there."""
        light = self.bright(float(world[:, 2].mean())) * shade
        self.canvas.polygon(world, np.asarray(colour, np.float64) * light)

    def on(self, wall: Wall, outline: Array, colour: Rgb | Array, out: float = 0.0, shade: float = 1.0) -> None:
        """Fill an outline (N, 2) on a wall, cut where it would reach behind the camera."""
        if wall.along[1]:
            outline = np.column_stack([np.maximum(outline[:, 0], 0.72), outline[:, 1]])
        self.fill(wall.place(raised(outline, out)), colour, shade)


def paint_doors(scene: Corridor, settings: SceneSettings, seed: int, split: str, index: int) -> tuple[Image.Image, int]:
    """The picture of a corridor, RGB, and the JPEG quality it is to be written with."""
    rng = generator(seed, split, index, 8)
    night = scene.light == "night"
    size = scene.size[0] * OVERSAMPLE, scene.size[1] * OVERSAMPLE
    image = Image.new("RGB", size, (20, 20, 22))
    canvas = Canvas(image, Image.new("RGB", size), scene.camera.scaled(OVERSAMPLE), (200, 200, 200), night)
    lamps = np.arange(float(rng.uniform(0.8, 2.0)), scene.long, float(rng.uniform(2.0, 2.8)))
    burning = lamps[rng.random(len(lamps)) < 0.4] if night else lamps
    if night and not len(burning):
        burning = lamps[int(rng.integers(len(lamps))) :][:1]
    ambient = float(rng.uniform(0.22, 0.36) if night else rng.uniform(0.62, 0.85))
    room = Interior(canvas, scene, rng, burning, ambient)
    shell(room)
    for z in lamps[::-1].tolist():
        lamp(room, z, z in burning)
    free = clutter(room)
    leaf = np.array(LEAVES[int(rng.integers(len(LEAVES)))], np.float64)
    style, metal = int(rng.integers(4)), METALS[int(rng.integers(len(METALS)))]
    for door in scene.doors:
        other = np.array(LEAVES[int(rng.integers(len(LEAVES)))], np.float64)
        own = other if rng.random() < 0.2 and not paired(door, scene) else leaf
        paint_door(room, door, own, style, metal, free)
    picture = canvas.image.reduce(OVERSAMPLE)
    glow = bloom(canvas.glow.reduce(OVERSAMPLE), scene.camera.horizon, wet=False)
    picture = ImageChops.add(picture, glow.point([value // (1 if night else 2) for value in range(256)] * 3))
    if rng.random() < settings.motion:
        picture = weather.shaken(picture, rng)
    picture = camera_faults(picture, settings, night, rng)
    if rng.random() < settings.recompressed:
        picture = weather.compressed(picture, rng)
    return picture, int(rng.integers(settings.quality[0], settings.quality[1] + 1))


def paired(door: Door, scene: Corridor) -> bool:
    """Whether a door is one leaf of two."""
    others = [other for other in scene.doors if other.wall is door.wall and other is not door]
    return any(abs(other.start - door.start) < door.width + 0.05 for other in others)


def shell(room: Interior) -> None:
    """Floor, ceiling and walls in slices from far to near, each as bright as the lamps make it."""
    scene, rng = room.scene, room.rng
    colour = np.array(WALLS[int(rng.integers(len(WALLS)))]) * rng.uniform(0.94, 1.03)
    floor = np.array(FLOORS[int(rng.integers(len(FLOORS)))], np.float64)
    foot = np.array(WAINSCOTS[int(rng.integers(len(WAINSCOTS)))]) if rng.random() < 0.4 else None
    left, right = scene.walls[0].origin[0], scene.walls[1].origin[0]
    end = scene.walls[2]
    steps = np.linspace(0.7, scene.long, max(8, int(scene.long * 5)))
    for near, far in zip(steps[-2::-1], steps[:0:-1], strict=True):
        for y, base, shade in ((0.0, floor, 0.92), (scene.high, colour, 0.9)):
            slab = np.array([[left, y, near], [right, y, near], [right, y, far], [left, y, far]])
            room.fill(slab, base, shade)
        for wall, shade in zip(scene.walls[:2], (0.96, 0.86), strict=True):
            side(room, wall, near, far, colour, foot, shade)
    for index, (low, high) in enumerate(((0.0, 0.5), (0.5, 1.1), (1.1, 1.8), (1.8, scene.high))):
        base = foot if foot is not None and high <= 1.1 else colour
        room.on(end, box(0.0, low, end.length, high), base, shade=0.86 + 0.03 * index)
    room.on(end, box(0.0, 0.0, end.length, 0.09), np.array([92, 88, 82]))
    for z in room.lit.tolist():
        sheen(room, z, floor)
    tile = float(rng.choice([0.3, 0.6, 0.8]))
    for x in np.arange(left, right, tile):
        line = np.array([[x, 0.0, 0.75], [x + 0.008, 0.0, 0.75], [x + 0.008, 0.0, scene.long], [x, 0.0, scene.long]])
        room.canvas.polygon(line, floor * 0.80 * room.bright(scene.long / 2))
    for z in np.arange(scene.long, 0.8, -tile):
        room.fill(
            np.array([[left, 0.0, z], [right, 0.0, z], [right, 0.0, z - 0.008], [left, 0.0, z - 0.008]]), floor, 0.76
        )


def side(room: Interior, wall: Wall, near: float, far: float, colour: Array, foot: Array | None, shade: float) -> None:
    """One slice of a side wall: dark towards the floor and the ceiling, with a skirting board."""
    high = room.scene.high
    bands = ((0.0, 0.09, 0.55), (0.09, 0.5, 0.92), (0.5, 1.1, 0.97), (1.1, high - 0.3, 1.0), (high - 0.3, high, 0.94))
    for low, top, dark in bands:
        base = foot if foot is not None and top <= 1.1 else colour
        room.on(wall, box(near, low, far, top), base, shade=shade * dark)


def sheen(room: Interior, z: float, floor: Array) -> None:
    """The mirror image of a lamp on a polished floor: it fades to the floor's own tone, and ends at the far wall."""
    middle = (room.scene.walls[0].origin[0] + room.scene.walls[1].origin[0]) / 2
    edges = np.linspace(max(z - 1.1, 0.72), min(z + 1.1, room.scene.long), 13)
    near, far = edges[:-1], edges[1:]
    tones = np.minimum(floor, 250) * np.array([[room.bright(each)] for each in (near + far) / 2])
    for share in np.linspace(1.0, 0.15, 10).tolist():
        half = 0.7 * np.sqrt(np.maximum(share**2 - ((edges - z) / 1.1) ** 2, 0.0))
        x = middle + np.stack([-half[:-1], half[:-1], half[1:], -half[1:]], 1)
        slices = np.stack([x, np.zeros_like(x), np.stack([near, near, far, far], 1)], 2)
        seen = half[:-1] + half[1:] > 0
        room.canvas.polygons(slices[seen], tones[seen] * (0.92 + 0.15 * (1 - share) ** 2))


def lamp(room: Interior, z: float, burning: bool) -> None:
    """A panel in the ceiling."""
    middle = (room.scene.walls[0].origin[0] + room.scene.walls[1].origin[0]) / 2
    high = room.scene.high - 0.005
    near, far = max(z - 0.3, 0.72), max(z + 0.3, 0.74)
    panel = np.array(
        [[middle - 0.3, high, near], [middle + 0.3, high, near], [middle + 0.3, high, far], [middle - 0.3, high, far]]
    )
    room.canvas.polygon(panel, (250, 250, 244) if burning else np.array([190, 190, 188]) * room.bright(z))
    if burning:
        room.canvas.shine(panel, (140, 138, 130))


def clutter(room: Interior) -> list[tuple[Wall, float, float]]:
    """Pictures, notices and extinguishers where there is no door; returns the free stretches of the walls."""
    free: list[tuple[Wall, float, float]] = []
    for wall in room.scene.walls:
        doors = sorted(
            (door.start - 0.08, door.start + door.width + 0.08) for door in room.scene.doors if door.wall is wall
        )
        run = 0.8 if wall.along[1] else 0.0
        for start, stop in [*doors, (wall.length, wall.length)]:
            if start - run > 0.25:
                free.append((wall, run, start))
            run = max(run, stop)
    for wall, start, stop in free:
        chance = room.rng.random()
        middle = (start + stop) / 2
        if stop - start > 0.9 and chance < 0.5:
            notice(room, wall, middle, min(0.8, (stop - start) * 0.5))
        elif stop - start > 0.4 and chance < 0.75:
            extinguisher(room, wall, middle)
        elif stop - start > 0.3:
            room.on(wall, box(middle - 0.04, 0.28, middle + 0.04, 0.36), (236, 236, 232))
            room.on(wall, box(middle - 0.02, 0.31, middle + 0.02, 0.33), (90, 90, 92))
    return free


def notice(room: Interior, wall: Wall, middle: float, wide: float) -> None:
    """A framed picture or a board with sheets of paper on it."""
    tall = wide * float(room.rng.uniform(0.6, 1.1))
    room.on(wall, box(middle - wide / 2, 1.55 - tall / 2, middle + wide / 2, 1.55 + tall / 2), (70, 58, 46), 0.01)
    ground = np.array([[150, 168, 178], [196, 170, 128], [120, 140, 110], [218, 214, 202]][int(room.rng.integers(4))])
    wide, tall = wide * 0.92, tall * 0.9
    room.on(wall, box(middle - wide / 2, 1.55 - tall / 2, middle + wide / 2, 1.55 + tall / 2), ground, 0.012)
    for _ in range(int(room.rng.integers(1, 6))):
        x, y = room.rng.uniform(-0.34, 0.34, 2) * (wide, tall)
        sheet = box(middle + x - 0.07 * wide, 1.55 + y - 0.1 * tall, middle + x + 0.07 * wide, 1.55 + y + 0.1 * tall)
        room.on(wall, sheet, room.rng.uniform(120, 245, 3), 0.014)


def extinguisher(room: Interior, wall: Wall, middle: float) -> None:
    """A red bottle on a hook, with a black valve that resembles a handle."""
    room.on(wall, rounded(middle - 0.08, 0.32, middle + 0.08, 0.80, 0.07), (176, 30, 28), 0.08)
    room.on(wall, rounded(middle - 0.05, 0.36, middle - 0.01, 0.76, 0.02), (214, 84, 74), 0.085)
    room.on(wall, box(middle - 0.02, 0.80, middle + 0.02, 0.86), (40, 40, 42), 0.08)
    room.on(wall, rounded(middle - 0.07, 0.86, middle + 0.05, 0.89, 0.01), (30, 30, 32), 0.08)


def paint_door(
    room: Interior, door: Door, leaf: Array, style: int, metal: Rgb, free: list[tuple[Wall, float, float]]
) -> None:
    """Frame, leaf, panels or a pane, hinges, lock, handle, and what hangs beside a door."""
    left, right, top = door.start, door.start + door.width, door.height
    wall, shade = door.wall, 1.0 if not door.wall.along[1] else 0.9

    def on(outline: Array, colour: Rgb | Array, out: float = 0.0125, gain: float = 1.0) -> None:
        room.on(wall, outline, colour, out, shade * gain)

    on(box(left - 0.065, 0.0, right + 0.065, top + 0.065), np.minimum(leaf * 0.72 + 40, 250), 0.006)
    on(box(left - 0.012, 0.0, right + 0.012, top + 0.012), (26, 24, 22), 0.008)
    for index in range(5):
        low, high = (0.01 + (top - 0.01) * share for share in (index / 5, (index + 1) / 5))
        on(box(left, low, right, high), leaf, 0.012, 0.93 + 0.02 * index)
    grain(room, door, leaf, shade)
    panels(on, door, leaf, style)
    hinge = left if door.latch > 0 else right
    for y in (0.25, 1.0, top - 0.22):
        on(box(hinge - 0.008, y - 0.05, hinge + 0.008, y + 0.05), np.array(metal) * 0.8, 0.014)
    edge = right if door.latch > 0 else left
    if door.fitting in ("lever", "knob"):
        lock = edge - door.latch * 0.07
        on(ellipse(lock, door.grip - 0.09, 0.014, 0.02), np.array(metal) * 0.85, 0.014)
        on(ellipse(lock, door.grip - 0.09, 0.004, 0.009), (20, 20, 20), 0.015)
    beside(room, door, free)
    handle(room, door, metal, shade)


def grain(room: Interior, door: Door, leaf: Array, shade: float) -> None:
    """Fine upright lines, as of wood."""
    for x in room.rng.uniform(door.start + 0.02, door.start + door.width - 0.02, 7).tolist():
        line = box(x, 0.02, x + 0.006, door.height - 0.02)
        room.on(door.wall, line, leaf, 0.0122, shade * float(room.rng.uniform(0.90, 1.0)))


def panels(on: Callable[..., None], door: Door, leaf: Array, style: int) -> None:
    """What structures the leaf: nothing, panels, a pane of glass, or a plate of steel at its foot."""
    left, right, top = door.start, door.start + door.width, door.height
    inset = 0.13
    if style == 1:
        halves = [(left + inset, right - inset)]
        if door.width > 0.84:
            middle = (left + right) / 2
            halves = [(left + inset * 0.9, middle - 0.035), (middle + 0.035, right - inset * 0.9)]
        for a, b in halves:
            for low, high in ((0.16, 0.88), (1.16, top - 0.14)):
                on(box(a, low, b, high), leaf, gain=0.70)
                on(box(a + 0.012, low, b, high - 0.012), leaf, gain=1.12)
                on(box(a + 0.018, low + 0.018, b - 0.018, high - 0.018), leaf, gain=0.94)
    elif style == 2:
        pane = (left + inset * 1.2, 1.22, right - inset * 1.2, top - 0.2)
        on(box(pane[0] - 0.02, pane[1] - 0.02, pane[2] + 0.02, pane[3] + 0.02), leaf, gain=0.66)
        on(box(*pane), (112, 128, 136))
        slope = np.array([[pane[0], pane[1] + 0.1], [pane[2], pane[3] - 0.1], [pane[2], pane[3]], [pane[0], pane[3]]])
        on(slope, (158, 174, 182), 0.0128)
    elif style == 3:
        on(box(left + 0.02, 0.03, right - 0.02, 0.28), (158, 160, 162))
        on(box(left + 0.02, 0.27, right - 0.02, 0.28), (206, 208, 210))


def beside(room: Interior, door: Door, free: list[tuple[Wall, float, float]]) -> None:
    """A number on the leaf or beside it, and a light switch: small bright things that are no handles."""
    rng, wall = room.rng, door.wall
    if rng.random() < 0.6:
        face = sign_face(
            (72, 40), f"{rng.choice(list('ABC'))}{int(rng.integers(100, 420))}", (52, 74, 104), (236, 238, 240)
        )
        face = face.point([int(value * room.bright(float(door.leaf()[:, 2].mean()))) for value in range(256)] * 3)
        middle, y = door.start + door.width / 2, 1.66
        ends = (middle - 0.09, middle + 0.09)
        # Read from within the room: along the left and the end wall, against the right one.
        start, stop = ends if wall.normal != (-1.0, 0.0) else ends[::-1]
        corners = np.array([[start, y + 0.05], [stop, y + 0.05], [stop, y - 0.05], [start, y - 0.05]])
        warp(room.canvas.image, face, room.canvas.camera.project(wall.place(raised(corners, 0.016))))
    edge = door.start + door.width + 0.17 if door.latch > 0 else door.start - 0.17
    if any(w is wall and start + 0.06 < edge < stop - 0.06 for w, start, stop in free) and rng.random() < 0.7:
        room.on(wall, box(edge - 0.043, 1.27, edge + 0.043, 1.356), (232, 232, 228), 0.01)
        room.on(wall, box(edge - 0.024, 1.285, edge + 0.024, 1.341), (206, 206, 202), 0.012)


def handle(room: Interior, door: Door, metal: Rgb, shade: float) -> None:
    """The handle itself, exactly where the label says, with its shadow on the leaf."""
    tone = np.array(metal, np.float64)
    shapes = door.handle()
    into = np.array([door.wall.normal[0], 0.0, door.wall.normal[1]])
    fall = shapes[-1] - into * 0.045 + np.array([0.0, -0.02, 0.0])
    room.fill(fall, (34, 28, 24), shade * 0.9)
    for number, shape in enumerate(shapes):
        room.fill(shape, tone, shade * (0.78, 0.66, 0.98)[min(number + (len(shapes) == 2) * number, 2)])
    front = shapes[-1]
    middle = front.mean(axis=0)
    shine = middle + (front - middle) * np.array([0.82, 0.35, 0.82]) + np.array([0.0, 0.004, 0.0])
    room.fill(shine, np.minimum(tone * 1.1 + 24, 255), shade)
