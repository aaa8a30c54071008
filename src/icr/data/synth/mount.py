"""Putting a plate onto its vehicle, exactly where the label says."""

from __future__ import annotations

import numpy as np
from PIL import Image

from icr.data.synth.bodies import MOTORCYCLE_REAR, TWO_LINES
from icr.data.synth.canvas import Canvas, flat
from icr.data.synth.plates import pick_colour, plate_face, plate_text, two_line_face, warp
from icr.data.synth.scene import Vehicle


def mount_plate(canvas: Canvas, vehicle: Vehicle, focal: float, frame: bool, rng: np.random.Generator) -> None:
    """Paint a vehicle's plate; with `frame` in a dark frame that stands out a little around the label's box."""
    face = face_of(vehicle, rng)
    dirt = float(rng.uniform(0.82, 1.04)) * (0.92 if canvas.night else 1.0)
    face = face.point(lambda value: min(255, int(value * dirt)))
    quad = vehicle.quad * (canvas.camera.focal / focal)
    if frame:
        middle = quad.mean(axis=0)
        canvas.draw.polygon(flat(middle + (quad - middle) * np.array([1.05, 1.16])), fill=(26, 26, 28))
    warp(canvas.image, face, quad)
    if canvas.night:
        # The plate's own lamp, or our beam thrown back.
        gain = float(rng.uniform(0.10, 0.28)) * (1.0 if vehicle.facing == "rear" else 0.7)
        warp(canvas.glow, face.point(lambda value: int(value * gain)), quad)


def face_of(vehicle: Vehicle, rng: np.random.Generator) -> Image.Image:
    """The face of a vehicle's plate, RGB, of the design that its size says."""
    size = vehicle.body.end(vehicle.facing).plate_size
    colour = pick_colour(vehicle.body.kind, rng)
    if size == TWO_LINES:
        return two_line_face("yellow", plate_text("yellow", rng), rng, size[1] / size[0])
    if size == MOTORCYCLE_REAR:
        return two_line_face(colour, plate_text(colour, rng), rng, size[1] / size[0], width=200)
    return plate_face(colour, plate_text(colour, rng), rng)
