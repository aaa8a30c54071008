"""Painting a vehicle: shaded bodywork, glass, lamps, wheels, plate, and stickers that are no plates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from icr.data.synth.bodies import ACROSS, BEND, End
from icr.data.synth.camera import Array
from icr.data.synth.canvas import Canvas, flat, rgb
from icr.data.synth.layout import MIRROR, Vehicle, mirror_depth
from icr.data.synth.plates import Rgb, pick_colour, plate_face, plate_text, sign_face, warp

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
RED_LAMP: Rgb = (150, 22, 24)
AMBER: Rgb = (222, 138, 40)

SUN = np.array([-0.45, 0.75, -0.48])
"""Direction towards the sun, roughly behind the camera's left shoulder."""


@dataclass
class Painter:
    """One vehicle on one canvas."""

    canvas: Canvas
    vehicle: Vehicle
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self.end: End = self.vehicle.body.end(self.vehicle.facing)
        self.far: End = self.vehicle.body.end("rear" if self.vehicle.facing == "front" else "front")
        paints = {"bus": BUS_PAINTS, "truck": CAB_PAINTS}.get(self.vehicle.body.kind, PAINTS)
        jitter = self.rng.uniform(0.92, 1.06)
        self.paint = np.array(paints[int(self.rng.integers(len(paints)))], np.float64) * jitter
        self.cargo = np.array(BOX_PAINTS[int(self.rng.integers(len(BOX_PAINTS)))], np.float64) * jitter
        self.pixels = self.canvas.camera.focal / self.vehicle.z
        """Pixels of the sheets a metre at the near end."""

    # -- geometry -----------------------------------------------------------------------------------------------

    def on_end(self, outline: Array) -> Array:
        """World points of (N, 2) points on the near end: metres from the middle, height."""
        half = np.interp(outline[:, 1], self.end.height, self.end.half)
        return self.vehicle.place(self.end.at(outline[:, 0] / half, outline[:, 1]))

    def patch(self, outline: Array, colour: Rgb | Array) -> None:
        """Fill a polygon on the near end."""
        self.canvas.polygon(self.on_end(outline), colour)

    def lamp(self, outline: Array, colour: Rgb) -> None:
        """Light a polygon on the near end."""
        self.canvas.shine(self.on_end(outline), colour)

    # -- bodywork -----------------------------------------------------------------------------------------------

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
        self.mesh(self.vehicle.place(grid), colour)

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
        return self.vehicle.place(np.stack([side * half, height, start + (stop - start) * share], axis=-1))

    def seen_side(self, side: float) -> bool:
        """Whether the camera stands on the outer side of a flank."""
        pixels = self.canvas.camera.project(self.flank(side, np.array([0.5, 0.5, 1.0]), np.array([0.0, 0.5, 0.0])))
        first, second = pixels[1] - pixels[0], pixels[2] - pixels[0]
        return bool((first[0] * second[1] - first[1] * second[0]) * side < 0)

    def side(self, side: float) -> None:
        """A flank with windows, wheels, door lines and a cargo box, if the camera sees it."""
        if not self.seen_side(side):
            return
        body, end = self.vehicle.body, self.end
        low, top = float(end.height[0]), float(end.height[-1])
        levels = np.union1d(np.linspace(low, top, 16), [body.belt])
        outward = self.vehicle.place(np.array([side, 0.0, 0.0])) - self.vehicle.place(np.zeros(3))
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
        for axle in body.axles:
            self.wheel(side, axle)

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
            panes = [(a + 0.008, b - 0.008) for a, b in zip(edges[:-1], edges[1:], strict=True)]
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
            self.canvas.polygon(self.vehicle.place(quad), self.cargo * shade * (0.88 + 0.04 * index))
        for mark in np.arange(start + 0.3, stop - 0.3, 0.9):
            quad = np.array(
                [[side * half, low + 0.05, mark], [side * half, low + 0.05, mark + 0.3],
                 [side * half, low + 0.12, mark + 0.3], [side * half, low + 0.12, mark]]
            )  # fmt: skip
            self.canvas.polygon(self.vehicle.place(quad), (206, 60, 48) if int(mark * 10) % 2 else (222, 222, 216))

    def wheel(self, side: float, axle: float) -> None:
        """A wheel in its arch on a flank."""
        body = self.vehicle.body
        z = axle if self.vehicle.facing == "front" else body.length - axle
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
            self.canvas.polygon(self.vehicle.place(ring), colour)

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
        self.canvas.polygon(self.vehicle.place(corners), self.paint * float(self.shade(np.array([0.0, 1.0, 0.0]))))

    def tyres(self) -> None:
        """The tyres seen below the near end."""
        body = self.vehicle.body
        half = float(self.end.half.max())
        axles = body.axles if self.vehicle.facing == "front" else tuple(body.length - axle for axle in body.axles)
        depths = sorted(axles)
        wide = 0.2 if body.kind in ("car", "van") else 0.3
        underside = np.array(
            [[-half, 0.08, depths[0]], [half, 0.08, depths[0]],
             [half, self.end.height[0] + 0.1, 0.25], [-half, self.end.height[0] + 0.1, 0.25]]
        )  # fmt: skip
        self.canvas.polygon(self.vehicle.place(underside), (14, 14, 15))
        for depth in reversed(depths):
            for side in (-1, 1):
                outer, inner = side * (half - 0.05), side * (half - 0.05 - wide)
                tyre = np.array(
                    [[outer, 0.0, depth], [inner, 0.0, depth],
                     [inner, body.wheel * 1.5, depth - 0.1], [outer, body.wheel * 1.5, depth - 0.1]]
                )  # fmt: skip
                self.canvas.polygon(self.vehicle.place(tyre), RUBBER)

    # -- what is on the near end --------------------------------------------------------------------------------

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

    def details(self) -> None:
        """Lamps, grille, bumper and plate, by kind."""
        kind, facing = self.vehicle.body.kind, self.vehicle.facing
        {
            ("car", "front"): self.car_front,
            ("car", "rear"): self.car_rear,
            ("van", "front"): self.car_front,
            ("van", "rear"): self.van_rear,
            ("truck", "front"): self.truck_front,
            ("truck", "rear"): self.truck_rear,
            ("bus", "front"): self.bus_front,
            ("bus", "rear"): self.bus_rear,
        }[kind, facing]()

    def level(self, share: float) -> float:
        """A height between the bottom of the near end (0) and its belt (1)."""
        return float(self.end.height[0] + (self.vehicle.body.belt - self.end.height[0]) * share)

    def half_at(self, height: float) -> float:
        """Half width of the near end at a height."""
        return float(np.interp(height, self.end.height, self.end.half))

    def car_front(self) -> None:
        """Grille, headlamps, fog lamps and the dark mouth of the bumper."""
        rng = self.rng
        lamp_low, lamp_high = self.level(0.60), self.level(0.78)
        half = self.half_at(lamp_low)
        reach = float(rng.uniform(0.52, 0.62)) * half
        grille_low, grille_high = self.level(0.50), self.level(float(rng.uniform(0.74, 0.80)))
        wide = float(rng.uniform(0.40, 0.52)) * half
        self.patch(rounded(-wide, grille_low, wide, grille_high, 0.3), (20, 20, 22))
        if self.pixels > 50:
            for share in np.linspace(0.2, 0.85, 4):
                y = grille_low + (grille_high - grille_low) * share
                self.patch(box(-wide * 0.94, y - 0.008, wide * 0.94, y + 0.008), (86, 88, 92))
        badge = (grille_low + grille_high) / 2
        self.patch(ellipse(0.0, badge, 0.055, 0.045), (188, 190, 194))
        mouth = float(rng.uniform(0.62, 0.72)) * half
        self.patch(
            np.array(
                [
                    [-mouth, self.level(0.10)],
                    [mouth, self.level(0.10)],
                    [mouth * 0.86, self.level(0.36)],
                    [-mouth * 0.86, self.level(0.36)],
                ]
            ),
            (24, 25, 27),
        )
        for side in (-1, 1):
            shape = np.array(
                [[side * reach, lamp_low + 0.02], [side * half * 0.97, lamp_low + 0.03],
                 [side * half * 0.98, lamp_high], [side * reach * 1.12, lamp_high - 0.02]]
            )  # fmt: skip
            self.patch(shape, (58, 62, 68))
            self.patch(shrunk(shape, 0.86), (206, 212, 220))
            eye = ellipse(side * (reach + half) / 2, (lamp_low + lamp_high) / 2, 0.055, 0.05)
            self.patch(eye, (240, 243, 248))
            fog = ellipse(side * half * 0.80, self.level(0.22), 0.07, 0.05)
            self.patch(fog, (44, 45, 48))
            self.patch(shrunk(fog, 0.6), (170, 174, 180))
            if self.canvas.night:
                self.lamp(shrunk(shape, 0.8), (150, 148, 138))
                self.lamp(ellipse(side * (reach + half) / 2, (lamp_low + lamp_high) / 2, 0.085, 0.075), (255, 250, 236))
        self.plate(frame=float(rng.random()) < 0.35)

    def car_rear(self) -> None:
        """Tail lamps, the lid's seam, a bright strip or badge, the dark foot of the bumper."""
        rng, body = self.rng, self.vehicle.body
        tall = body.style != "sedan"
        lamp_low, lamp_high = (self.level(0.62), self.level(0.92)) if tall else (self.level(0.66), self.level(0.88))
        half = self.half_at(lamp_low)
        reach = float(rng.uniform(0.56, 0.70)) * half
        bumper = self.level(0.44)
        self.patch(box(-half * 0.98, bumper - 0.008, half * 0.98, bumper + 0.008), self.paint * 0.45)
        self.patch(
            np.array(
                [
                    [-half * 0.8, self.level(0.02)],
                    [half * 0.8, self.level(0.02)],
                    [half * 0.72, self.level(0.17)],
                    [-half * 0.72, self.level(0.17)],
                ]
            ),
            TRIM,
        )
        height, _ = self.end.plate
        recess = box(-0.36, height - 0.12, 0.36, height + 0.12)
        self.patch(recess, self.paint * 0.72)
        if rng.random() < 0.5:
            self.patch(box(-0.34, height + 0.115, 0.34, height + 0.145), (186, 188, 192))
        if rng.random() < 0.3:
            bar = self.level(0.80)
            self.patch(box(-reach, bar - 0.02, reach, bar + 0.02), RED_LAMP)
        for side in (-1, 1):
            shape = np.array(
                [[side * reach, lamp_low + 0.03], [side * half * 0.985, lamp_low],
                 [side * half * 0.985, lamp_high], [side * reach * 1.06, lamp_high - 0.01]]
            )  # fmt: skip
            self.patch(shape, (92, 12, 16))
            self.patch(shrunk(shape, 0.84), RED_LAMP)
            middle = (lamp_low + lamp_high) / 2
            self.patch(box(side * half * 0.80, middle - 0.02, side * half * 0.94, middle + 0.025), AMBER)
            reflector = box(side * half * 0.62, self.level(0.21), side * half * 0.84, self.level(0.26))
            self.patch(reflector, (140, 26, 26))
            self.tail_light(shrunk(shape, 0.9))
        exhaust = side_sign(rng)
        self.patch(ellipse(exhaust * half * 0.55, self.level(0.03), 0.05, 0.03), (112, 114, 118))
        low, high = self.end.glass
        self.brake_light(high - 0.02)
        self.sticker(low, high)
        self.plate(frame=float(rng.random()) < 0.3)

    def tail_light(self, shape: Array) -> None:
        """Light a tail lamp: always at night, and by day when the brakes are on."""
        braking = self.braking
        if self.canvas.night:
            self.lamp(shape, (205, 30, 26) if braking else (130, 14, 14))
        elif braking:
            self.lamp(shape, (95, 10, 8))

    @property
    def braking(self) -> bool:
        """Whether the brake lamps are on, the same for all lamps of a vehicle."""
        return int(self.vehicle.x * 1000 + self.vehicle.z * 1000) % 3 == 0

    def brake_light(self, height: float) -> None:
        """The third brake lamp, a red strip under the roof."""
        strip = box(-0.16, height - 0.02, 0.16, height + 0.02)
        self.patch(strip, (110, 18, 20))
        if self.braking:
            self.lamp(strip, (230, 40, 30) if self.canvas.night else (120, 10, 10))

    def sticker(self, low: float, high: float) -> None:
        """Perhaps a sticker in the rear window or on the lid: a small bright rectangle that is no plate."""
        if self.rng.random() > self.lures:
            return
        palette: tuple[tuple[Rgb, Rgb], ...] = (
            ((228, 190, 40), (30, 28, 20)), ((226, 228, 230), (160, 40, 40)), ((30, 110, 70), (235, 238, 236)),
            ((40, 80, 170), (236, 238, 240)),
        )  # fmt: skip
        ground, ink = palette[int(self.rng.integers(len(palette)))]
        word = str(self.rng.choice(["BABY", "SALE", "4x4", "TAXI", "VIP", "GO", "SOS"]))
        x = float(self.rng.uniform(-0.45, 0.45))
        height = float(self.rng.uniform(low + 0.08, max(high - 0.1, low + 0.09)))
        self.board(x, height, float(self.rng.uniform(0.14, 0.26)), 0.10, sign_face((96, 44), word, ground, ink))

    lures: float = 0.0

    def board(self, x: float, height: float, wide: float, tall: float, face: Image.Image, lit: float = 0.0) -> None:
        """Lay a face on the near end, its middle at `x` metres and a height."""
        outline = np.array([[-wide / 2, tall / 2], [wide / 2, tall / 2], [wide / 2, -tall / 2], [-wide / 2, -tall / 2]])
        quad = self.canvas.camera.project(self.on_end(outline + np.array([x, height])))
        warp(self.canvas.image, face, quad)
        if lit and self.canvas.night:
            warp(self.canvas.glow, face.point(lambda value: int(value * lit)), quad)

    def van_rear(self) -> None:
        """Two doors, upright lamps at the corners, a black bumper."""
        half = self.half_at(self.level(0.6))
        self.patch(box(-half, self.level(0.02), half, self.level(0.20)), (44, 45, 48))
        low, high = self.end.glass
        line = self.on_end(np.array([[0.0, self.level(0.2)], [0.0, high + 0.1]]))
        self.canvas.draw.line(flat(self.canvas.camera.project(line)), fill=rgb(self.paint * 0.4), width=2)
        for side in (-1, 1):
            shape = box(side * half * 0.86, self.level(0.55), side * half * 0.985, low + 0.12)
            self.patch(shape, RED_LAMP)
            self.patch(box(side * half * 0.87, self.level(0.78), side * half * 0.975, self.level(0.9)), AMBER)
            self.tail_light(shape)
        self.brake_light(high + 0.06)
        self.sticker(low - 0.4, low - 0.1)
        self.plate(frame=bool(self.rng.random() < 0.3))

    def truck_front(self) -> None:
        """A flat cab: visor, grille, low lamps, mirrors on arms."""
        half = self.half_at(1.0)
        _, high = self.end.glass
        self.patch(rounded(-half * 0.62, 0.88, half * 0.62, 1.22, 0.1), (34, 35, 38))
        for y in np.linspace(0.93, 1.17, 5):
            self.patch(box(-half * 0.60, y - 0.012, half * 0.60, y + 0.012), (120, 122, 126))
        self.patch(box(-half * 0.98, 0.44, half * 0.98, 0.76), np.array([70, 72, 76]))
        self.patch(box(-half * 0.92, high + 0.04, half * 0.92, high + 0.16), np.array([38, 40, 44]))
        for side in (-1, 1):
            lamp = box(side * half * 0.62, 0.52, side * half * 0.92, 0.70)
            self.patch(lamp, (200, 206, 212))
            self.patch(box(side * half * 0.92, 0.54, side * half * 0.985, 0.68), AMBER)
            if self.canvas.night:
                self.lamp(ellipse(side * half * 0.76, 0.61, 0.11, 0.09), (255, 248, 230))
        if self.rng.random() < self.lures:
            word = str(self.rng.choice(["DONGFENG", "CARGO", "FAST", "JIEFANG"]))
            self.board(0.0, 1.29, 0.8, 0.11, sign_face((200, 30), word, (210, 212, 214), (60, 62, 66)))
        self.plate(frame=False)

    def truck_rear(self) -> None:
        """Two box doors with bars, red and white marks, an underrun bar with lamps."""
        half = self.half_at(2.0)
        top, foot = float(self.end.height[-1]) - 0.1, 0.95
        for x in (-half * 0.97, -half * 0.5, half * 0.5, half * 0.97):
            self.patch(box(x - 0.025, foot, x + 0.025, top), self.cargo * 0.72)
        self.patch(box(-0.012, foot, 0.012, top), self.cargo * 0.35)
        for y in (1.35, 2.6):
            for x in (-half * 0.95, half * 0.95):
                self.patch(box(x - 0.06, y - 0.05, x + 0.06, y + 0.05), self.cargo * 0.5)
        for index, x in enumerate(np.arange(-half * 0.95, half * 0.8, 0.24)):
            colour: Rgb = (202, 44, 38) if index % 2 else (228, 228, 222)
            self.patch(box(float(x), foot + 0.02, float(x) + 0.2, foot + 0.10), colour)
        self.patch(box(-half * 0.94, 0.60, half * 0.94, 0.84), (60, 61, 64))
        for side in (-1, 1):
            shape = box(side * half * 0.62, 0.66, side * half * 0.90, 0.79)
            self.patch(shape, RED_LAMP)
            self.patch(box(side * half * 0.62, 0.66, side * half * 0.71, 0.79), AMBER)
            self.tail_light(shape)
        if self.rng.random() < self.lures + 0.1:
            # Trucks in China carry their number once more, large, on the box: letters that are no plate.
            text = plate_text("yellow", self.rng)
            ground = rgb(self.cargo)
            self.board(0.0, 1.62, 1.7, 0.34, sign_face((240, 48), text, ground, (56, 58, 64)))
        self.plate(frame=False)

    def bus_front(self) -> None:
        """A tall screen, a lit route display, low lamps."""
        half = self.half_at(1.0)
        _, high = self.end.glass
        face = sign_face(
            (260, 40), f"{int(self.rng.integers(1, 999))} {self.rng.choice(['CENTRAL', 'STATION', 'AIRPORT', 'HARBOUR'])}",
            (18, 18, 20), (250, 176, 48),
        )  # fmt: skip
        self.patch(box(-half * 0.86, high + 0.06, half * 0.86, high + 0.40), (18, 18, 20))
        self.board(0.0, high + 0.23, half * 1.5, 0.26, face, lit=0.9)
        self.patch(box(-half * 0.97, 0.44, half * 0.97, 0.50), TRIM)
        self.patch(rounded(-half * 0.4, 0.76, half * 0.4, 0.92, 0.05), (40, 41, 44))
        for side in (-1, 1):
            lamp = ellipse(side * half * 0.76, 0.72, 0.16, 0.10)
            self.patch(lamp, (206, 212, 218))
            self.patch(box(side * half * 0.92, 0.64, side * half * 0.98, 0.80), AMBER)
            if self.canvas.night:
                self.lamp(ellipse(side * half * 0.76, 0.72, 0.12, 0.08), (255, 250, 236))
        self.plate(frame=False)

    def bus_rear(self) -> None:
        """A small rear window, the engine's grille, stacked lamps, an advertisement."""
        half = self.half_at(1.0)
        self.patch(rounded(-half * 0.66, 0.90, half * 0.66, 1.46, 0.05), (48, 50, 54))
        for y in np.linspace(0.98, 1.38, 6):
            self.patch(box(-half * 0.62, y - 0.015, half * 0.62, y + 0.015), (90, 92, 96))
        for side in (-1, 1):
            for foot, colour in ((0.95, RED_LAMP), (1.18, AMBER), (1.40, RED_LAMP)):
                self.patch(ellipse(side * half * 0.86, foot, 0.10, 0.09), colour)
            self.tail_light(ellipse(side * half * 0.86, 0.95, 0.10, 0.09))
            self.tail_light(ellipse(side * half * 0.86, 1.40, 0.10, 0.09))
        if self.rng.random() < self.lures + 0.2:
            number = str(int(self.rng.integers(1, 999)))
            self.board(
                -half * 0.55,
                self.end.glass[1] + 0.2,
                0.5,
                0.22,
                sign_face((90, 40), number, (18, 18, 20), (250, 120, 40)),
                lit=0.8,
            )
        self.plate(frame=False)

    def plate(self, frame: bool) -> None:
        """The plate itself, exactly where the label says."""
        vehicle, rng = self.vehicle, self.rng
        colour = pick_colour(vehicle.body.kind, rng)
        face = plate_face(colour, plate_text(colour, rng), rng)
        dirt = float(rng.uniform(0.82, 1.04)) * (0.92 if self.canvas.night else 1.0)
        face = face.point(lambda value: min(255, int(value * dirt)))
        quad = vehicle.quad * (self.canvas.camera.focal / self.focal)
        if frame:
            middle = quad.mean(axis=0)
            self.canvas.draw.polygon(flat(middle + (quad - middle) * np.array([1.05, 1.16])), fill=(26, 26, 28))
        warp(self.canvas.image, face, quad)
        if self.canvas.night:
            # The plate's own lamp, or our beam thrown back.
            gain = float(rng.uniform(0.10, 0.28)) * (1.0 if vehicle.facing == "rear" else 0.7)
            warp(self.canvas.glow, face.point(lambda value: int(value * gain)), quad)

    focal: float = 1.0

    def mirrors(self) -> None:
        """The two mirrors."""
        body = self.vehicle.body
        if body.kind == "bus":
            return
        depth = mirror_depth(body, self.vehicle.facing)
        height = body.belt + 0.1
        half = float(self.end.half.max()) - 0.04
        for side in (-1, 1):
            inner, outer = half - 0.06, half + MIRROR
            tall = 0.09 if body.kind in ("car", "van") else 0.2
            shape = rounded(inner, height - tall, outer, height + tall, 0.05)
            world = np.stack([side * shape[:, 0], shape[:, 1], np.full(len(shape), depth)], axis=-1)
            self.canvas.polygon(self.vehicle.place(world), self.paint * 0.8 if body.kind == "car" else np.array(TRIM))


def paint_vehicle(canvas: Canvas, vehicle: Vehicle, focal: float, lures: float, rng: np.random.Generator) -> None:
    """Paint one vehicle; farther ones must have been painted before.

    Args:
        canvas: what to paint on.
        vehicle: what and where.
        focal: focal length of the layout's camera, whose pixels the vehicle's plate is in.
        lures: 0..1, how often it carries something that resembles a plate.
        rng: its own random numbers.
    """
    painter = Painter(canvas, vehicle, rng)
    painter.lures = lures
    painter.focal = focal
    canvas.black_out(vehicle.outline * (canvas.camera.focal / focal))
    painter.tyres()
    if vehicle.facing == "rear":
        painter.mirrors()
    painter.bodywork()
    painter.screen()
    if vehicle.facing == "front":
        painter.mirrors()
    painter.details()


def side_sign(rng: np.random.Generator) -> float:
    """-1 or 1."""
    return -1.0 if rng.random() < 0.5 else 1.0


def box(left: float, low: float, right: float, high: float) -> Array:
    """A rectangle (4, 2)."""
    return np.array([[left, low], [right, low], [right, high], [left, high]])


def ellipse(x: float, y: float, wide: float, tall: float) -> Array:
    """An ellipse (16, 2) about (x, y)."""
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    return np.stack([x + wide * np.cos(angles), y + tall * np.sin(angles)], axis=-1)


def rounded(left: float, low: float, right: float, high: float, radius: float) -> Array:
    """A rectangle with rounded corners (20, 2)."""
    radius = min(radius, (right - left) / 2, (high - low) / 2)
    points = []
    for x, y, start in (
        (right - radius, high - radius, 0.0),
        (left + radius, high - radius, 0.5),
        (left + radius, low + radius, 1.0),
        (right - radius, low + radius, 1.5),
    ):
        angles = np.pi * (start + np.linspace(0, 0.5, 5))
        points.append(np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=-1))
    return np.concatenate(points)


def shrunk(shape: Array, factor: float) -> Array:
    """A shape drawn in towards its middle."""
    middle = shape.mean(axis=0)
    return middle + (shape - middle) * factor
