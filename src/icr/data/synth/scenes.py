"""The kinds of scene, each with its classes and relations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from icr.data.synth import doors, riders
from icr.data.synth.camera import Array
from icr.data.synth.indoors import paint_doors
from icr.data.synth.layout import lay_out
from icr.data.synth.paint import paint
from icr.data.synth.scene import Light
from icr.data.synth.settings import DEFAULT, RIDERS, SceneSettings
from icr.errors import InputError, nearest


class Layout(Protocol):
    """What a scene of any kind has before it is drawn.

    Attributes:
        size: width and height in pixels.
        light: ``day`` or ``night``.
        labels: int64 (N,), places in the stage's names.
        boxes: float64 (N, 4), xyxy pixels.
        pairs: rows of each child and of its parent.
    """

    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def light(self) -> Light: ...
    @property
    def labels(self) -> npt.NDArray[np.int64]: ...
    @property
    def boxes(self) -> Array: ...
    @property
    def pairs(self) -> tuple[tuple[int, int], ...]: ...


@dataclass(frozen=True)
class Stage:
    """One kind of scene.

    Attributes:
        names: its classes.
        relations: names of child and parent.
        settings: what it is made from unless settings are given.
        lay_out: the layout of the image (settings, seed, split, index).
        paint: picture and JPEG quality of a layout (layout, settings, seed, split, index).
    """

    names: tuple[str, ...]
    relations: tuple[tuple[str, str], ...]
    settings: SceneSettings
    lay_out: Callable[[SceneSettings, int, str, int], Any]
    paint: Callable[[Any, SceneSettings, int, str, int], tuple[Image.Image, int]]


STAGES: dict[str, Stage] = {
    "road": Stage(("plate", "vehicle"), (("plate", "vehicle"),), DEFAULT, lay_out, paint),
    "rider": Stage(riders.NAMES, riders.RELATIONS, RIDERS, riders.lay_out_riders, paint),
    "door": Stage(doors.NAMES, doors.RELATIONS, DEFAULT, doors.lay_out_doors, paint_doors),
}


def stage(name: str) -> Stage:
    """The kind of scene with a name.

    Raises:
        InputError: when there is none, with the names there are.
    """
    if name not in STAGES:
        raise InputError(f"scene {name!r} is unknown: expected {', '.join(STAGES)}{nearest(name, list(STAGES))}")
    return STAGES[name]
