"""Painting a vehicle from back to front."""

from __future__ import annotations

import numpy as np

from icr.data.synth.canvas import Canvas
from icr.data.synth.coachwork import Coachwork
from icr.data.synth.fittings import FITTINGS
from icr.data.synth.riding import paint_motorcycle
from icr.data.synth.scene import Vehicle


def paint_vehicle(canvas: Canvas, vehicle: Vehicle, focal: float, lures: float, rng: np.random.Generator) -> None:
    """Paint one vehicle; farther ones must have been painted before.

    Args:
        canvas: what to paint on.
        vehicle: what and where.
        focal: focal length of the layout's camera, whose pixels the vehicle's plate is in.
        lures: 0..1, how often it carries something that resembles a plate.
        rng: its own random numbers.
    """
    if vehicle.body.kind == "motorcycle":
        paint_motorcycle(canvas, vehicle, focal, rng)
        return
    work = Coachwork(canvas, vehicle, rng, lures, focal)
    canvas.black_out(vehicle.outline * (canvas.camera.focal / focal))
    work.tyres()
    if vehicle.facing == "rear":
        work.mirrors()
    work.bodywork()
    work.screen()
    if vehicle.facing == "front":
        work.mirrors()
    FITTINGS[vehicle.body.kind, vehicle.facing](work)
