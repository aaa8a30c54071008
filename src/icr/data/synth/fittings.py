"""What sits on the end of a vehicle: lamps, grille, bumper, plate, and lettering that is no plate; by kind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from icr.data.synth.bodies import Facing, Kind
from icr.data.synth.camera import Array
from icr.data.synth.canvas import flat, rgb
from icr.data.synth.coachwork import TRIM, Coachwork
from icr.data.synth.mount import mount_plate
from icr.data.synth.plates import Rgb, plate_text, sign_face
from icr.data.synth.shapes import box, ellipse, rounded, shrunk

RED_LAMP: Rgb = (150, 22, 24)
AMBER: Rgb = (222, 138, 40)


def car_front(work: Coachwork) -> None:
    """Grille, headlamps, fog lamps and the dark mouth of the bumper."""
    rng = work.rng
    lamp_low, lamp_high = work.level(0.60), work.level(0.78)
    half = work.half_at(lamp_low)
    reach = float(rng.uniform(0.52, 0.62)) * half
    grille_low, grille_high = work.level(0.50), work.level(float(rng.uniform(0.74, 0.80)))
    wide = float(rng.uniform(0.40, 0.52)) * half
    work.patch(rounded(-wide, grille_low, wide, grille_high, 0.3), (20, 20, 22))
    if work.pixels > 50:
        for share in np.linspace(0.2, 0.85, 4):
            y = grille_low + (grille_high - grille_low) * share
            work.patch(box(-wide * 0.94, y - 0.008, wide * 0.94, y + 0.008), (86, 88, 92))
    badge = (grille_low + grille_high) / 2
    work.patch(ellipse(0.0, badge, 0.055, 0.045), (188, 190, 194))
    mouth = float(rng.uniform(0.62, 0.72)) * half
    work.patch(
        np.array(
            [
                [-mouth, work.level(0.10)],
                [mouth, work.level(0.10)],
                [mouth * 0.86, work.level(0.36)],
                [-mouth * 0.86, work.level(0.36)],
            ]
        ),
        (24, 25, 27),
    )
    for side in (-1, 1):
        shape = np.array(
            [[side * reach, lamp_low + 0.02], [side * half * 0.97, lamp_low + 0.03],
             [side * half * 0.98, lamp_high], [side * reach * 1.12, lamp_high - 0.02]]
        )  # fmt: skip
        work.patch(shape, (58, 62, 68))
        work.patch(shrunk(shape, 0.86), (206, 212, 220))
        eye = ellipse(side * (reach + half) / 2, (lamp_low + lamp_high) / 2, 0.055, 0.05)
        work.patch(eye, (240, 243, 248))
        fog = ellipse(side * half * 0.80, work.level(0.22), 0.07, 0.05)
        work.patch(fog, (44, 45, 48))
        work.patch(shrunk(fog, 0.6), (170, 174, 180))
        if work.canvas.night:
            work.lamp(shrunk(shape, 0.8), (150, 148, 138))
            work.lamp(ellipse(side * (reach + half) / 2, (lamp_low + lamp_high) / 2, 0.085, 0.075), (255, 250, 236))
    plate(work, frame=float(rng.random()) < 0.35)


def car_rear(work: Coachwork) -> None:
    """Tail lamps, the lid's seam, a bright strip or badge, the dark foot of the bumper."""
    rng, body = work.rng, work.vehicle.body
    tall = body.style != "sedan"
    lamp_low, lamp_high = (work.level(0.62), work.level(0.92)) if tall else (work.level(0.66), work.level(0.88))
    half = work.half_at(lamp_low)
    reach = float(rng.uniform(0.56, 0.70)) * half
    bumper = work.level(0.44)
    work.patch(box(-half * 0.98, bumper - 0.008, half * 0.98, bumper + 0.008), work.paint * 0.45)
    work.patch(
        np.array(
            [
                [-half * 0.8, work.level(0.02)],
                [half * 0.8, work.level(0.02)],
                [half * 0.72, work.level(0.17)],
                [-half * 0.72, work.level(0.17)],
            ]
        ),
        TRIM,
    )
    height, _ = work.end.plate
    recess = box(-0.36, height - 0.12, 0.36, height + 0.12)
    work.patch(recess, work.paint * 0.72)
    if rng.random() < 0.5:
        work.patch(box(-0.34, height + 0.115, 0.34, height + 0.145), (186, 188, 192))
    if rng.random() < 0.3:
        bar = work.level(0.80)
        work.patch(box(-reach, bar - 0.02, reach, bar + 0.02), RED_LAMP)
    for side in (-1, 1):
        shape = np.array(
            [[side * reach, lamp_low + 0.03], [side * half * 0.985, lamp_low],
             [side * half * 0.985, lamp_high], [side * reach * 1.06, lamp_high - 0.01]]
        )  # fmt: skip
        work.patch(shape, (92, 12, 16))
        work.patch(shrunk(shape, 0.84), RED_LAMP)
        middle = (lamp_low + lamp_high) / 2
        work.patch(box(side * half * 0.80, middle - 0.02, side * half * 0.94, middle + 0.025), AMBER)
        reflector = box(side * half * 0.62, work.level(0.21), side * half * 0.84, work.level(0.26))
        work.patch(reflector, (140, 26, 26))
        tail_light(work, shrunk(shape, 0.9))
    exhaust = -1.0 if rng.random() < 0.5 else 1.0
    work.patch(ellipse(exhaust * half * 0.55, work.level(0.03), 0.05, 0.03), (112, 114, 118))
    low, high = work.end.glass
    brake_light(work, high - 0.02)
    sticker(work, low, high)
    plate(work, frame=float(rng.random()) < 0.3)


def van_rear(work: Coachwork) -> None:
    """Two doors, upright lamps at the corners, a black bumper."""
    half = work.half_at(work.level(0.6))
    work.patch(box(-half, work.level(0.02), half, work.level(0.20)), (44, 45, 48))
    low, high = work.end.glass
    line = work.on_end(np.array([[0.0, work.level(0.2)], [0.0, high + 0.1]]))
    work.canvas.draw.line(flat(work.canvas.camera.project(line)), fill=rgb(work.paint * 0.4), width=2)
    for side in (-1, 1):
        shape = box(side * half * 0.86, work.level(0.55), side * half * 0.985, low + 0.12)
        work.patch(shape, RED_LAMP)
        work.patch(box(side * half * 0.87, work.level(0.78), side * half * 0.975, work.level(0.9)), AMBER)
        tail_light(work, shape)
    brake_light(work, high + 0.06)
    sticker(work, low - 0.4, low - 0.1)
    plate(work, frame=bool(work.rng.random() < 0.3))


def truck_front(work: Coachwork) -> None:
    """A flat cab: visor, grille, low lamps, mirrors on arms."""
    half = work.half_at(1.0)
    _, high = work.end.glass
    work.patch(rounded(-half * 0.62, 0.88, half * 0.62, 1.22, 0.1), (34, 35, 38))
    for y in np.linspace(0.93, 1.17, 5):
        work.patch(box(-half * 0.60, y - 0.012, half * 0.60, y + 0.012), (120, 122, 126))
    work.patch(box(-half * 0.98, 0.44, half * 0.98, 0.76), np.array([70, 72, 76]))
    work.patch(box(-half * 0.92, high + 0.04, half * 0.92, high + 0.16), np.array([38, 40, 44]))
    for side in (-1, 1):
        lamp = box(side * half * 0.62, 0.52, side * half * 0.92, 0.70)
        work.patch(lamp, (200, 206, 212))
        work.patch(box(side * half * 0.92, 0.54, side * half * 0.985, 0.68), AMBER)
        if work.canvas.night:
            work.lamp(ellipse(side * half * 0.76, 0.61, 0.11, 0.09), (255, 248, 230))
    if work.rng.random() < work.lures:
        word = str(work.rng.choice(["DONGFENG", "CARGO", "FAST", "JIEFANG"]))
        work.board(0.0, 1.29, 0.8, 0.11, sign_face((200, 30), word, (210, 212, 214), (60, 62, 66)))
    plate(work, frame=False)


def truck_rear(work: Coachwork) -> None:
    """Two box doors with bars, red and white marks, an underrun bar with lamps."""
    half = work.half_at(2.0)
    top, foot = float(work.end.height[-1]) - 0.1, 0.95
    for x in (-half * 0.97, -half * 0.5, half * 0.5, half * 0.97):
        work.patch(box(x - 0.025, foot, x + 0.025, top), work.cargo * 0.72)
    work.patch(box(-0.012, foot, 0.012, top), work.cargo * 0.35)
    for y in (1.35, 2.6):
        for x in (-half * 0.95, half * 0.95):
            work.patch(box(x - 0.06, y - 0.05, x + 0.06, y + 0.05), work.cargo * 0.5)
    for index, x in enumerate(np.arange(-half * 0.95, half * 0.8, 0.24)):
        colour: Rgb = (202, 44, 38) if index % 2 else (228, 228, 222)
        work.patch(box(float(x), foot + 0.02, float(x) + 0.2, foot + 0.10), colour)
    work.patch(box(-half * 0.94, 0.60, half * 0.94, 0.84), (60, 61, 64))
    for side in (-1, 1):
        shape = box(side * half * 0.62, 0.66, side * half * 0.90, 0.79)
        work.patch(shape, RED_LAMP)
        work.patch(box(side * half * 0.62, 0.66, side * half * 0.71, 0.79), AMBER)
        tail_light(work, shape)
    if work.rng.random() < work.lures + 0.1:
        # Trucks in China carry their number once more, large, on the box: letters that are no plate.
        text = plate_text("yellow", work.rng)
        ground = rgb(work.cargo)
        work.board(0.0, 1.62, 1.7, 0.34, sign_face((240, 48), text, ground, (56, 58, 64)))
    plate(work, frame=False)


def bus_front(work: Coachwork) -> None:
    """A tall screen, a lit route display, low lamps."""
    half = work.half_at(1.0)
    _, high = work.end.glass
    face = sign_face(
        (260, 40), f"{int(work.rng.integers(1, 999))} {work.rng.choice(['CENTRAL', 'STATION', 'AIRPORT', 'HARBOUR'])}",
        (18, 18, 20), (250, 176, 48),
    )  # fmt: skip
    work.patch(box(-half * 0.86, high + 0.06, half * 0.86, high + 0.40), (18, 18, 20))
    work.board(0.0, high + 0.23, half * 1.5, 0.26, face, lit=0.9)
    work.patch(box(-half * 0.97, 0.44, half * 0.97, 0.50), TRIM)
    work.patch(rounded(-half * 0.4, 0.76, half * 0.4, 0.92, 0.05), (40, 41, 44))
    for side in (-1, 1):
        lamp = ellipse(side * half * 0.76, 0.72, 0.16, 0.10)
        work.patch(lamp, (206, 212, 218))
        work.patch(box(side * half * 0.92, 0.64, side * half * 0.98, 0.80), AMBER)
        if work.canvas.night:
            work.lamp(ellipse(side * half * 0.76, 0.72, 0.12, 0.08), (255, 250, 236))
    plate(work, frame=False)


def bus_rear(work: Coachwork) -> None:
    """A small rear window, the engine's grille, stacked lamps, an advertisement."""
    half = work.half_at(1.0)
    work.patch(rounded(-half * 0.66, 0.90, half * 0.66, 1.46, 0.05), (48, 50, 54))
    for y in np.linspace(0.98, 1.38, 6):
        work.patch(box(-half * 0.62, y - 0.015, half * 0.62, y + 0.015), (90, 92, 96))
    for side in (-1, 1):
        for foot, colour in ((0.95, RED_LAMP), (1.18, AMBER), (1.40, RED_LAMP)):
            work.patch(ellipse(side * half * 0.86, foot, 0.10, 0.09), colour)
        tail_light(work, ellipse(side * half * 0.86, 0.95, 0.10, 0.09))
        tail_light(work, ellipse(side * half * 0.86, 1.40, 0.10, 0.09))
    if work.rng.random() < work.lures + 0.2:
        number = str(int(work.rng.integers(1, 999)))
        work.board(
            -half * 0.55,
            work.end.glass[1] + 0.2,
            0.5,
            0.22,
            sign_face((90, 40), number, (18, 18, 20), (250, 120, 40)),
            lit=0.8,
        )
    plate(work, frame=False)


def tail_light(work: Coachwork, shape: Array) -> None:
    """Light a tail lamp: always at night, and by day when the brakes are on."""
    brakes = braking(work)
    if work.canvas.night:
        work.lamp(shape, (205, 30, 26) if brakes else (130, 14, 14))
    elif brakes:
        work.lamp(shape, (95, 10, 8))


def braking(work: Coachwork) -> bool:
    """Whether the brake lamps are on, the same for all lamps of a vehicle."""
    return int(work.vehicle.pose.x * 1000 + work.vehicle.depth * 1000) % 3 == 0


def brake_light(work: Coachwork, height: float) -> None:
    """The third brake lamp, a red strip under the roof."""
    strip = box(-0.16, height - 0.02, 0.16, height + 0.02)
    work.patch(strip, (110, 18, 20))
    if braking(work):
        work.lamp(strip, (230, 40, 30) if work.canvas.night else (120, 10, 10))


def sticker(work: Coachwork, low: float, high: float) -> None:
    """Perhaps a sticker in the rear window or on the lid: a small bright rectangle that is no plate."""
    if work.rng.random() > work.lures:
        return
    palette: tuple[tuple[Rgb, Rgb], ...] = (
        ((228, 190, 40), (30, 28, 20)), ((226, 228, 230), (160, 40, 40)), ((30, 110, 70), (235, 238, 236)),
        ((40, 80, 170), (236, 238, 240)),
    )  # fmt: skip
    ground, ink = palette[int(work.rng.integers(len(palette)))]
    word = str(work.rng.choice(["BABY", "SALE", "4x4", "TAXI", "VIP", "GO", "SOS"]))
    x = float(work.rng.uniform(-0.45, 0.45))
    if work.end.plate[0] > low - 0.25:
        x = 0.62 if x > 0 else -0.62
    height = float(work.rng.uniform(low + 0.08, max(high - 0.1, low + 0.09)))
    work.board(x, height, float(work.rng.uniform(0.14, 0.26)), 0.10, sign_face((96, 44), word, ground, ink))


def plate(work: Coachwork, frame: bool) -> None:
    """The plate itself, exactly where the label says."""
    mount_plate(work.canvas, work.vehicle, work.focal, frame, work.rng)


FITTINGS: dict[tuple[Kind, Facing], Callable[[Coachwork], None]] = {
    ("car", "front"): car_front,
    ("car", "rear"): car_rear,
    ("van", "front"): car_front,
    ("van", "rear"): van_rear,
    ("truck", "front"): truck_front,
    ("truck", "rear"): truck_rear,
    ("bus", "front"): bus_front,
    ("bus", "rear"): bus_rear,
}
"""What to paint on each end of each kind."""
