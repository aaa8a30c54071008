"""What a generated road scene may contain, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from icr.data.synth.census import Census
from icr.errors import InputError

Split = Literal["train", "val", "test"]
SPLITS: tuple[str, ...] = get_args(Split)

MAX_SIDE = 8192
MIN_SIDE = 96

MOST_PLATES = 40
"""More than that do not find room before one camera."""


CHANCES = ("overlook", "turning", "two_lines", "rain", "motion", "glare", "recompressed")


@dataclass(frozen=True)
class SceneSettings:
    """The statistics of the scenes; lengths in pixels are those of a picture of `size` and grow with the picture.

    Attributes:
        size: width and height of the pictures in pixels.
        plates: least and most plates that an image holds.
        mean_plates: mean number of plates an image that is asked for; crowded scenes do not always fit, so a little
            fewer come.
        plate_width: median width of a plate in pixels in an image with one plate.
        crowding: exponent by which the median shrinks with the number of plates: more vehicles stand farther away.
        spread: standard deviation of the logarithm of the plate's width.
        plate_limits: narrowest and widest plate in pixels.
        min_plate_area: smallest box of a plate in px².
        hidden: share of images with one more vehicle whose plate is hidden or outside the picture.
        lures: 0..1, how many things that resemble plates (stickers, signs, displays) appear.
        kinds: share of cars, vans, trucks, buses and motorcycles.
        census: numbers and sizes that the whole set must come to, in place of `plates`, `mean_plates`, `plate_width`,
            `crowding`, `spread` and `plate_limits`; None draws each image by these.
        sizes: (width, height, share) of the pictures where they are of several sizes, in place of `size`.
        overlook: share of the scenes seen from a bridge over a wide road.
        turning: share of the motorcycles that turn off the road, and so are seen from the side.
        two_lines: share of the rear plates of trucks and buses, and of the plates of motorcycles, with two lines.
        rain: share of the scenes in rain.
        motion: share of the pictures that the camera's own motion blurs.
        glare: share of the nights in which headlamps dazzle the camera.
        recompressed: share of the pictures that were compressed once before, hard, as the frames of a video are.
        blur: largest blur radius in pixels of a 1,280-pixel-wide picture.
        noise: largest standard deviation of the sensor noise by day, of 255; 1.7 times that at night.
        darkness: 0..1, how dark a night is.
        quality: lowest and highest JPEG quality.

    Example:
        >>> DEFAULT.size, CLOSE.size
        ((1280, 720), (384, 288))
    """

    size: tuple[int, int] = (1280, 720)
    plates: tuple[int, int] = (1, 10)
    mean_plates: float = 3.05
    plate_width: float = 96.0
    crowding: float = 0.3
    spread: float = 0.7
    plate_limits: tuple[float, float] = (11.0, 330.0)
    min_plate_area: float = 36.0
    hidden: float = 0.15
    lures: float = 0.6
    kinds: tuple[float, ...] = (0.64, 0.13, 0.11, 0.06, 0.06)
    census: Census | None = None
    sizes: tuple[tuple[int, int, float], ...] = ()
    overlook: float = 0.0
    turning: float = 0.0
    two_lines: float = 0.6
    rain: float = 0.14
    motion: float = 0.14
    glare: float = 0.3
    recompressed: float = 0.25
    blur: float = 1.1
    noise: float = 3.6
    darkness: float = 0.7
    quality: tuple[int, int] = (68, 94)

    def __post_init__(self) -> None:
        """Refuse settings that no scene can meet.

        Raises:
            InputError: naming the setting, its value and what it may be.
        """
        check_size(self.size)
        low, high = self.plates
        if not 1 <= low <= high <= MOST_PLATES:
            raise InputError(
                f"plates is {self.plates}: expected least and most plates an image, within 1 to {MOST_PLATES}"
            )
        if not low <= self.mean_plates <= high:
            raise InputError(f"mean_plates is {self.mean_plates}: expected a number within plates, {low} to {high}")
        narrow, wide = self.plate_limits
        if not 4 <= narrow <= self.plate_width <= wide <= 0.5 * self.size[0]:
            raise InputError(
                f"plate_width is {self.plate_width} and plate_limits {self.plate_limits}: "
                "expected 4 <= narrowest <= median <= widest <= half the picture's width"
            )
        for name in ("hidden", "lures", "darkness", *CHANCES):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}: expected 0 to 1")
        if len(self.kinds) not in (4, 5) or min(self.kinds) < 0 or sum(self.kinds) <= 0:
            raise InputError(f"kinds is {self.kinds}: expected the shares of cars, vans, trucks, buses and motorcycles")
        for *side, share in self.sizes:
            check_size((int(side[0]), int(side[1])))
            if share <= 0:
                raise InputError(f"sizes is {self.sizes}: expected (width, height, share) with shares above 0")
        if not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise InputError(f"quality is {self.quality}: expected lowest and highest JPEG quality, within 1 to 100")
        for name, most in (("crowding", 2), ("spread", 2), ("blur", 20), ("noise", 50)):
            if not 0 <= getattr(self, name) <= most:
                raise InputError(f"{name} is {getattr(self, name)}: expected 0 to {most}")


def check_size(size: tuple[int, int]) -> None:
    """Refuse a picture size that cannot hold a scene.

    Raises:
        InputError: when a side is too short or too long, or the picture is a strip.
    """
    width, height = size
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in size) or not 0.5 <= width / height <= 3:
        raise InputError(
            f"size is {width}x{height}: expected sides of {MIN_SIDE} to {MAX_SIDE} pixels, "
            "the width 0.5 to 3 times the height"
        )


DEFAULT = SceneSettings(
    hidden=0.0,
    census=Census(
        images=(30, 22, 16, 12, 8, 5, 3, 2, 1, 1),
        areas=((0.0, 36.05), (0.01, 60.0), (0.182, 200.0), (0.526, 1024.0), (0.9599, 9216.0), (1.0, 26000.0)),
    ),
)
"""Scenes with the numbers and sizes of the paper's data set, SVMLP, in pictures of one size."""

SVMLP = replace(
    DEFAULT,
    size=(1920, 1080),
    sizes=((1920, 1080, 0.5), (1440, 1080, 0.2), (1280, 1080, 0.15), (1080, 1280, 0.15)),
)
"""The stand-in for SVMLP, in its mixture of resolutions."""

CROWDED = SceneSettings(
    plates=(8, 30),
    mean_plates=15.0,
    plate_width=62.0,
    crowding=0.12,
    spread=0.55,
    plate_limits=(11.0, 200.0),
    hidden=0.0,
    overlook=1.0,
)
"""Dense traffic seen from a bridge: more vehicles in an image than SVMLP ever has."""

RIDERS = SceneSettings(
    plates=(1, 7),
    mean_plates=2.8,
    plate_width=58.0,
    crowding=0.25,
    spread=0.55,
    plate_limits=(16.0, 150.0),
    min_plate_area=9.0,
    hidden=0.0,
    kinds=(0.16, 0.05, 0.03, 0.03, 0.73),
    turning=0.45,
)
"""Motorcycles with people on them, among other vehicles."""

CLOSE = SceneSettings(
    size=(384, 288),
    plates=(1, 2),
    mean_plates=1.5,
    plate_width=36.0,
    crowding=0.2,
    spread=0.4,
    plate_limits=(19.0, 74.0),
    hidden=0.0,
    lures=0.25,
    kinds=(0.72, 0.14, 0.08, 0.06),
    two_lines=0.0,
    rain=0.0,
    motion=0.0,
    glare=0.0,
    recompressed=0.0,
    blur=0.9,
    noise=3.0,
    darkness=0.5,
    quality=(85, 95),
)
"""Small pictures with one or two vehicles near the camera: what a tiny network learns in minutes."""
