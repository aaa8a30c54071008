"""Measuring the frames at random moments of a video, and keeping the measurements for a run that goes on later."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from icr.data.video.blur import blur
from icr.data.video.hashing import perceptual_hash
from icr.data.video.light import brightness
from icr.data.video.sampling import Video, VideoError, moments, shots
from icr.runs import write_json

_LONGEST = 480


@dataclass(frozen=True)
class Measured:
    """A frame and what was measured on it.

    Attributes:
        seconds: its time in the video.
        hash: hexadecimal `perceptual_hash`.
        blur: 0..1, see `blur`.
        brightness: 0..255, see `brightness`.
    """

    seconds: float
    hash: str
    blur: float
    brightness: float


@dataclass(frozen=True)
class Scan:
    """The frames of a video at some of its moments, by time, and what could not be decoded."""

    frames: tuple[Measured, ...]
    faults: tuple[str, ...]


def scan(
    video: Video, first: int, last: int, seed: int, store: Path, seen: Callable[[int], None] = lambda count: None
) -> Scan:
    """Measure a video at its moments `first` up to `last`; done once, then read from `store`.

    Args:
        video: the video.
        first, last: which moments, see `moments`.
        seed: of the moments.
        store: a folder for the measurements.
        seen: told how many moments were dealt with since it was last told.
    """
    file = store / f"{video.digest}-{first}-{last}.json"
    stored = _stored(file)
    if stored is None:
        stored = _measure(video, first, last, seed, seen)
        write_json(file, {"frames": [asdict(each) for each in stored.frames], "faults": list(stored.faults)})
    else:
        seen(last - first)
    return stored


def _measure(video: Video, first: int, last: int, seed: int, seen: Callable[[int], None]) -> Scan:
    faults: list[str] = []
    frames = []
    told = 0
    try:
        for shot in shots(video.path, moments(video, first, last, seed), faults):
            luma = (shot.rgb(_LONGEST) @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32)
            digest = perceptual_hash(luma).tobytes().hex()
            frames.append(Measured(shot.seconds, digest, round(blur(luma), 4), round(brightness(luma), 2)))
            seen(shot.place + 1 - told)
            told = shot.place + 1
    except VideoError as error:
        faults.append(f"{video.path}: {error}")
    seen(last - first - told)
    return Scan(tuple(frames), tuple(faults))


def _stored(file: Path) -> Scan | None:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return Scan(tuple(Measured(**each) for each in content["frames"]), tuple(content["faults"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # written by something else; measured anew
