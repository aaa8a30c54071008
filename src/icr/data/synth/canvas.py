"""A picture drawn twice as large as it will be, with its lamps on a sheet of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from icr.data.synth.camera import Array, Camera
from icr.data.synth.plates import Rgb

OVERSAMPLE = 2

HAZE_DISTANCE = 260.0


@dataclass
class Canvas:
    """The sheets a scene is drawn on, all `OVERSAMPLE` times as large as the picture.

    Attributes:
        image: what reflects light.
        glow: what gives light, on black; nearer things black out what lies behind them.
        camera: projects metres to pixels of these sheets.
        haze: the colour that far things fade to.
        night: whether lamps are lit.
    """

    image: Image.Image
    glow: Image.Image
    camera: Camera
    haze: Rgb
    night: bool

    def __post_init__(self) -> None:
        self.draw = ImageDraw.Draw(self.image)
        self.draw_glow = ImageDraw.Draw(self.glow)

    def faded(self, colour: Array, depth: Array | float) -> Array:
        """Colours (..., 3) as seen through `depth` metres of air."""
        veil = 1 - np.exp(-np.asarray(depth) / HAZE_DISTANCE)
        return np.asarray(colour + (np.array(self.haze) - colour) * np.asarray(veil)[..., None])

    def polygon(self, world: Array, colour: Rgb | Array) -> None:
        """Fill a polygon of world points (N, 3) of which at least one lies before the camera."""
        if world[:, 2].max() < 0.7:
            return
        fill = rgb(self.faded(np.asarray(colour, np.float64), float(world[:, 2].mean())))
        self.draw.polygon(flat(self.camera.project(world)), fill=fill)

    def polygons(self, worlds: Array, colours: Array) -> None:
        """Fill polygons of as many world points each (N, M, 3), all before the camera, with colours (N, 3)."""
        corners = self.camera.project(worlds)
        for points, colour in zip(corners, self.faded(colours, worlds[..., 2].mean(axis=1)), strict=True):
            self.draw.polygon(flat(points), fill=rgb(colour))

    def shine(self, world: Array, colour: Rgb) -> None:
        """Fill a polygon of world points (N, 3) on the sheet of lamps."""
        self.draw_glow.polygon(flat(self.camera.project(world)), fill=colour)

    def lit(self, low: Array, high: Array) -> bool:
        """Whether any lamp shines between two corners (2,) in pixels of the sheets."""
        if not self.night:
            return False
        edge = np.array(self.glow.size)
        left, top = np.clip(np.floor(low) - 1, 0, edge).astype(int).tolist()
        right, bottom = np.clip(np.ceil(high) + 2, 0, edge).astype(int).tolist()
        return right > left and bottom > top and self.glow.crop((left, top, right, bottom)).getbbox() is not None

    def black_out(self, outline: Array) -> None:
        """Hide the lamps behind an outline (N, 2) in pixels of the sheets."""
        self.draw_glow.polygon(flat(outline), fill=(0, 0, 0))


def rgb(colour: Array) -> Rgb:
    """A colour for Pillow."""
    red, green, blue = (int(min(max(value + 0.5, 0.0), 255.0)) for value in np.asarray(colour).tolist())
    return red, green, blue


def flat(points: Array) -> list[float]:
    """Points (N, 2) for Pillow: x and y in turn."""
    numbers: list[float] = np.minimum(np.maximum(points, -30000), 30000).ravel().tolist()
    return numbers
