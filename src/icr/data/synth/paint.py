"""From a laid-out scene to a picture: draw, light, and what a camera does to it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from icr.data.synth import scenery
from icr.data.synth.camera import Camera
from icr.data.synth.canvas import OVERSAMPLE, Canvas, flat
from icr.data.synth.layout import Scene, generator
from icr.data.synth.plates import Rgb
from icr.data.synth.settings import SceneSettings
from icr.data.synth.vehicles import paint_vehicle

SKIES: tuple[tuple[Rgb, Rgb], ...] = (
    ((206, 216, 224), (96, 146, 206)), ((214, 216, 218), (172, 182, 194)), ((226, 210, 190), (130, 158, 194)),
    ((188, 194, 200), (140, 150, 162)),
)  # fmt: skip
"""Colours of the horizon and the zenith by day."""


def paint(scene: Scene, settings: SceneSettings, seed: int, split: str, index: int) -> tuple[Image.Image, int]:
    """The picture of a scene, RGB, and the JPEG quality it is to be written with."""
    rng = generator(seed, split, index, 1)
    night = scene.light == "night"
    haze, zenith = ((34, 38, 50), (8, 10, 18)) if night else SKIES[int(rng.integers(len(SKIES)))]
    image = scenery.backdrop(scene, haze, zenith, rng)
    canvas = Canvas(image, Image.new("RGB", image.size), scene.camera.scaled(OVERSAMPLE), haze, night)
    scenery.markings(canvas, scene.road, rng)
    scenery.houses(canvas, scene.road, rng)
    feet = scenery.lamps(canvas, scene.road, rng)
    scenery.road_signs(canvas, scene.road, settings.lures, rng)
    scenery.shadows(canvas, scene)
    for number, vehicle in enumerate(scene.vehicles):
        paint_vehicle(canvas, vehicle, scene.camera.focal, settings.lures, generator(seed, split, index, 2, number))
    picture = canvas.image.reduce(OVERSAMPLE)
    glow = canvas.glow.reduce(OVERSAMPLE)
    if night:
        picture = ImageChops.multiply(picture, night_light(scene, settings.darkness, feet, rng))
    picture = ImageChops.add(picture, bloom(glow, night))
    return camera_faults(picture, settings, night, rng), int(rng.integers(settings.quality[0], settings.quality[1] + 1))


def night_light(
    scene: Scene, darkness: float, feet: list[tuple[float, float, float]], rng: np.random.Generator
) -> Image.Image:
    """What lights a night, RGB to multiply with: a dim sky, pools below the lamps, our own beam."""
    width, height = scene.size
    size = max(2, width // 8), max(2, height // 8)
    camera: Camera = scene.camera.scaled(1 / 8)
    ambient = 1 - 0.78 * darkness
    base = tuple(int(255 * ambient * tint) for tint in (0.86, 0.92, 1.0))
    sheet = Image.new("RGB", size, base)
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    pools = Image.new("RGB", size)
    draw = ImageDraw.Draw(pools)
    for x, z, _ in feet:
        ring = np.stack([x + 5.5 * np.cos(angles), np.zeros(20), np.maximum(z + 8 * np.sin(angles), 0.7)], axis=-1)
        draw.polygon(flat(camera.project(ring)), fill=(84, 66, 40))
    beam = np.array([[-2.2, 0.0, 2.0], [2.2, 0.0, 2.0], [6.0, 2.2, 42.0], [-5.0, 2.2, 42.0]])
    throw = Image.new("RGB", size)
    ImageDraw.Draw(throw).polygon(flat(camera.project(beam)), fill=(100, 98, 90))
    pools = pools.filter(ImageFilter.GaussianBlur(size[0] / 36))
    throw = throw.filter(ImageFilter.GaussianBlur(size[0] / 14))
    lit = ImageChops.add(ImageChops.add(sheet, pools), throw)
    return lit.resize((width, height), Image.Resampling.BILINEAR)


def bloom(glow: Image.Image, night: bool) -> Image.Image:
    """Lamps with the halo that a lens gives them, RGB to add."""
    if not night:
        return glow
    width, height = glow.size
    total = glow
    for step, radius, gain in ((2, width / 400, 0.9), (4, width / 170, 1.1), (8, width / 60, 1.0)):
        small = glow.reduce(step).filter(ImageFilter.GaussianBlur(radius / step))
        small = small.point(lambda value, gain=gain: min(255, int(value * gain)))
        total = ImageChops.add(total, small.resize((width, height), Image.Resampling.BILINEAR))
    return total


def camera_faults(picture: Image.Image, settings: SceneSettings, night: bool, rng: np.random.Generator) -> Image.Image:
    """Defocus or motion blur, exposure, colour cast, noise."""
    width, height = picture.size
    radius = float(rng.uniform(0, 1)) ** 2 * settings.blur * width / 1280
    if radius > 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(radius))
    gain = rng.uniform(0.88, 1.12) * rng.uniform(0.96, 1.04, 3)
    gamma = rng.uniform(0.9, 1.12)
    ramp = np.linspace(0, 1, 256) ** gamma * 255
    table = np.concatenate([np.clip(ramp * share, 0, 255) for share in gain])
    picture = picture.point(np.round(table).astype(int).tolist())
    sigma = float(rng.uniform(0.3, 1)) * settings.noise * (2.0 if night else 1.0)
    values = np.asarray(picture, np.float32)
    noise = rng.standard_normal((height, width, 1), np.float32) * sigma
    coarse = rng.standard_normal((height // 2 + 1, width // 2 + 1, 3), np.float32) * (sigma * 0.6)
    noise = noise + coarse.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]
    return Image.fromarray(np.clip(values + noise + 0.5, 0, 255).astype(np.uint8))
