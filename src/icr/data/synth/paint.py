"""From a laid-out scene to a picture: draw, light, and what a camera does to it."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from icr.data.synth import roadside, weather
from icr.data.synth.backdrop import backdrop
from icr.data.synth.camera import Camera
from icr.data.synth.canvas import OVERSAMPLE, Canvas, flat
from icr.data.synth.layout import generator
from icr.data.synth.plates import Rgb
from icr.data.synth.scene import Scene
from icr.data.synth.settings import SceneSettings
from icr.data.synth.vehicles import paint_vehicle

SKIES: tuple[tuple[Rgb, Rgb, float], ...] = (
    ((206, 218, 228), (84, 138, 204), 0.6),
    ((214, 216, 218), (172, 182, 194), 0.1),
    ((228, 210, 188), (122, 154, 196), 0.9),
    ((190, 196, 202), (142, 152, 164), 0.0),
    ((208, 222, 232), (110, 160, 214), 0.4),
)
"""Colours of the horizon and the zenith by day, and how far a vehicle's shadow reaches to its side in metres."""

OVERCAST = 3
"""The sky that it rains from."""


SHAKES = (
    ((2, 0), (2, 1), (2, 2), (2, 3), (2, 4)),
    ((0, 2), (1, 2), (2, 2), (3, 2), (4, 2)),
    ((1, 0), (1, 1), (2, 1), (2, 2), (2, 3), (3, 3), (3, 4)),
)
"""Five pixels of motion, as (down, along): along, upright, askew."""

QUANTILES = tuple(NormalDist().inv_cdf((index + 0.5) / 256) for index in range(256))
"""Quantiles of the standard normal distribution."""


def paint(scene: Scene, settings: SceneSettings, seed: int, split: str, index: int) -> tuple[Image.Image, int]:
    """The picture of a scene, RGB, and the JPEG quality it is to be written with."""
    rng = generator(seed, split, index, 1)
    night = scene.light == "night"
    # Chances of their own, so that a scene without weather is the same whether there could have been any or not.
    chance = generator(seed, split, index, 5)
    wet, dazzled, moving, before = chance.random(4) < (
        settings.rain, settings.glare * night, settings.motion, settings.recompressed
    )  # fmt: skip
    sky = int(rng.integers(len(SKIES)))
    haze, zenith, sun = ((40, 44, 58), (10, 12, 22), 0.0) if night else SKIES[OVERCAST if wet else sky]
    image = backdrop(scene, haze, zenith, rng)
    canvas = Canvas(image, Image.new("RGB", image.size), scene.camera.scaled(OVERSAMPLE), haze, night)
    roadside.markings(canvas, scene.road, rng)
    roadside.houses(canvas, scene.road, rng)
    feet = roadside.lamps(canvas, scene.road, rng)
    roadside.road_signs(canvas, scene.road, settings.lures, rng)
    roadside.shadows(canvas, scene, sun=0.0 if night else sun)
    for number, vehicle in enumerate(scene.vehicles):
        paint_vehicle(canvas, vehicle, scene.camera.focal, settings.lures, generator(seed, split, index, 2, number))
    picture = canvas.image.reduce(OVERSAMPLE)
    glow = canvas.glow.reduce(OVERSAMPLE)
    if night:
        picture = ImageChops.multiply(picture, night_light(scene, settings.darkness, feet, rng))
        halo = weather.dazzle(glow, chance) if dazzled else None
        glow = bloom(glow, scene.camera.horizon, wet=bool(rng.random() < 0.4) or bool(wet))
        glow = ImageChops.add(glow, halo) if halo is not None else glow
    picture = ImageChops.add(picture, glow)
    if wet:
        picture = weather.rain(picture, scene, chance)
    if moving:
        picture = weather.shaken(picture, chance)
    picture = camera_faults(picture, settings, night, rng)
    if before:
        picture = weather.compressed(picture, chance)
    return picture, int(rng.integers(settings.quality[0], settings.quality[1] + 1))


def night_light(
    scene: Scene, darkness: float, feet: list[tuple[float, float, float]], rng: np.random.Generator
) -> Image.Image:
    """What lights a night, RGB to multiply with: a dim sky, pools below the lamps, our own beam."""
    width, height = scene.size
    size = max(2, width // 8), max(2, height // 8)
    camera: Camera = scene.camera.scaled(1 / 8)
    ambient = 1 - 0.80 * darkness
    base = tuple(int(255 * ambient * tint) for tint in (0.86, 0.92, 1.0))
    sheet = Image.new("RGB", size, base)
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    pools = Image.new("RGB", size)
    draw = ImageDraw.Draw(pools)
    for x, z, _ in feet:
        ring = np.stack([x + 5.5 * np.cos(angles), np.zeros(20), np.maximum(z + 8 * np.sin(angles), 0.7)], axis=-1)
        draw.polygon(flat(camera.project(ring)), fill=(96, 76, 48))
    beam = np.array([[-2.2, 0.0, 2.0], [2.2, 0.0, 2.0], [6.0, 2.2, 42.0], [-5.0, 2.2, 42.0]])
    throw = Image.new("RGB", size)
    ImageDraw.Draw(throw).polygon(flat(camera.project(beam)), fill=(112, 110, 102))
    pools = pools.filter(ImageFilter.GaussianBlur(size[0] / 36))
    throw = throw.filter(ImageFilter.GaussianBlur(size[0] / 14))
    lit = ImageChops.add(ImageChops.add(sheet, pools), throw)
    return lit.resize((width, height), Image.Resampling.BILINEAR)


def bloom(glow: Image.Image, horizon: float, wet: bool) -> Image.Image:
    """Lamps with the halo that a lens gives them and, on a wet road, their reflections; RGB to add."""
    width, height = glow.size
    quarter = glow.reduce(4)
    total = Image.new("RGB", quarter.size)
    for share, gain in ((400, 0.9), (130, 1.3), (40, 1.5)):
        halo = quarter.filter(ImageFilter.GaussianBlur(width / share / 4))
        total = ImageChops.add(total, halo.point([min(255, int(value * gain)) for value in range(256)] * 3))
    if wet:
        total = ImageChops.add(total, streaks(quarter, horizon / height))
    return ImageChops.add(glow, total.resize((width, height), Image.Resampling.BILINEAR))


def streaks(quarter: Image.Image, horizon: float) -> Image.Image:
    """The lamps drawn out downwards, as a wet road mirrors them; RGB to add, of the size of `quarter`."""
    width, height = quarter.size
    line = round(height * horizon)
    values = np.asarray(quarter, np.float32)
    trail = np.zeros((height, width, 3), np.float32)
    carry = values[: line + 1].max(axis=0) * 0.35
    fade = 1 - 4.0 / height
    for row in range(line, height):
        carry = np.maximum(carry * fade, values[row])
        trail[row] = carry
    soft = Image.fromarray((trail * 0.26).astype(np.uint8))
    return soft.filter(ImageFilter.GaussianBlur(max(0.6, width / 200)))


def camera_faults(picture: Image.Image, settings: SceneSettings, night: bool, rng: np.random.Generator) -> Image.Image:
    """Defocus or motion blur, exposure, colour cast, noise."""
    width, height = picture.size
    radius = float(rng.uniform(0, 1)) ** 2 * settings.blur * width / 1280
    if radius > 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    if rng.random() < 0.15 and settings.blur * width > 900:
        picture = shaken(picture, SHAKES[int(rng.integers(len(SHAKES)))])
    gain = rng.uniform(0.88, 1.12) * rng.uniform(0.96, 1.04, 3)
    gamma = rng.uniform(0.9, 1.12)
    ramp = np.linspace(0, 1, 256) ** gamma * 255
    table = np.concatenate([np.clip(ramp * share, 0, 255) for share in gain])
    picture = picture.point(np.round(table).astype(int).tolist())
    sigma = float(rng.uniform(0.3, 1)) * settings.noise * (1.7 if night else 1.0)
    values = np.array(picture, np.int16)
    values += grain((height, width), sigma, rng)[..., None]
    # The colour noise of a sensor is coarser than that of its brightness.
    coarse = grain((height // 2 + 1, width // 2 + 1, 3), sigma * 0.55, rng)
    values += coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return Image.fromarray(np.clip(values, 0, 255, out=values).astype(np.uint8))


def shaken(picture: Image.Image, steps: tuple[tuple[int, int], ...]) -> Image.Image:
    """The mean of a picture moved by `steps` within five pixels; its edge stays. Faster than a kernel, and the same."""
    values = np.array(picture)
    height, width, _ = values.shape
    total = np.full((height - 4, width - 4, 3), len(steps) // 2, np.uint16)
    for down, along in steps:
        total += values[down : height - 4 + down, along : width - 4 + along]
    values[2:-2, 2:-2] = total // len(steps)
    return Image.fromarray(values)


def grain(shape: tuple[int, ...], sigma: float, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """Normal noise in whole numbers, from 256 quantiles: ten times as fast as drawing it value by value."""
    quantiles = np.rint(np.array(QUANTILES) * sigma).astype(np.int16)
    return np.asarray(quantiles[rng.integers(0, 256, shape, np.uint8)])
