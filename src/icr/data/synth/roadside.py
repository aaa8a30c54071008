"""What stands and lies along the road: markings, houses, trees, lamps, signs, and the vehicles' shadows."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from icr.data.synth.camera import Array
from icr.data.synth.canvas import Canvas, flat, rgb
from icr.data.synth.plates import Rgb, plate_text, sign_face, warp
from icr.data.synth.scene import Road, Scene

FAR = 240.0
"""Distance in metres at which the road and its houses end."""


def strip(canvas: Canvas, left: float, right: float, near: float, far: float, colour: Rgb | Array) -> None:
    """A flat rectangle on the road."""
    canvas.polygon(np.array([[left, 0, near], [right, 0, near], [right, 0, far], [left, 0, far]]), colour)


def markings(canvas: Canvas, road: Road, rng: np.random.Generator) -> None:
    """Lane lines, the double line between directions, kerbs."""
    white = np.array([206, 206, 200]) * rng.uniform(0.8, 1.0)
    yellow = np.array([206, 160, 60]) * rng.uniform(0.8, 1.0)
    left, right = road.edges()
    for edge, sign in ((left, 1), (right, -1)):
        strip(canvas, edge + sign * 0.15, edge + sign * 0.28, 1.0, FAR, white)
        kerb = np.array([[edge, 0, 1.0], [edge, 0.16, 1.0], [edge, 0.16, FAR], [edge, 0, FAR]])
        canvas.polygon(kerb, (150, 148, 144))
    start = float(rng.uniform(0, 9))
    for lane in range(road.left + 1, road.right + 1):
        x = (lane - 0.5) * road.lane + road.middle
        if lane == road.divider:
            for offset in (-0.16, 0.04):
                strip(canvas, x + offset, x + offset + 0.12, 1.0, FAR, yellow)
            continue
        for near in np.arange(start - 9, 130, 9.0):
            if near + 4 > 1.0:
                strip(canvas, x - 0.07, x + 0.07, max(float(near), 1.0), float(near) + 4, white)
    if rng.random() < 0.3:
        near = float(rng.uniform(7, 30))
        for x in np.arange(left + 0.6, right - 0.6, 0.9):
            strip(canvas, float(x), float(x) + 0.45, near, near + 3.5, white)
    for _ in range(int(rng.integers(0, 4))):
        patch_of_tar(canvas, float(rng.uniform(left, right - 1.5)), float(rng.uniform(4, 30)), rng)


def patch_of_tar(canvas: Canvas, x: float, z: float, rng: np.random.Generator) -> None:
    """A mended spot of the road, or a manhole."""
    if rng.random() < 0.5:
        strip(canvas, x, x + float(rng.uniform(0.6, 1.6)), z, z + float(rng.uniform(1, 5)), (70, 71, 73))
        return
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    for radius, shade in ((0.38, 62), (0.31, 78)):
        ring = np.stack([x + radius * np.cos(angles), np.zeros(20), z + radius * np.sin(angles)], axis=-1)
        canvas.polygon(ring, (shade, shade, shade))


def houses(canvas: Canvas, road: Road, rng: np.random.Generator) -> None:
    """Rows of houses or trees on both sides, far ones first."""
    left, right = road.edges()
    for side, edge in ((-1, left), (1, right)):
        wooded = rng.random() < 0.35
        z = FAR
        blocks = []
        while z > 4:
            depth = float(rng.uniform(9, 22))
            blocks.append((z - depth, z, float(rng.uniform(0, 1))))
            z -= depth + float(rng.choice([0.5, 6.0]))
        wall = edge + side * float(rng.uniform(3.5, 9))
        for near, far, chance in blocks:
            if wooded or chance < 0.25:
                for depth in np.linspace(far, near, 3):
                    tree(canvas, wall + side * float(rng.uniform(-1.5, 2)), float(depth), rng)
            else:
                house(canvas, wall, side, max(near, 2.5), far, rng)


WALLS: tuple[Rgb, ...] = (
    (172, 160, 142), (150, 132, 118), (186, 182, 174), (140, 144, 150), (164, 118, 96),
    (198, 188, 164), (120, 126, 134),
)  # fmt: skip


def house(canvas: Canvas, wall: float, side: int, near: float, far: float, rng: np.random.Generator) -> None:
    """A house: a front along the road with windows and a shop, and the gable towards the camera."""
    if far <= near + 1:
        return
    tall = float(rng.choice([rng.uniform(5, 9), rng.uniform(9, 18), rng.uniform(18, 40)], p=[0.4, 0.4, 0.2]))
    colour = np.array(WALLS[int(rng.integers(len(WALLS)))]) * rng.uniform(0.85, 1.08)
    deep = wall + side * 12

    def front(z0: float, z1: float, y0: float, y1: float) -> Array:
        return np.array([[wall, y0, z0], [wall, y0, z1], [wall, y1, z1], [wall, y1, z0]])

    gable = np.array([[wall, 0, near], [deep, 0, near], [deep, tall, near], [wall, tall, near]])
    for shape, shade in ((front(near, far, 0, tall), 0.86 if side < 0 else 1.0), (gable, 0.74)):
        canvas.polygon(shape, colour * shade)
        canvas.black_out(canvas.camera.project(shape))
    floors = min(int((tall - 3.4) / 3.0), 9)
    columns = min(int((far - near) / 2.6), 7)
    lit = 0.28 if canvas.night else 0.0
    panes, shades = [], []
    for floor in range(floors):
        y = 3.9 + floor * 3.0
        for column in range(columns):
            z = near + 0.7 + column * (far - near - 0.6) / max(columns, 1)
            panes.append(front(z, z + 1.3, y, y + 1.5))
            shine = rng.random() < lit
            shades.append(rng.uniform(0.7, 1.4))
            if shine and z > 1.0:
                canvas.shine(panes[-1], rgb(np.array([150, 124, 78]) * rng.uniform(0.4, 1.0)))
    if panes:
        canvas.polygons(np.array(panes), np.array([70, 82, 96]) * np.array(shades)[:, None])
    if rng.random() < 0.6:
        shop(canvas, wall, side, near, far, rng)


SIGNS: tuple[tuple[Rgb, Rgb], ...] = (
    ((168, 32, 34), (246, 240, 226)), ((30, 78, 160), (240, 244, 248)), ((34, 120, 70), (240, 246, 240)),
    ((234, 196, 52), (40, 34, 24)), ((232, 232, 228), (40, 44, 60)), ((44, 46, 52), (240, 200, 90)),
)  # fmt: skip
WORDS = (
    "MARKET",
    "HOTEL",
    "BANK",
    "NOODLES",
    "TEA HOUSE",
    "PHARMACY",
    "BOOKS",
    "TYRES",
    "24H",
    "CAFE",
    "PHONE",
    "A8 88",
)


def shop(canvas: Canvas, wall: float, side: int, near: float, far: float, rng: np.random.Generator) -> None:
    """A shop window on the ground floor with a lettered board above it."""
    ground, ink = SIGNS[int(rng.integers(len(SIGNS)))]
    face = sign_face((220, 44), str(rng.choice(WORDS)), ground, ink)
    z0, z1 = max(near + 0.4, 1.5), max(far - 0.4, 2.5)
    window = np.array([[wall, 0.5, z0], [wall, 0.5, z1], [wall, 2.6, z1], [wall, 2.6, z0]])
    canvas.polygon(window, (88, 98, 106))
    # Read from the road: on the left side the text runs from near to far, on the right from far to near.
    ends = (z0, z1) if side < 0 else (z1, z0)
    board = np.array([[wall, 3.4, ends[0]], [wall, 3.4, ends[1]], [wall, 2.7, ends[1]], [wall, 2.7, ends[0]]])
    quad = canvas.camera.project(board)
    warp(canvas.image, face, quad)
    if canvas.night:
        for low, tone in ((0.5, 46), (1.2, 62), (1.9, 80)):
            pane = window.copy()
            pane[:, 1] = np.array([low, low, low + 0.7, low + 0.7])
            canvas.shine(pane, (tone, round(tone * 0.88), round(tone * 0.64)))
        warp(canvas.glow, face.point(lambda value: int(value * 0.42)), quad)


def tree(canvas: Canvas, x: float, z: float, rng: np.random.Generator) -> None:
    """A tree: a trunk and a heap of leaves, lighter on top."""
    if z < 2.5:
        return
    tall = float(rng.uniform(4.5, 9))
    trunk = np.array([[x - 0.14, 0, z], [x + 0.14, 0, z], [x + 0.1, tall * 0.6, z], [x - 0.1, tall * 0.6, z]])
    canvas.polygon(trunk, (78, 64, 52))
    scale = canvas.camera.focal / z
    base = np.array([58, 88, 46]) * rng.uniform(0.75, 1.2)
    count = int(np.clip(scale * tall * 0.55, 24, 150))
    spots = np.clip(rng.normal(0, 1, (count, 2)), -1.7, 1.7) * np.array([tall * 0.16, tall * 0.13]) + np.array(
        [0, tall * 0.70]
    )
    # From the shaded leaves below and behind to the sunlit ones on top.
    spots = spots[np.argsort(spots[:, 1] - spots[:, 0] * 0.4)]
    pixels = canvas.camera.project(np.column_stack([x + spots[:, 0], spots[:, 1], np.full(count, z)]))
    radii = rng.uniform(0.10, 0.17, count) * tall * scale * (24 / count) ** 0.36
    shades = np.linspace(0.55, 1.2, count) * rng.uniform(0.85, 1.12, count)
    fills = np.clip(canvas.faded(base * shades[:, None], np.full(count, z)), 0, 255).astype(int).tolist()
    reach = float(radii.max())
    before_lamps = canvas.lit(pixels.min(axis=0) - reach, pixels.max(axis=0) + reach)
    for (column, row), radius, (red, green, blue) in zip(pixels.tolist(), radii.tolist(), fills, strict=True):
        edges = (column - radius, row - radius * 0.8, column + radius, row + radius * 0.8)
        canvas.draw.ellipse(edges, fill=(red, green, blue))
        if before_lamps:
            canvas.draw_glow.ellipse(edges, fill=(0, 0, 0))


def lamps(canvas: Canvas, road: Road, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Street lamps on both sides; returns the foot (x) and depth (z) and side of each."""
    left, right = road.edges()
    spacing = float(rng.uniform(22, 34))
    start = float(rng.uniform(3, spacing))
    feet = []
    for z in np.arange(start + 5 * spacing, 2.0, -spacing):
        for side, edge in ((-1.0, left - 0.8), (1.0, right + 0.8)):
            pole(canvas, edge, float(z), 8.0, -side * 2.2)
            feet.append((edge - side * 2.2, float(z), side))
    return feet


def pole(canvas: Canvas, x: float, z: float, tall: float, arm: float) -> None:
    """A lamp post with its arm over the road."""
    grey = (96, 98, 102)
    canvas.polygon(np.array([[x - 0.09, 0, z], [x + 0.09, 0, z], [x + 0.06, tall, z], [x - 0.06, tall, z]]), grey)
    canvas.polygon(
        np.array([[x, tall - 0.12, z], [x, tall, z], [x + arm, tall + 0.3, z], [x + arm, tall + 0.18, z]]), grey
    )
    head = np.array(
        [
            [x + arm - 0.4, tall + 0.12, z],
            [x + arm + 0.4, tall + 0.12, z],
            [x + arm + 0.4, tall + 0.3, z],
            [x + arm - 0.4, tall + 0.3, z],
        ]
    )
    canvas.polygon(head, (150, 152, 156))
    if canvas.night:
        canvas.shine(head, (255, 214, 150))


def road_signs(canvas: Canvas, road: Road, lures: float, rng: np.random.Generator) -> None:
    """Boards beside and above the road: blue and green ones with letters look most like plates."""
    left, right = road.edges()
    if rng.random() < lures * 0.7:
        z = float(rng.uniform(28, 80))
        gantry(canvas, left, right, z, rng)
    for _ in range(int(rng.integers(0, 1 + round(4 * lures)))):
        side, edge = ((-1, left - 1.2), (1, right + 1.2))[int(rng.integers(2))]
        z = float(rng.uniform(9, 45))
        x = edge + side * float(rng.uniform(0, 1))
        canvas.polygon(
            np.array([[x - 0.04, 0, z], [x + 0.04, 0, z], [x + 0.04, 3, z], [x - 0.04, 3, z]]), (120, 122, 124)
        )
        if rng.random() < 0.45:
            disc(canvas, x, float(rng.uniform(2.2, 3.0)), z, rng)
        else:
            ground, ink = SIGNS[int(rng.integers(1, 5))]
            wide = float(rng.uniform(0.6, 1.3))
            board(
                canvas,
                x,
                float(rng.uniform(1.2, 2.8)),
                z,
                wide,
                wide * 0.36,
                sign_face((132, 44), plate_text("blue", rng), ground, ink),
            )


def gantry(canvas: Canvas, left: float, right: float, z: float, rng: np.random.Generator) -> None:
    """A beam over the road with direction boards."""
    for x in (left - 1, right + 1):
        canvas.polygon(
            np.array([[x - 0.2, 0, z], [x + 0.2, 0, z], [x + 0.2, 6.4, z], [x - 0.2, 6.4, z]]), (116, 118, 122)
        )
    canvas.polygon(
        np.array([[left - 1, 6.0, z], [right + 1, 6.0, z], [right + 1, 6.4, z], [left - 1, 6.4, z]]), (116, 118, 122)
    )
    ground, ink = SIGNS[1 + int(rng.integers(2))]
    for x in np.arange(left + 1.6, right - 1, 4.2):
        text = f"{rng.choice(['EXIT', 'RING RD', 'HARBOUR', 'CITY', 'G4'])} {int(rng.integers(1, 99))}"
        board(canvas, float(x), 5.6, z - 0.2, 3.4, 1.5, sign_face((170, 75), text, ground, ink))


def board(canvas: Canvas, x: float, y: float, z: float, wide: float, tall: float, face: Image.Image) -> None:
    """A board that faces the camera, its middle at (x, y, z)."""
    corners = np.array(
        [
            [x - wide / 2, y + tall / 2, z],
            [x + wide / 2, y + tall / 2, z],
            [x + wide / 2, y - tall / 2, z],
            [x - wide / 2, y - tall / 2, z],
        ]
    )
    quad = canvas.camera.project(corners)
    warp(canvas.image, face, quad)
    canvas.black_out(quad)
    if canvas.night:
        warp(canvas.glow, face.point(lambda value: int(value * 0.12)), quad)


def disc(canvas: Canvas, x: float, y: float, z: float, rng: np.random.Generator) -> None:
    """A round sign with a speed."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for radius, colour in ((0.36, (190, 30, 34)), (0.28, (238, 238, 234))):
        ring = np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles), np.full(24, z)], axis=-1)
        canvas.polygon(ring, colour)
    text = str(int(rng.choice([30, 40, 50, 60, 80])))
    board_quad = np.array(
        [[x - 0.2, y + 0.15, z], [x + 0.2, y + 0.15, z], [x + 0.2, y - 0.15, z], [x - 0.2, y - 0.15, z]]
    )
    warp(canvas.image, sign_face((60, 44), text, (238, 238, 234), (24, 24, 26)), canvas.camera.project(board_quad))


def shadows(canvas: Canvas, scene: Scene, sun: float) -> None:
    """Soft dark patches below the vehicles, which the sun draws out by `sun` metres to the side."""
    size = canvas.image.width // 4, canvas.image.height // 4
    sheet = Image.new("L", size)
    draw = ImageDraw.Draw(sheet)
    for vehicle in scene.vehicles:
        half = float(vehicle.body.front.half.max())
        corners = np.array(
            [
                [-half - 0.08, 0, -0.12],
                [half + sun, 0, -0.05],
                [half + sun, 0, vehicle.body.length],
                [-half, 0, vehicle.body.length],
            ]
        )
        draw.polygon(flat(canvas.camera.project(vehicle.pose.place(corners)) / 4), fill=185)
    radius = max(1.0, size[0] / 320)
    touched = sheet.getbbox()
    if touched is None:
        return
    left, top, right, bottom = touched
    reach = int(radius * 4) + 1
    touched = max(left - reach, 0), max(top - reach, 0), min(right + reach, size[0]), min(bottom + reach, size[1])
    part = sheet.crop(touched).filter(ImageFilter.GaussianBlur(radius))
    mask = part.resize((part.width * 4, part.height * 4), Image.Resampling.BILINEAR)
    canvas.image.paste((0, 0, 0), (touched[0] * 4, touched[1] * 4), mask)
