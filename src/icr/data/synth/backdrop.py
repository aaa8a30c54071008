"""Sky, skyline and ground, before anything stands on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from icr.data.synth.canvas import OVERSAMPLE
from icr.data.synth.plates import Rgb
from icr.data.synth.scene import Scene

Picture = npt.NDArray[np.float32]
"""Values 0..255, (height, width) or (height, width, 3)."""


def backdrop(scene: Scene, haze: Rgb, zenith: Rgb, rng: np.random.Generator) -> Image.Image:
    """Sky and ground, RGB, as large as the canvas."""
    width, height = scene.size
    horizon = int(np.clip(scene.camera.horizon, 1, height - 1))
    share = np.clip(np.arange(height) / horizon, 0, 1)[:, None, None] ** 1.4
    picture: Picture = np.empty((height, width, 3), np.float32)
    picture[:] = (1 - share) * np.array(zenith) + share * np.array(haze)
    bright = clouds(width, horizon, rng) * (34 if scene.light == "day" else 8)
    for number in range(3):
        picture[:horizon, :, number] += bright
    ground(picture[horizon:], scene, haze, rng)
    skyline(picture, scene, haze, horizon, rng)
    small = Image.fromarray(np.clip(picture, 0, 255, out=picture).astype(np.uint8))
    # Shrinking the canvas undoes this exactly, so nothing smoother is needed.
    return small.resize((width * OVERSAMPLE, height * OVERSAMPLE), Image.Resampling.NEAREST)


def skyline(picture: Picture, scene: Scene, haze: Rgb, horizon: int, rng: np.random.Generator) -> None:
    """Draw far houses and woods, nearly as pale as the haze, along the horizon of a picture (height, width, 3)."""
    width, height = scene.size
    tone = np.array(haze) * 0.86 + np.array([70, 80, 90]) * (0.14 if scene.light == "day" else 0.05)
    column = 0
    while column < width:
        wide = int(rng.uniform(0.015, 0.06) * width) + 1
        tall = int(height * rng.uniform(0.012, 0.06) * (2 if rng.random() < 0.2 else 1))
        picture[max(0, horizon - tall) : horizon, column : column + wide] = tone * rng.uniform(0.95, 1.04)
        column += wide


def clouds(width: int, height: int, rng: np.random.Generator) -> Picture:
    """Soft patches (height, width), 0..1."""
    total = np.zeros((height, width), np.float32)
    for columns, weight in ((5, 0.5), (11, 0.3), (24, 0.2)):
        coarse = rng.random((max(2, columns * height // (width * 1) + 2), columns)).astype(np.float32)
        sheet = Image.fromarray((coarse * 255).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
        total += weight * np.asarray(sheet, np.float32) / 255
    return np.asarray(np.clip((total - 0.45) * 3, 0, 1), np.float32)


def ground(picture: Picture, scene: Scene, haze: Rgb, rng: np.random.Generator) -> None:
    """Fill the part (rows, width, 3) below the horizon: asphalt and what lies beside it, with grain."""
    width, height = scene.size
    camera = scene.camera
    rows = np.arange(height - len(picture), height, dtype=np.float32) + np.float32(0.5)
    depth = camera.focal * camera.height / np.maximum(rows - camera.horizon, 0.5)
    x = (np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5 - camera.centre)) * depth[:, None] / camera.focal
    left, right = scene.road.edges()
    asphalt = np.array([94, 95, 97], np.float32) * np.float32(rng.uniform(0.82, 1.12))
    verge = np.array([[104, 116, 74], [134, 128, 112], [122, 124, 122]][int(rng.integers(3))]) * rng.uniform(0.85, 1.1)
    on_road = (x > left) & (x < right)
    rough = tiled(rng.standard_normal((256, 256)).astype(np.float32), depth * 40, x * 60)
    # Grain shrinks with the distance.
    rough *= (np.clip(5.0 / depth, 0.15, 1) * 5)[:, None]
    rough += tiled(seamless(rng), depth * 9, x * 16) * 22
    wear = np.cos((x - np.float32(scene.road.middle)) * np.float32(4 * np.pi / scene.road.lane)) * np.float32(4)
    rough -= wear * on_road
    veil = (1 - np.exp(-depth / 220.0))[:, None]
    # Colour by colour: several times as fast as all three in the innermost place.
    for number, (road, beside) in enumerate(zip(asphalt, verge.astype(np.float32), strict=True)):
        plane = np.where(on_road, road, beside)
        plane += rough
        plane *= 1 - veil
        plane += np.float32(haze[number]) * veil
        picture[..., number] = plane


def tiled(pattern: Picture, down: Picture, along: Picture) -> Picture:
    """A pattern (256, 256) that repeats, at the rows `down` (N,) and the columns `along` (N, M)."""
    place = np.floor(along).astype(np.int32)
    place &= 255
    place |= ((np.floor(down).astype(np.int32) & 255) << 8)[:, None]
    return np.asarray(pattern.ravel()[place])


def seamless(rng: np.random.Generator) -> Picture:
    """Soft patches (256, 256), -0.5..0.5, that repeat without a seam."""
    total = np.zeros((256, 256), np.float32)
    for cells, weight in ((8, 0.6), (32, 0.4)):
        coarse = (rng.random((cells, cells)) * 255).astype(np.uint8)
        step = 256 // cells
        sheet = Image.fromarray(np.pad(coarse, 4, mode="wrap"))
        large = sheet.resize(((cells + 8) * step, (cells + 8) * step), Image.Resampling.BICUBIC)
        total += weight * np.asarray(large, np.float32)[4 * step : 4 * step + 256, 4 * step : 4 * step + 256] / 255
    return np.asarray(total - 0.5, np.float32)
