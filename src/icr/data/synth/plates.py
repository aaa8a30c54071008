"""The faces of plates, and the other lettering in a scene."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from icr.data.synth.bodies import Kind
from icr.data.synth.camera import Array

PlateColour = Literal["blue", "yellow", "green", "white"]

Rgb = tuple[int, int, int]

LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
DIGITS = "0123456789"

FACES: dict[PlateColour, tuple[Rgb, Rgb]] = {
    "blue": ((22, 62, 158), (240, 243, 248)),
    "yellow": ((236, 178, 22), (22, 20, 16)),
    "green": ((118, 202, 146), (16, 22, 18)),
    "white": ((236, 237, 236), (24, 24, 28)),
}

COLOURS: dict[Kind, tuple[tuple[PlateColour, float], ...]] = {
    "car": (("blue", 0.62), ("green", 0.24), ("white", 0.14)),
    "van": (("blue", 0.66), ("green", 0.16), ("white", 0.10), ("yellow", 0.08)),
    "truck": (("yellow", 0.78), ("blue", 0.22)),
    "bus": (("yellow", 0.72), ("green", 0.28)),
    "motorcycle": (("yellow", 0.6), ("blue", 0.4)),
}


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own scalable font, so that no font of the system is needed."""
    loaded = ImageFont.load_default(size)
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType: install a Pillow with it, such as PyPI's")
    return loaded


def pick_colour(kind: Kind, rng: np.random.Generator) -> PlateColour:
    """The colour of a plate for a kind of vehicle."""
    names, shares = zip(*COLOURS[kind], strict=True)
    colour: PlateColour = names[int(rng.choice(len(names), p=shares))]
    return colour


def plate_text(colour: PlateColour, rng: np.random.Generator) -> str:
    """Letters and digits as on a plate: one letter, then five or (green) six of which at most two are letters."""
    length = 6 if colour == "green" else 5
    letters = set(rng.choice(length, size=int(rng.integers(0, 3)), replace=False).tolist())
    tail = "".join(str(rng.choice(list(LETTERS if i in letters else DIGITS))) for i in range(length))
    return str(rng.choice(list(LETTERS))) + tail


def plate_face(colour: PlateColour, text: str, rng: np.random.Generator, width: int = 264) -> Image.Image:
    """A plate seen straight on, RGB, `width` pixels wide.

    The first character is a glyph of strokes, which stands for the character of a province; a dot follows the letter.
    """
    height = round(width * 140 / 440)
    ground, ink = FACES[colour]
    if colour == "green":
        ramp = np.linspace(0, 1, height)[:, None, None]
        shades = (1 - ramp) * np.array([214, 240, 222]) + ramp * np.array(ground)
        face = Image.fromarray(np.broadcast_to(shades, (height, width, 3)).astype(np.uint8).copy())
    else:
        face = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(face)
    edge = max(1, width // 66)
    draw.rounded_rectangle(
        (edge, edge, width - 1 - edge, height - 1 - edge), radius=height // 8, outline=ink, width=max(1, edge // 2 + 1)
    )
    cells = len(text) + 1
    left, right = width * 0.045, width * 0.955
    gap = width * 0.035
    pitch = (right - left - gap) / cells
    _glyph(draw, (left, height * 0.17, left + pitch * 0.86, height * 0.83), ink, rng)
    letters = font(round(height * 0.80))
    for index, character in enumerate(text):
        middle = left + pitch * (index + 1.45) + (gap if index else 0)
        box = letters.getbbox(character)
        tile = Image.new("L", (max(1, round(box[2] - box[0])), max(1, round(box[3] - box[1]))))
        ImageDraw.Draw(tile).text((-box[0], -box[1]), character, font=letters, fill=255)
        narrow = 0.34 if character in "1I" else 0.80
        tile = tile.resize((max(1, round(pitch * narrow)), round(height * 0.66)), Image.Resampling.BILINEAR)
        face.paste(ink, (round(middle - tile.width / 2), round(height * 0.17)), tile)
    dot = left + pitch * 2 + gap * 0.42
    draw.ellipse((dot - gap * 0.2, height * 0.46, dot + gap * 0.2, height * 0.46 + gap * 0.4), fill=ink)
    return face


def two_line_face(
    colour: PlateColour, text: str, rng: np.random.Generator, shape: float, width: int = 264
) -> Image.Image:
    """A plate with two lines seen straight on, RGB: glyph and letter above, the other characters, larger, below.

    Args:
        colour: of the plate.
        text: its letter and what follows.
        rng: draws the glyph.
        shape: height of the plate as a share of its width.
        width: in pixels.
    """
    height = round(width * shape)
    ground, ink = FACES[colour]
    face = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(face)
    edge = max(1, width // 66)
    frame = (edge, edge, width - 1 - edge, height - 1 - edge)
    draw.rounded_rectangle(frame, radius=height // 10, outline=ink, width=max(1, edge // 2 + 1))
    top, middle, foot = height * 0.09, height * 0.38, height * 0.92
    _glyph(draw, (width * 0.24, top, width * 0.42, middle), ink, rng)
    letters = font(round(height * 0.6))
    _character(face, letters, text[0], (width * 0.58, top, width * 0.76, middle), ink)
    draw.ellipse((width * 0.485, height * 0.21, width * 0.515, height * 0.21 + width * 0.03), fill=ink)
    pitch = width * 0.90 / len(text[1:])
    for index, character in enumerate(text[1:]):
        left = width * 0.05 + pitch * index
        _character(face, letters, character, (left + pitch * 0.1, height * 0.46, left + pitch * 0.9, foot), ink)
    return face


def _character(
    face: Image.Image,
    letters: ImageFont.FreeTypeFont,
    character: str,
    room: tuple[float, float, float, float],
    ink: Rgb,
) -> None:
    """Stretch one character over its place, as the pressed letters of a plate fill theirs."""
    box = letters.getbbox(character)
    tile = Image.new("L", (max(1, round(box[2] - box[0])), max(1, round(box[3] - box[1]))))
    ImageDraw.Draw(tile).text((-box[0], -box[1]), character, font=letters, fill=255)
    left, top, right, bottom = room
    wide = (right - left) * (0.42 if character in "1I" else 1.0)
    tile = tile.resize((max(1, round(wide)), max(1, round(bottom - top))), Image.Resampling.BILINEAR)
    face.paste(ink, (round((left + right - wide) / 2), round(top)), tile)


def _glyph(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], ink: Rgb, rng: np.random.Generator
) -> None:
    left, top, right, bottom = box
    width = max(1, round((right - left) * 0.13))
    for level in (0.08, float(rng.uniform(0.35, 0.5)), float(rng.uniform(0.6, 0.75))):
        y = top + (bottom - top) * level
        draw.line((left + (right - left) * float(rng.uniform(0, 0.15)), y, right, y), fill=ink, width=width)
    x = left + (right - left) * float(rng.uniform(0.35, 0.65))
    draw.line((x, top, x, bottom), fill=ink, width=width)
    draw.line((x, (top + bottom) / 2, left, bottom), fill=ink, width=width)
    draw.line((x, (top + bottom) / 2, right, bottom), fill=ink, width=width)


@lru_cache(maxsize=256)
def sign_face(size: tuple[int, int], text: str, ground: Rgb, ink: Rgb) -> Image.Image:
    """A board with one line of text, RGB, not to be drawn on: what a plate can be mistaken for."""
    width, height = size
    face = Image.new("RGB", size, ground)
    letters = font(max(6, round(height * 0.72)))
    left, top, right, bottom = letters.getbbox(text)
    tile = Image.new("L", (max(1, round(right - left)), max(1, round(bottom - top))))
    ImageDraw.Draw(tile).text((-left, -top), text, font=letters, fill=255)
    room = width * 0.9, height * 0.72
    shrink = min(room[0] / tile.width, room[1] / tile.height)
    tile = tile.resize((max(1, round(tile.width * shrink)), max(1, round(tile.height * shrink))))
    face.paste(ink, ((width - tile.width) // 2, (height - tile.height) // 2), tile)
    return face


def warp(canvas: Image.Image, face: Image.Image, quad: Array) -> None:
    """Lay a face onto the canvas, its corners (top left, top right, bottom right, bottom left) at `quad` (4, 2).

    The edges are as sharp as the canvas: it is drawn large and shrunk afterwards.
    """
    low = np.floor(quad.min(axis=0)).astype(int)
    high = np.ceil(quad.max(axis=0)).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, canvas.size)
    if (high <= low).any():
        return
    span = max(float(np.hypot(*(quad[1] - quad[0]))), 2.0)
    if face.width > 1.6 * span:
        shrunk = max(2, round(span)), max(2, round(span * face.height / face.width))
        face = face.resize(shrunk, Image.Resampling.BOX)
    width, height = face.size
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    target = quad - low
    rows = []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    coefficients = np.linalg.solve(np.array(rows), source.reshape(-1))
    size = int(high[0] - low[0]), int(high[1] - low[1])
    moved = face.transform(size, Image.Transform.PERSPECTIVE, coefficients.tolist(), Image.Resampling.BILINEAR)
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).polygon([tuple(corner) for corner in target.tolist()], fill=255)
    canvas.paste(moved, (int(low[0]), int(low[1])), mask)
