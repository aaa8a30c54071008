"""Whether pictures were taken by day or by night: as the data says, else, where asked for, by their brightness."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr.data.compact import Paths
from icr.data.dataset import Dataset, Sample
from icr.data.manifest import read_manifest, told_of

if TYPE_CHECKING:
    from PIL import Image

KEYS = ("light", "time_of_day", "timeofday", "daytime", "time", "day_night")
"""Attributes of a picture that may say ``day`` or ``night``."""


def lights(dataset: Dataset, *, measure: bool = False) -> Counter[str]:
    """Count the pictures taken by ``day`` and by ``night``, and those of which it is ``unknown``.

    What counts is an attribute of the picture, or what the `manifest.json` beside the set's `data.yaml` says of it.
    With `measure`, pictures that neither speaks of are decoded and told apart by their brightness (`measured`).
    """
    every = (sample for samples in dataset.splits.values() for sample in samples)
    counts: Counter[str] = Counter()
    asked = Paths()
    for sample, light in lights_told(dataset.source, every):
        if light or not measure:
            counts[light or "unknown"] += 1
        else:
            asked.append(str(sample.image))
    counts.update(measured_all(asked))
    return Counter({light: number for light, number in counts.items() if number})


def lights_told(source: Path, samples: Iterable[Sample]) -> Iterator[tuple[Sample, str]]:
    """Each picture with ``day`` or ``night``, as its attributes or the manifest beside `source` say; else empty."""
    manifest = read_manifest(source)
    return ((sample, said_of(sample.attributes) or said_of(told_of(manifest, sample.image))) for sample in samples)


def stated(sample: Sample) -> str:
    """``day`` or ``night`` as the attributes of a picture say; empty when they do not.

    Example:
        >>> import numpy as np
        >>> none = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
        >>> stated(Sample(Path("a.jpg"), 8, 8, *none, attributes={"timeofday": "Night"}))
        'night'
    """
    return said_of(sample.attributes)


def said_of(attributes: Mapping[str, Any]) -> str:
    """``day`` or ``night`` as attributes say; empty when they do not."""
    for key in KEYS:
        value = attributes.get(key)
        if isinstance(value, str):
            word = value.strip().lower()
            if word in ("night", "nighttime"):
                return "night"
            if word in ("day", "daytime", "daylight"):
                return "day"
    return ""


def measured_all(images: Iterable[Path | str]) -> Iterator[str]:
    """What `measured` says of many pictures, in order."""
    with ThreadPoolExecutor(max(os.cpu_count() or 1, 2)) as pool:  # Pillow frees the interpreter meanwhile
        yield from pool.map(measured, images)


def measured(image: Path | str) -> str:
    """``day`` or ``night`` by the brightness of a picture's upper half, ``unknown`` when it cannot be decoded.

    JPEG is decoded at an eighth of its size. That is a rule of thumb for road scenes, the one by which
    `icr data from-video` goes (`icr.data.video.light`); dusk, tunnels and close-ups of dark vehicles mislead it.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(image) as opened:
                opened.draft("L", (max(opened.width // 8, 1), max(opened.height // 8, 1)))
                return shown(ImageOps.exif_transpose(opened))
    except Exception:  # Pillow's plug-ins raise whatever a broken file makes them stumble over
        return "unknown"


def shown(picture: Image.Image) -> str:
    """``day`` or ``night`` by the brightness of a decoded picture's upper half."""
    import numpy as np

    from icr.data.video.light import NIGHT_BELOW, brightness

    return "night" if brightness(np.asarray(picture.convert("L"), np.float32)) < NIGHT_BELOW else "day"
