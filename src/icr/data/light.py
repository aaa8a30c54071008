"""Whether pictures were taken by day or by night: as the data says, else, where asked for, by their brightness."""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from icr.data.dataset import Dataset, Sample

KEYS = ("light", "time_of_day", "timeofday", "daytime", "time", "day_night")
"""Attributes of a picture that may say ``day`` or ``night``."""

DARK = 75
"""A picture whose mean luma (0 to 255) is below this counts as night."""


def lights(dataset: Dataset, *, measure: bool = False) -> Counter[str]:
    """Count the pictures taken by ``day`` and by ``night``, and those of which it is ``unknown``.

    What counts is an attribute of the picture, or the `manifest.json` that generated scenes have beside their
    `data.yaml`. With `measure`, pictures that neither speaks of are decoded (JPEG at an eighth of its size) and count
    as night where their mean luma is below 75. That is a rule of thumb for road scenes, right for 58 of 60 generated
    ones; dusk, tunnels and close-ups of dark vehicles mislead it.
    """
    told = lights_told(dataset.source, [sample for samples in dataset.splits.values() for sample in samples])
    counts = Counter(light for _, light in told if light)
    asked = [sample.image for sample, light in told if not light]
    if not measure:
        counts["unknown"] += len(asked)
    else:
        with ThreadPoolExecutor(max(os.cpu_count() or 1, 2)) as pool:  # Pillow frees the interpreter meanwhile
            for luma in pool.map(mean_luma, asked):
                counts["unknown" if luma is None else "night" if luma < DARK else "day"] += 1
    return Counter({light: number for light, number in counts.items() if number})


def lights_told(source: Path, samples: Sequence[Sample]) -> list[tuple[Sample, str]]:
    """Each picture with ``day`` or ``night``, as its attributes or the manifest beside `source` say; else empty."""
    manifest = _manifest(source)
    return [(sample, stated(sample) or manifest.get(os.path.normpath(sample.image), "")) for sample in samples]


def stated(sample: Sample) -> str:
    """``day`` or ``night`` as the attributes of a picture say; empty when they do not.

    Example:
        >>> import numpy as np
        >>> none = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
        >>> stated(Sample(Path("a.jpg"), 8, 8, *none, attributes={"timeofday": "Night"}))
        'night'
    """
    for key in KEYS:
        value = sample.attributes.get(key)
        if isinstance(value, str):
            word = value.strip().lower()
            if word in ("night", "nighttime"):
                return "night"
            if word in ("day", "daytime", "daylight"):
                return "day"
    return ""


def mean_luma(image: Path) -> float | None:
    """The mean luma of a picture, 0 to 255; None when it cannot be decoded."""
    from PIL import Image, ImageStat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(image) as opened:
                opened.draft("L", (max(opened.width // 8, 1), max(opened.height // 8, 1)))
                return float(ImageStat.Stat(opened.convert("L")).mean[0])
    except Exception:  # Pillow's plug-ins raise whatever a broken file makes them stumble over
        return None


def _manifest(source: Path) -> dict[str, str]:
    """The light of each picture, by path, from the manifest of generated scenes; empty when there is none."""
    folder = Path(os.path.abspath(source if source.is_dir() else source.parent))  # noqa: PTH100 (links stay)
    try:
        content: Any = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        entries = [(each["image"], each["light"]) for each in content["images"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return {
        os.path.normpath(folder / image): light
        for image, light in entries
        if isinstance(image, str) and light in ("day", "night")
    }
