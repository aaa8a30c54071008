"""What stands between the scene and the file: rain, dazzling lamps, a moving camera, an earlier compression."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from icr.data.synth.scene import Scene


def rain(picture: Image.Image, scene: Scene, rng: np.random.Generator) -> Image.Image:
    """Grey veils with the distance, falling streaks, and drops on the glass; RGB in and out."""
    width, height = picture.size
    night = scene.light == "night"
    heavy = float(rng.uniform(0.3, 1.0))
    veil = Image.new("RGB", (width, height), (34, 37, 44) if night else (168, 173, 180))
    rows = np.arange(height)
    horizon = scene.camera.horizon
    # What stands on the road is the farther away the nearer its foot is to the horizon.
    thick = np.where(rows < horizon, 1.0, np.exp(-(rows - horizon) / (0.16 * height))) * (0.22 + 0.26 * heavy)
    mask = Image.fromarray(np.round(thick * 255).astype(np.uint8)[:, None]).resize((width, height))
    picture = Image.composite(veil, picture, mask)
    picture = Image.blend(picture, picture.convert("L").convert("RGB"), 0.18 + 0.2 * heavy)
    picture = ImageChops.add(picture, streaks(picture.size, heavy, 26 if night else 44, rng))
    return drops(picture, round(3 + 16 * heavy * float(rng.random())), rng)


def streaks(size: tuple[int, int], heavy: float, bright: int, rng: np.random.Generator) -> Image.Image:
    """Falling drops, drawn out by the exposure; RGB to add."""
    width, height = size
    sheet = Image.new("L", size)
    draw = ImageDraw.Draw(sheet)
    slant = float(rng.normal(0, 0.14))
    count = int(260 * heavy + 60)
    starts = rng.uniform((-0.1 * width, -0.1 * height), (1.1 * width, height), (count, 2))
    lengths = rng.uniform(0.012, 0.06, count) * height
    shades = rng.integers(bright // 3, bright + 1, count)
    for (x, y), length, shade in zip(starts.tolist(), lengths.tolist(), shades.tolist(), strict=True):
        draw.line((x, y, x + slant * length, y + length), fill=shade, width=1 + (length > 0.045 * height))
    return sheet.filter(ImageFilter.BoxBlur(0.5)).convert("RGB")


def drops(picture: Image.Image, count: int, rng: np.random.Generator) -> Image.Image:
    """Drops on the windscreen, each a small lens that turns the view upside down."""
    width, height = picture.size
    for x, y, size in rng.uniform((0, 0, 0.006), (1, 1, 0.016), (count, 3)).tolist():
        radius = max(2, round(size * width))
        left, top = round(x * width) - radius, round(y * height) - radius
        reach = (left - 2 * radius, top - 2 * radius, left + 4 * radius, top + 4 * radius)
        small = picture.crop(reach).transpose(Image.Transpose.ROTATE_180).resize((2 * radius, round(2.2 * radius)))
        mask = Image.new("L", small.size)
        ImageDraw.Draw(mask).ellipse((0, 0, small.width - 1, small.height - 1), fill=150)
        picture.paste(small, (left, top), mask.filter(ImageFilter.GaussianBlur(max(0.7, radius / 7))))
    return picture


def dazzle(glow: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Wide halos and rays around the brightest lamps, as a dirty windscreen makes them; RGB to add."""
    width, height = glow.size
    small = glow.reduce(8)
    hard = small.convert("L").point([min(255, max(0, value - 170) * 3) for value in range(256)]).convert("RGB")
    total = Image.new("RGB", small.size)
    for radius, gain in ((width / 8 / 14, 2.6), (width / 8 / 46, 2.4)):
        halo = hard.filter(ImageFilter.GaussianBlur(radius))
        total = ImageChops.add(total, halo.point([min(255, round(value * gain)) for value in range(256)] * 3))
    turn = float(rng.uniform(0, np.pi))
    for angle in (turn, turn + np.pi / 2, turn + np.pi / 4):
        ray = drawn_out(hard, np.cos(angle) * small.width * 0.14, np.sin(angle) * small.width * 0.14)
        soft = ray.filter(ImageFilter.GaussianBlur(small.width / 160))
        total = ImageChops.add(total, soft.point([round(value * 0.9) for value in range(256)] * 3))
    return total.resize((width, height), Image.Resampling.BICUBIC)


def drawn_out(picture: Image.Image, along: float, down: float) -> Image.Image:
    """A picture moved by (along, down) pixels during its exposure, RGB; what it shows stays where it is on average."""
    shifts = [(round(along * share), round(down * share)) for share in (0.5, 0.25, 0.125, 0.0625)]
    picture = moved(picture, -round(sum(x for x, _ in shifts) / 2), -round(sum(y for _, y in shifts) / 2))
    for shift in shifts:
        if shift != (0, 0):
            picture = Image.blend(picture, moved(picture, *shift), 0.5)
    return picture


def moved(picture: Image.Image, along: int, down: int) -> Image.Image:
    """A picture moved by whole pixels, its edge going on where nothing is known."""
    width, height = picture.size
    stretched = picture.copy()
    stretched.paste(picture, (along, down))
    if along:
        strip = picture.crop((0, 0, 1, height) if along > 0 else (width - 1, 0, width, height))
        room = (0, 0, along, height) if along > 0 else (width + along, 0, width, height)
        stretched.paste(strip.resize((abs(along), height)), room[:2])
    return stretched


def shaken(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The blur of a camera that moves: mostly along, 3 to 10 pixels of a 1,280-pixel-wide picture."""
    reach = float(rng.uniform(3, 10)) * picture.width / 1280
    angle = float(rng.normal(0, 0.4))
    return drawn_out(picture, reach * np.cos(angle), reach * np.sin(angle))


def compressed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A picture that went through a hard JPEG compression: blocks and ringing at its edges."""
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=int(rng.integers(22, 56)), subsampling="4:2:0")
    with Image.open(held) as read:
        read.load()
        return read.convert("RGB")
