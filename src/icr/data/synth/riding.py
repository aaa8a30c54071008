"""Painting a motorcycle and the people on it."""

from __future__ import annotations

import numpy as np

from icr.data.synth.bodies import Facing
from icr.data.synth.camera import Array, hull
from icr.data.synth.canvas import Canvas, flat, rgb
from icr.data.synth.motorcycles import Part, Tint, parts, spread
from icr.data.synth.mount import mount_plate
from icr.data.synth.plates import Rgb
from icr.data.synth.scene import Vehicle

PAINTS: tuple[Rgb, ...] = (
    (168, 36, 34), (34, 58, 112), (36, 38, 42), (222, 222, 220), (58, 92, 142), (196, 160, 52), (60, 78, 66),
)  # fmt: skip
JACKETS: tuple[Rgb, ...] = (
    (44, 48, 56), (96, 40, 42), (52, 74, 108), (92, 98, 72), (176, 172, 164), (206, 132, 44), (60, 62, 66),
    (150, 62, 84), (226, 206, 60),
)  # fmt: skip
TROUSERS: tuple[Rgb, ...] = ((40, 44, 56), (56, 66, 90), (74, 70, 62), (34, 34, 36), (110, 104, 92))
HELMETS: tuple[Rgb, ...] = (
    (228, 228, 226), (36, 38, 42), (172, 40, 38), (206, 172, 48), (48, 84, 148), (120, 124, 130), (216, 140, 160),
)  # fmt: skip
FIXED: dict[Tint, Rgb] = {
    "dark": (34, 35, 38), "metal": (128, 130, 134), "tyre": (26, 26, 28), "rim": (84, 86, 90), "lens": (214, 220, 226),
    "tail": (158, 26, 26), "shoes": (38, 36, 34), "skin": (178, 136, 110), "hair": (30, 26, 24), "visor": (30, 36, 44),
    "glass": (120, 134, 148),
}  # fmt: skip

LIGHT = np.array([-0.30, -0.34])
"""Where a rounded part is lighter: this share of its radius to the right and down in the picture."""


def paint_motorcycle(canvas: Canvas, vehicle: Vehicle, focal: float, rng: np.random.Generator) -> None:
    """Paint a motorcycle, its riders and its plate; farther vehicles must have been painted before.

    Args:
        canvas: what to paint on.
        vehicle: what and where.
        focal: focal length of the layout's camera, whose pixels the vehicle's plate is in.
        rng: its own random numbers.
    """
    canvas.black_out(vehicle.outline * (canvas.camera.focal / focal))
    tints = _tints(len(vehicle.body.people), rng)
    place = vehicle.pose.place
    every = parts(vehicle.body, vehicle.facing)
    depths = [float(place(part.centres)[:, 2].mean()) - part.order for part in every]
    circles = spread(every, place, canvas.camera)
    for number in sorted(range(len(every)), key=lambda number: -depths[number]):
        part, shape = every[number], flat(hull(circles[number]))
        colour = np.array(tints[part.owner].get(part.tint, FIXED.get(part.tint, (128, 128, 128))), np.float64)
        _round(canvas, part, circles[number], shape, colour, depths[number])
        if canvas.night:
            canvas.draw_glow.polygon(shape, fill=_lamp(part, vehicle.facing))
    mount_plate(canvas, vehicle, focal, bool(rng.random() < 0.3), rng)


def _tints(people: int, rng: np.random.Generator) -> dict[int, dict[Tint, Rgb]]:
    """Colours of the machine (-1) and of each person on it."""

    def pick(colours: tuple[Rgb, ...]) -> Rgb:
        return colours[int(rng.integers(len(colours)))]

    tints: dict[int, dict[Tint, Rgb]] = {-1: {"paint": pick(PAINTS)}}
    for number in range(people):
        tints[number] = {"jacket": pick(JACKETS), "trousers": pick(TROUSERS), "helmet": pick(HELMETS)}
    return tints


def _round(canvas: Canvas, part: Part, outline: Array, shape: list[float], colour: Array, depth: float) -> None:
    """Fill a part, darker below and lighter where the sky lights it."""
    strength = 0.62 if canvas.night else 1.0
    canvas.draw.polygon(shape, fill=rgb(canvas.faded(colour * 0.72 * strength, depth)))
    radius = float(part.radii.max()) * canvas.camera.focal / max(depth, 0.6)
    if radius < 3 or part.tint in ("tyre", "rim", "glass"):
        return
    circles = outline.reshape(len(part.radii), -1, 2)
    middles = circles.mean(axis=1, keepdims=True)
    reach = np.abs(circles - middles).max(axis=(1, 2), keepdims=True)
    layers = ((0.78, 0.5, 0.90), (0.5, 1.0, 1.06)) if radius > 8 else ((0.66, 0.8, 0.98),)
    for size, shift, shade in layers:
        lit = hull((middles + (circles - middles) * size + LIGHT * reach * shift * (1 - size)).reshape(-1, 2))
        canvas.draw.polygon(flat(lit), fill=rgb(canvas.faded(colour * shade * strength, depth)))
    if part.tint in ("helmet", "visor") and radius > 6:
        middle, size = middles[0, 0], float(reach[0, 0, 0])
        x, y = (middle + LIGHT * size * 1.5).tolist()
        glint = size * 0.16
        white = rgb(canvas.faded(np.minimum(colour * 0.5 + 140, 255) * strength, depth))
        canvas.draw.ellipse((x - glint, y - glint * 0.8, x + glint, y + glint * 0.8), fill=white)


def _lamp(part: Part, facing: Facing) -> Rgb:
    """The light of a part at night: of a lamp that faces the camera, or none, which hides what lies behind."""
    if part.tint == "lens" and facing == "front":
        return (255, 250, 236)
    if part.tint == "tail" and facing == "rear":
        return (150, 16, 16)
    return (0, 0, 0)
