"""Painting a vehicle's bodywork: surfaces shaded by the way they face, glass, wheels, mirrors."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from PIL import Image

from icr.data.synth.bodies import ACROSS, BEND, End
from icr.data.synth.camera import Array
from icr.data.synth.canvas import Canvas, flat, rgb
from icr.data.synth.outline import MIRROR, mirror_depth
from icr.data.synth.plates import Rgb, warp
from icr.data.synth.scene import Vehicle
from icr.data.synth.shapes import ellipse, rounded

PAINTS: tuple[Rgb, ...] = (
    (232, 233, 234), (222, 222, 220), (196, 199, 203), (150, 154, 160), (92, 97, 104), (36, 38, 42), (26, 27, 30),
    (128, 28, 32), (168, 36, 34), (34, 58, 112), (58, 92, 142), (112, 84, 58), (60, 78, 66), (196, 176, 132),
)  # fmt: skip
BUS_PAINTS: tuple[Rgb, ...] = ((206, 210, 212), (44, 116, 82), (188, 66, 44), (52, 96, 164), (226, 190, 66))
CAB_PAINTS: tuple[Rgb, ...] = ((226, 228, 230), (48, 86, 150), (176, 44, 40), (66, 128, 96), (220, 168, 52))
BOX_PAINTS: tuple[Rgb, ...] = ((214, 215, 212), (196, 200, 204), (128, 142, 158), (168, 158, 138), (92, 118, 142))

TRIM: Rgb = (30, 31, 34)
GLASS: Rgb = (34, 40, 48)
RUBBER: Rgb = (24, 24, 26)

SUN = np.array([-0.45, 0.75, -0.48])
"""Direction towards the sun, roughly behind the camera's left shoulder."""


@dataclass
class Coachwork:
    """One vehicle that is being painted on one canvas.

    Attributes:
        canvas: what is painted on.
        vehicle: what is painted.
        rng: the vehicle's own random numbers.
        lures: 0..1, how often it carries something that resembles a plate.
        focal: focal length of the layout's camera, in whose pixels the vehicle's plate is given.
    """

    canvas: Canvas
    vehicle: Vehicle
    rng: np.random.Generator
    lures: float
    focal: float

    def __post_init__(self) -> None:
        self.end: End = self.vehicle.body.end(self.vehicle.facing)
        self.far: End = self.vehicle.body.end("rear" if self.vehicle.facing == "front" else "front")
        paints = {"bus": BUS_PAINTS, "truck": CAB_PAINTS}.get(self.vehicle.body.kind, PAINTS)
        jitter = self.rng.uniform(0.92, 1.06)
        self.paint = np.array(paints[int(self.rng.integers(len(paints)))], np.float64) * jitter
        self.cargo = np.array(BOX_PAINTS[int(self.rng.integers(len(BOX_PAINTS)))], np.float64) * jitter
        self.pixels = self.canvas.camera.focal / self.vehicle.depth
        """Pixels of the sheets a metre at the near end."""

    def on_end(self, outline: Array) -> Array:
        """World points of (N, 2) points on the near end: metres from the middle, height."""
        half = np.interp(outline[:, 1], self.end.height, self.end.half)
        return self.vehicle.pose.place(self.end.at(outline[:, 0] / half, outline[:, 1]))

    def patch(self, outline: Array, colour: Rgb | Array) -> None:
        """Fill a polygon on the near end."""
        self.canvas.polygon(self.on_end(outline), colour)

    def lamp(self, outline: Array, colour: Rgb) -> None:
        """Light a polygon on the near end."""
        self.canvas.shine(self.on_end(outline), colour)

    def level(self, share: float) -> float:
        """A height between the bottom of the near end (0) and its belt (1)."""
        return float(self.end.height[0] + (self.vehicle.body.belt - self.end.height[0]) * share)

    def half_at(self, height: float) -> float:
        """Half width of the near end at a height."""
        return float(np.interp(height, self.end.height, self.end.half))

    def board(self, x: float, height: float, wide: float, tall: float, face: Image.Image, lit: float = 0.0) -> None:
        """Lay a face on the near end, its middle at `x` metres and a height."""
        outline = np.array([[-wide / 2, tall / 2], [wide / 2, tall / 2], [wide / 2, -tall / 2], [-wide / 2, -tall / 2]])
        quad = self.canvas.camera.project(self.on_end(outline + np.array([x, height])))
        warp(self.canvas.image, face, quad)
        if lit and self.canvas.night:
            warp(self.canvas.glow, face.point(lambda value: int(value * lit)), quad)

    def finer(self) -> tuple[Array, Array, Array]:
        """Rows close enough together that the shading runs smoothly."""
        end = self.end
        height = np.union1d(end.height, np.linspace(end.height[0], end.height[-1], 22))
        return height, np.interp(height, end.height, end.half), np.interp(height, end.height, end.back)

    def row_colours(self, height: Array) -> Array:
        """Colour (R, 3) of each row of the near end."""
        colour = np.repeat(self.paint[None], len(height), axis=0)
        kind = self.vehicle.body.kind
        if kind == "truck":
            if self.vehicle.facing == "rear":
                colour[:] = self.cargo
                colour[height < 0.88] = (52, 53, 56)
            else:
                colour[height > 2.36] = self.cargo
        low = self.end.height[0]
        colour[height < low + 0.09] = TRIM
        return colour

    def mesh(self, world: Array, colour: Array) -> None:
        """Draw a grid of world points (R, C, 3), top rows first; row colours are shaded by each patch's normal."""
        pixels = self.canvas.camera.project(world)
        across = world[:-1, 1:] - world[:-1, :-1]
        up = world[1:, :-1] - world[:-1, :-1]
        normal = np.cross(up, across)
        normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
        shade = self.shade(normal) * self.grounded(world[:-1, :-1, 1])
        depth = world[:-1, :-1, 2]
        fill = self.canvas.faded(colour[:-1, None, :] * shade[..., None], depth)
        fill = np.clip(fill + 0.5, 0, 255).astype(int)
        a, b, c, d = pixels[:-1, :-1], pixels[:-1, 1:], pixels[1:, 1:], pixels[1:, :-1]
        first, second = c - a, d - b
        turned = first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
        quads = np.concatenate([a, b, c, d], axis=-1)
        draw = self.canvas.draw
        for row in range(quads.shape[0] - 1, -1, -1):
            for column in range(quads.shape[1]):
                if turned[row, column] < 0:
                    red, green, blue = fill[row, column].tolist()
                    draw.polygon(quads[row, column].tolist(), fill=(red, green, blue))

    def shade(self, normal: Array) -> Array:
        """Brightness (...) of a surface that faces along `normal` (..., 3)."""
        sun = np.clip(normal @ (SUN / np.linalg.norm(SUN)), 0, 1)
        sky = 0.5 + 0.5 * normal[..., 1]
        if self.canvas.night:
            return np.asarray(0.62 + 0.30 * np.clip(-normal[..., 2], 0, 1) + 0.10 * sky)
        return np.asarray(0.42 + 0.36 * sun + 0.34 * sky)

    def grounded(self, height: Array) -> Array:
        """How much darker bodywork is near the road, which shades it and mirrors in it."""
        low = float(self.end.height[0])
        return np.asarray(0.70 + 0.30 * np.clip((height - low) / 0.55, 0, 1))

    def flank(self, side: float, height: Array, share: Array) -> Array:
        """World points on a side: at heights, and shares (0 near, 1 far) of the way between the ends."""
        height = np.asarray(height, np.float64)
        near, far = self.end, self.far
        length = self.vehicle.body.length
        start = np.interp(height, near.height, near.back) + near.corner * 0.9
        stop = length - np.interp(height, far.height, far.back) - far.corner * 0.9
        half = np.interp(height, near.height, near.half) * (1 - share) + np.interp(height, far.height, far.half) * share
        return self.vehicle.pose.place(np.stack([side * half, height, start + (stop - start) * share], axis=-1))

    def seen_side(self, side: float) -> bool:
        """Whether the camera stands on the outer side of a flank."""
        pixels = self.canvas.camera.project(self.flank(side, np.array([0.5, 0.5, 1.0]), np.array([0.0, 0.5, 0.0])))
        first, second = pixels[1] - pixels[0], pixels[2] - pixels[0]
        return bool((first[0] * second[1] - first[1] * second[0]) * side < 0)

    def bodywork(self) -> None:
        """Sides, roof and the near end, each patch shaded by the way it faces."""
        for side in (-1.0, 1.0):
            self.side(side)
        self.roof()
        height, half, back = self.finer()
        colour = self.row_colours(height)
        grid = np.stack(
            [
                np.outer(half, ACROSS),
                np.repeat(height[:, None], len(ACROSS), axis=1),
                back[:, None] + BEND[None, :] * self.end.corner,
            ],
            axis=-1,
        )
        self.mesh(self.vehicle.pose.place(grid), colour)

    def side(self, side: float) -> None:
        """A flank with windows, wheels, door lines and a cargo box, if the camera sees it."""
        if not self.seen_side(side):
            return
        body, end = self.vehicle.body, self.end
        low, top = float(end.height[0]), float(end.height[-1])
        levels = np.union1d(np.linspace(low, top, 16), [body.belt])
        outward = self.vehicle.pose.place(np.array([side, 0.0, 0.0])) - self.vehicle.pose.place(np.zeros(3))
        # A flank bulges: its shoulder, below the windows, catches the light.
        shoulder = np.exp(-(((levels - body.belt + 0.12) / 0.10) ** 2)) * 0.16
        shade = float(self.shade(outward)) * (self.grounded(levels) + shoulder)
        zeros, ones = np.zeros(2), np.ones(2)
        for index in range(len(levels) - 1):
            pair = levels[index : index + 2]
            quad = np.concatenate([self.flank(side, pair, zeros), self.flank(side, pair[::-1], ones)])
            base = TRIM if pair[1] < low + 0.1 else self.paint
            self.canvas.polygon(quad, np.asarray(base, np.float64) * shade[index])
        self.side_windows(side, shade=float(shade[len(levels) // 2]))
        if body.cargo is not None:
            self.cargo_side(side, float(self.shade(outward)))
        for depth in body.depths(self.vehicle.facing):
            self.wheel(side, depth)

    def side_windows(self, side: float, shade: float) -> None:
        """Side windows between the pillars, and the lines of the doors."""
        body = self.vehicle.body
        top = float(self.end.height[-1])
        high = top - 0.10 if body.kind != "bus" else top - 0.55
        if body.kind == "truck":
            panes = [(0.05, 0.15)] if self.vehicle.facing == "front" else [(0.85, 0.95)]
            high = body.belt + 0.62
        elif body.kind == "bus":
            edges = np.linspace(0.02, 0.97, 7)
            panes = [(a + 0.008, b - 0.008) for a, b in itertools.pairwise(edges)]
        elif body.kind == "van":
            panes = [(0.06, 0.30), (0.33, 0.62), (0.65, 0.93)]
        else:
            panes = [(0.07, 0.46), (0.50, 0.90)]
        glass = np.array(GLASS) * (1.0 if self.canvas.night else 1.5)
        for start, stop in panes:
            shares = np.array([start, start, stop, stop])
            heights = np.array([body.belt + 0.04, high, high, body.belt + 0.04])
            self.canvas.polygon(self.flank(side, heights, shares), glass)
            bright = heights - np.array([0, (high - body.belt) * 0.55, (high - body.belt) * 0.55, 0])
            self.canvas.polygon(self.flank(side, bright, shares), glass * 0.72)
        if body.kind in ("car", "van") and self.pixels > 60:
            for share in (0.24, 0.48, 0.72):
                ends = self.flank(side, np.array([0.35, body.belt]), np.array([share, share]))
                self.canvas.draw.line(
                    flat(self.canvas.camera.project(ends)), fill=rgb(self.paint * shade * 0.55), width=2
                )

    def cargo_side(self, side: float, shade: float) -> None:
        """The flank of the cargo box, with reflecting marks along its foot."""
        body = self.vehicle.body
        if body.cargo is None:
            return
        cab, low, high = body.cargo
        start, stop = (cab + 0.08, body.length) if self.vehicle.facing == "front" else (0.0, body.length - cab - 0.08)
        half = float(self.far.half.max() if self.vehicle.facing == "front" else self.end.half.max())
        steps = np.linspace(low, high, 7)
        for index in range(6):
            quad = np.array(
                [[side * half, steps[index], start], [side * half, steps[index], stop],
                 [side * half, steps[index + 1], stop], [side * half, steps[index + 1], start]]
            )  # fmt: skip
            self.canvas.polygon(self.vehicle.pose.place(quad), self.cargo * shade * (0.88 + 0.04 * index))
        for mark in np.arange(start + 0.3, stop - 0.3, 0.9):
            quad = np.array(
                [[side * half, low + 0.05, mark], [side * half, low + 0.05, mark + 0.3],
                 [side * half, low + 0.12, mark + 0.3], [side * half, low + 0.12, mark]]
            )  # fmt: skip
            self.canvas.polygon(self.vehicle.pose.place(quad), (206, 60, 48) if int(mark * 10) % 2 else (222, 222, 216))

    def wheel(self, side: float, z: float) -> None:
        """A wheel in its arch on a flank."""
        body = self.vehicle.body
        half = float(self.end.half.max()) - 0.02
        angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
        for radius, colour in (
            (body.wheel * 1.18, (16, 16, 18)),
            (body.wheel, RUBBER),
            (body.wheel * 0.66, (150, 152, 156)),
            (body.wheel * 0.50, (92, 94, 98)),
            (body.wheel * 0.16, (160, 162, 166)),
        ):
            ring = np.stack(
                [np.full(20, side * half), body.wheel + radius * np.sin(angles), z + radius * np.cos(angles)], axis=-1
            )
            ring[:, 1] = np.maximum(ring[:, 1], 0.0)
            self.canvas.polygon(self.vehicle.pose.place(ring), colour)

    def roof(self) -> None:
        """The roof, which only a camera above it sees."""
        near, far, length = self.end, self.far, self.vehicle.body.length
        top = float(near.height[-1])
        if self.canvas.camera.height <= top:
            return
        corners = np.array(
            [
                [-near.half[-1], top, near.back[-1]],
                [near.half[-1], top, near.back[-1]],
                [far.half[-1], top, length - far.back[-1]],
                [-far.half[-1], top, length - far.back[-1]],
            ]
        )
        self.canvas.polygon(self.vehicle.pose.place(corners), self.paint * float(self.shade(np.array([0.0, 1.0, 0.0]))))

    def tyres(self) -> None:
        """The tyres seen below the near end."""
        body = self.vehicle.body
        half = float(self.end.half.max())
        depths = sorted(body.depths(self.vehicle.facing))
        wide = 0.2 if body.kind in ("car", "van") else 0.3
        underside = np.array(
            [[-half, 0.08, depths[0]], [half, 0.08, depths[0]],
             [half, self.end.height[0] + 0.1, 0.25], [-half, self.end.height[0] + 0.1, 0.25]]
        )  # fmt: skip
        self.canvas.polygon(self.vehicle.pose.place(underside), (14, 14, 15))
        for depth in reversed(depths):
            for side in (-1, 1):
                outer, inner = side * (half - 0.05), side * (half - 0.05 - wide)
                tyre = np.array(
                    [[outer, 0.0, depth], [inner, 0.0, depth],
                     [inner, body.wheel * 1.5, depth - 0.1], [outer, body.wheel * 1.5, depth - 0.1]]
                )  # fmt: skip
                self.canvas.polygon(self.vehicle.pose.place(tyre), RUBBER)

    def screen(self) -> None:
        """Windscreen or rear window: dark glass with the sky in its upper part and people or seats behind it."""
        low, high = self.end.glass
        if high <= low:
            return
        bands = 12 if self.pixels > 60 else 6
        edges = np.linspace(low, high, bands + 1)
        inset = 0.90 if self.vehicle.body.kind in ("car", "van") else 0.94

        def band(bottom: float, top: float, left: float = -1.0, right: float = 1.0) -> Array:
            halves = np.interp([bottom, top], self.end.height, self.end.half) * inset
            return np.array(
                [
                    [left * halves[0], bottom],
                    [right * halves[0], bottom],
                    [right * halves[1], top],
                    [left * halves[1], top],
                ]
            )

        rim = 0.022
        self.patch(band(low - rim, high + rim), TRIM)
        sky = np.array([150, 168, 186]) if not self.canvas.night else np.array([52, 56, 66])
        for index in range(bands):
            blend = 0.10 + 0.55 * (index / (bands - 1)) ** 2
            self.patch(band(edges[index], edges[index + 1]), np.array(GLASS) * (1 - blend) + sky * blend)
        if self.pixels > 45 and self.vehicle.body.kind in ("car", "van"):
            self.people(low, high)
        if self.vehicle.facing == "front" and self.pixels > 90:
            span = (high - low) * 0.5
            for side in (-1, 1):
                wiper = self.on_end(
                    np.array([[side * 0.08 - 0.05, low + 0.01], [side * 0.2 + 0.28, low + span * 0.35]])
                )
                self.canvas.draw.line(
                    flat(self.canvas.camera.project(wiper)), fill=(14, 14, 16), width=max(1, int(self.pixels * 0.012))
                )

    def people(self, low: float, high: float) -> None:
        """Heads and head-rests behind the glass."""
        span = high - low
        dark = np.array([22, 22, 25])
        half = float(np.interp(low + span * 0.4, self.end.height, self.end.half))
        for side in (-1, 1):
            x = side * half * 0.46
            rest = rounded(x - half * 0.15, low + span * 0.2, x + half * 0.15, low + span * 0.56, 0.06)
            self.patch(rest, dark)
            trunk = np.array(
                [
                    [x - half * 0.28, low],
                    [x + half * 0.28, low],
                    [x + half * 0.2, low + span * 0.3],
                    [x - half * 0.2, low + span * 0.3],
                ]
            )
            self.patch(trunk, dark + 4)
        if self.vehicle.facing == "front":
            x = half * 0.46
            skin = np.array([150, 112, 90]) * (0.35 if self.canvas.night else 0.72)
            self.patch(ellipse(x, low + span * 0.5, half * 0.12, span * 0.19), skin)

    def mirrors(self) -> None:
        """The two mirrors."""
        body = self.vehicle.body
        if body.kind == "bus":
            return
        depth = mirror_depth(body, self.vehicle.facing)
        height = body.belt + 0.1
        half = float(self.end.half.max()) - 0.04
        for side in (-1, 1):
            inner, outer = half - (0.25 if self.vehicle.facing == "rear" else 0.08), half + MIRROR
            tall = 0.09 if body.kind in ("car", "van") else 0.2
            shape = rounded(inner, height - tall, outer, height + tall, 0.05)
            world = np.stack([side * shape[:, 0], shape[:, 1], np.full(len(shape), depth)], axis=-1)
            self.canvas.polygon(
                self.vehicle.pose.place(world), self.paint * 0.8 if body.kind == "car" else np.array(TRIM)
            )
