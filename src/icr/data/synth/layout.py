"""Where everything in a scene stands, and hence its labels; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from icr.data.synth.bodies import KINDS, PLATE_HEIGHT, PLATE_WIDTH, Facing, make
from icr.data.synth.camera import Array, Camera, hull
from icr.data.synth.census import deal
from icr.data.synth.outline import plate_corners, silhouette
from icr.data.synth.scene import Light, Pose, Road, Scene, Vehicle
from icr.data.synth.settings import SPLITS, SceneSettings
from icr.data.synth.sight import CLEAR, fits, plate_seen
from icr.errors import InputError


def generator(seed: int, split: str, index: int, *more: int) -> np.random.Generator:
    """The random numbers of one image, whatever is drawn before or beside it."""
    return np.random.default_rng([seed, SPLITS.index(split), index, *more])


def lay_out(
    settings: SceneSettings, seed: int, split: str, index: int, accept: Callable[[Scene], bool] | None = None
) -> Scene:
    """The scene of one image: even indices are days, odd ones nights.

    Args:
        settings: what it may contain.
        seed: 0 or more.
        split: ``train``, ``val`` or ``test``.
        index: number of the image in its split.
        accept: tells whether a scene that is not dealt from a census will do; another one is drawn where it will not.

    Raises:
        InputError: when nothing fits the settings, such as ten plates of half the picture's width.

    Example:
        >>> from icr.data.synth.settings import DEFAULT
        >>> scene = lay_out(DEFAULT, 0, "train", 3)
        >>> scene.light, scene.labels[:2].tolist(), scene.pairs[0]
        ('night', [0, 1], (0, 1))
    """
    rng = generator(seed, split, index)
    light: Light = "night" if index % 2 else "day"
    if settings.sizes:
        settings = replace(settings, size=picture_size(settings, seed, split, index), sizes=())
    if settings.census is not None:
        areas = deal(settings.census, seed, SPLITS.index(split), index)
        return _dealt(settings, rng, light, areas)
    best: Scene | None = None
    for _ in range(12):
        wanted = _count(settings, rng)
        for _ in range(6):
            scene = _try(settings, rng, light, wanted)
            if accept is not None and not accept(scene):
                continue
            if len(scene.pairs) == wanted:
                return scene
            if best is None or len(scene.pairs) > len(best.pairs):
                best = scene
        if best is not None and len(best.pairs) >= settings.plates[0]:
            return best
    raise InputError(
        f"no scene of {settings.size[0]}x{settings.size[1]} pixels fits plates {settings.plates}, plate_limits "
        f"{settings.plate_limits} and min_plate_area {settings.min_plate_area}: ask for fewer or narrower plates"
    )


def picture_size(settings: SceneSettings, seed: int, split: str, index: int) -> tuple[int, int]:
    """Width and height of one picture, in pixels."""
    if not settings.sizes:
        return settings.size
    shares = np.array([share for _, _, share in settings.sizes])
    width, height, _ = settings.sizes[
        int(generator(seed, split, index, 3).choice(len(shares), p=shares / shares.sum()))
    ]
    return width, height


BUSY = 5
"""Plates from which a scene needs a wide road."""

TRIES = 40
"""Views tried for an image until the vehicles that it was dealt find room."""


def _dealt(settings: SceneSettings, rng: np.random.Generator, light: Light, areas: tuple[float, ...]) -> Scene:
    """A scene whose plates have these areas in px², or nearly: where no view has room for all, some stand farther."""
    best: Scene | None = None
    for attempt in range(TRIES):
        strict = attempt < TRIES * 3 // 4
        scene = _try(settings, rng, light, len(areas), areas=areas, strict=strict)
        if len(scene.pairs) == len(areas):
            return scene
        if best is None or len(scene.pairs) > len(best.pairs):
            best = scene
    if best is None or not best.pairs:
        raise InputError(
            f"no scene of {settings.size[0]}x{settings.size[1]} pixels fits a plate of {max(areas):.0f} px²: "
            "ask for larger pictures, or smaller areas"
        )
    return best


def _count(settings: SceneSettings, rng: np.random.Generator) -> int:
    low, high = settings.plates
    if low == high:
        return low
    share = (settings.mean_plates - low) / (high - low)
    # A beta-binomial count: the mean asked for, with the long tail of real traffic.
    spread = rng.beta(max(share * 4.5, 1e-3), max((1 - share) * 4.5, 1e-3))
    return int(low + rng.binomial(high - low, spread))


def _try(
    settings: SceneSettings,
    rng: np.random.Generator,
    light: Light,
    wanted: int,
    areas: tuple[float, ...] = (),
    strict: bool = False,
) -> Scene:
    width, height = settings.size
    scale = float(np.sqrt(width * height))
    camera = Camera(
        focal=scale * float(rng.uniform(1.0, 1.45)),
        centre=width * float(rng.uniform(0.42, 0.58)),
        horizon=height * float(rng.uniform(0.38, 0.50)),
        height=float(rng.choice([rng.uniform(1.2, 1.7), rng.uniform(1.7, 2.6)], p=[0.75, 0.25])),
    )
    road = _road(rng)
    if len(areas) >= BUSY:
        # Many vehicles fit, and hide each other less, on a wide road before a camera that stands high.
        camera = replace(camera, height=float(rng.uniform(1.8, 3.4)))
        left, right = int(rng.integers(-4, -2)), int(rng.integers(2, 4))
        divider = left if road.divider == road.left else min(max(road.divider, left), right)
        road = Road(road.lane, left, right, divider, road.middle)
    if areas:
        # From higher up, the plate of the nearest vehicle would lie below the picture.
        widest = float(np.sqrt(max(areas) * (PLATE_WIDTH / PLATE_HEIGHT)))
        highest = 0.55 + 0.9 * PLATE_WIDTH * (height - camera.horizon) / widest
        camera = replace(camera, height=min(camera.height, max(highest, 1.1)))
    if settings.overlook and rng.random() < settings.overlook:
        camera, road = _bridge(camera, road, height, rng)
    median = max(settings.plate_width * wanted**-settings.crowding, settings.plate_limits[0])
    widths = np.exp(rng.normal(np.log(median), settings.spread, wanted))
    # Folding back keeps the sizes spread where clipping would heap them at the limits.
    low, high = settings.plate_limits
    if areas:
        low, high = 0.0, np.inf
        widths = np.sqrt(np.array(areas) * (PLATE_WIDTH / PLATE_HEIGHT))
    widths = np.where(widths < low, np.minimum(low * low / widths, high), widths)
    widths = np.where(widths > high, np.maximum(high * high / widths, low), widths)
    placed: list[Vehicle] = []
    for target in sorted(widths.tolist(), reverse=True):
        for attempt in range(24):
            # Where no room is left at this distance, there may be some farther away.
            distant = target if strict else max(target * 0.93 ** max(attempt - 6, 0), min(low, target))
            vehicle = _vehicle(settings, rng, camera, road, distant, exact=bool(areas))
            if vehicle is not None and fits(vehicle, placed, settings, hide=False):
                placed.append(vehicle)
                break
        else:
            if strict:
                break
    if rng.random() < settings.hidden:
        for _ in range(20):
            target = float(np.exp(rng.normal(np.log(median), settings.spread)))
            vehicle = _vehicle(settings, rng, camera, road, target, anywhere=True)
            if vehicle is not None and fits(vehicle, placed, settings, hide=True):
                placed.append(vehicle)
                break
    placed.sort(key=lambda vehicle: -vehicle.depth)
    return _labelled(settings, light, camera, road, placed)


def _road(rng: np.random.Generator) -> Road:
    lane = float(rng.uniform(3.0, 3.7))
    left, right = int(rng.integers(-3, 0)), int(rng.integers(0, 3))
    oncoming = rng.random()
    divider = left if oncoming < 0.16 else right + 1 if oncoming < 0.36 else int(rng.integers(left + 1, 1))
    return Road(lane, left, right, divider, float(rng.uniform(-0.45, 0.45)) * lane)


def _bridge(camera: Camera, road: Road, height: int, rng: np.random.Generator) -> tuple[Camera, Road]:
    """A view down from a bridge onto a road of six to nine lanes."""
    above = Camera(camera.focal, camera.centre, height * float(rng.uniform(0.16, 0.26)), float(rng.uniform(5.0, 7.5)))
    left, right = -int(rng.integers(3, 5)), int(rng.integers(3, 5))
    return above, Road(road.lane, left, right, int(rng.choice([left, 0, 0, right + 1])), road.middle)


def _vehicle(
    settings: SceneSettings,
    rng: np.random.Generator,
    camera: Camera,
    road: Road,
    target: float,
    anywhere: bool = False,
    exact: bool = False,
) -> Vehicle | None:
    """A vehicle at the distance at which a plate of one line is `target` pixels wide.

    None when its plate falls outside the picture. With `exact` its plate has the very area of a plate of one line that
    is seen straight on, `target` pixels wide, whatever its own shape and however it is turned.
    """
    shares = np.array(settings.kinds) / sum(settings.kinds)
    body = make(KINDS[int(rng.choice(len(shares), p=shares))], rng, settings.two_lines)
    z = camera.focal * PLATE_WIDTH / target
    reach = (settings.size[0] * 0.5) * z / camera.focal
    lanes = [
        lane for lane in range(road.left, road.right + 1) if abs(lane * road.lane + road.middle) < reach + anywhere
    ]
    lane = int(rng.choice(lanes)) if lanes else 0
    facing: Facing = "front" if lane < road.divider else "rear"
    x = lane * road.lane + road.middle + float(rng.normal(0, 0.22))
    yaw = float(np.radians(rng.normal(0, 1.5) if rng.random() < 0.85 else rng.uniform(-14, 14)))
    if settings.turning and body.kind == "motorcycle" and rng.random() < settings.turning:
        yaw = float(np.radians(rng.uniform(-72, 72)))
    pose = Pose(x, z, yaw)
    quad = camera.project(pose.place(plate_corners(body.end(facing))))
    if exact:
        for _ in range(3):
            found = float((quad.max(axis=0) - quad.min(axis=0)).prod())
            pose = Pose(x, pose.z * float(np.sqrt(found / (target * target * PLATE_HEIGHT / PLATE_WIDTH))), yaw)
            quad = camera.project(pose.place(plate_corners(body.end(facing))))
    (left, top), (right, bottom) = quad.min(axis=0).tolist(), quad.max(axis=0).tolist()
    width, height = settings.size
    whole = left >= 2 and top >= 2 and right <= width - 2 and bottom <= height - 2
    gone = right < -1 or left > width + 1 or top > height + 1
    large = (right - left) * (bottom - top) >= settings.min_plate_area * 1.001
    if not ((whole and large) or (anywhere and gone)):
        return None
    points = np.concatenate([silhouette(body, facing, pose, camera), quad])
    limits = np.array([width, height, width, height], np.float64)
    box = np.clip(np.concatenate([points.min(axis=0), points.max(axis=0)]), 0, limits)
    return Vehicle(body, facing, pose, lane, hull(points), quad, box)


def _labelled(settings: SceneSettings, light: Light, camera: Camera, road: Road, placed: list[Vehicle]) -> Scene:
    """The scene with its labels: plate and vehicle in turn, then the vehicles whose plate cannot be seen."""
    labels: list[int] = []
    boxes: list[Array] = []
    pairs: list[tuple[int, int]] = []
    alone: list[Vehicle] = []
    for index, vehicle in enumerate(placed):
        if plate_seen(vehicle, placed[index + 1 :], settings.size) < CLEAR:
            alone.append(vehicle)
            continue
        pairs.append((len(boxes), len(boxes) + 1))
        labels += [0, 1]
        boxes += [np.concatenate([vehicle.quad.min(axis=0), vehicle.quad.max(axis=0)]), vehicle.box]
    labels += [1] * len(alone)
    boxes += [vehicle.box for vehicle in alone]
    return Scene(
        settings.size,
        light,
        camera,
        road,
        tuple(placed),
        np.array(labels, np.int64),
        np.array(boxes, np.float64).reshape(-1, 4),
        tuple(pairs),
    )
