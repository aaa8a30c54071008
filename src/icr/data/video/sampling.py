"""Videos, moments drawn at random in them, and the frames at those moments (PyAV)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from icr.drawing import Picture

_NEAR = 3.0
"""Seconds ahead up to which decoding on is taken to be quicker than a jump to a keyframe."""

_FAULTS = 8
"""After so many damaged places in a row the rest of a video is given up."""

_ENDS = 2**20


class VideoError(Exception):
    """A file that is no readable video; the text says why."""


@dataclass(frozen=True)
class Video:
    """A video file.

    Attributes:
        path: the file.
        name: what its pictures are called by; unique among the videos at hand.
        group: the videos of one group stay in one split.
        digest: hexadecimal, of its length and both its ends, wherever it lies.
        start, seconds: the time of its first frame, and for how long it runs.
    """

    path: Path
    name: str
    group: str
    digest: str
    start: float
    seconds: float


@dataclass(frozen=True)
class Shot:
    """A decoded frame: the place in the list of moments it was taken for, its time in seconds, and PyAV's frame."""

    place: int
    seconds: float
    frame: Any

    def rgb(self, longest: int | None = None) -> Picture:
        """Its pixels, RGB (height, width, 3), upright; brought to `longest` pixels by averaging when it is larger."""
        frame = self.frame
        scale = 1.0 if longest is None else min(1.0, longest / max(frame.width, frame.height))
        if scale < 1:
            size = max(round(frame.width * scale), 1), max(round(frame.height * scale), 1)
            pixels = frame.reformat(*size, format="rgb24", interpolation="AREA").to_ndarray()
        else:
            pixels = frame.to_ndarray(format="rgb24")
        upright: Picture = np.ascontiguousarray(np.rot90(pixels, round(getattr(frame, "rotation", 0) / 90) % 4))
        return upright


def describe(path: Path, name: str, group: str) -> Video:
    """Look at a video file without decoding it.

    Raises:
        VideoError: it is no video, or runs for no time.
    """
    import av

    try:
        digest = _digest(path)
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise VideoError("it holds no video stream")
            stream = container.streams.video[0]
            start = float(stream.start_time * stream.time_base) if stream.start_time is not None else 0.0
            if stream.duration is not None:
                seconds = float(stream.duration * stream.time_base)
            elif container.duration is not None:
                seconds = container.duration / av.time_base
            else:
                seconds = _last_time(container, stream) - start
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(_reason(error)) from None
    if not seconds > 0:
        raise VideoError("it runs for no time")
    return Video(path, name, group, digest, start, seconds)


def _digest(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        digest.update(str(size).encode())
        for place in (0, max(size - _ENDS, 0)):
            file.seek(place)
            digest.update(file.read(_ENDS))
    return digest.hexdigest()


def _last_time(container: Any, stream: Any) -> float:
    """The time at which the last packet ends; found without decoding."""
    ends = [
        float((packet.pts + (packet.duration or 0)) * stream.time_base)
        for packet in container.demux(stream)
        if packet.pts is not None
    ]
    return max(ends, default=0.0)


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__


def moments(video: Video, first: int, last: int, seed: int) -> npt.NDArray[np.float64]:
    """Draw moments, uniform over a video: those numbered `first` up to `last` of an endless row, sorted by time.

    Example:
        >>> video = Video(Path("a.mp4"), "a", "a", "0f", 10.0, 60.0)
        >>> both = moments(video, 0, 5, 7)
        >>> sorted([*moments(video, 0, 3, 7), *moments(video, 3, 5, 7)]) == both.tolist()
        True
        >>> bool(10 <= both.min() and both.max() < 70)
        True
    """
    rng = np.random.default_rng([seed, int(video.digest, 16)])
    return np.sort(video.start + rng.random(last)[first:] * video.seconds)


def shots(path: Path, at: Sequence[float] | npt.NDArray[np.float64], faults: list[str]) -> Iterator[Shot]:
    """Decode, one by one, the first frame at or after each moment; a frame that serves several is given once.

    Args:
        path: the video.
        at: moments in seconds, rising.
        faults: where a damaged place is told, a line each; reading goes on behind it, as far as it can.

    Raises:
        VideoError: the file cannot be opened as a video.
    """
    import av

    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise VideoError(_reason(error)) from None
    with closing(container):
        if not container.streams.video:
            raise VideoError("it holds no video stream")
        reader = _Reader(container)
        given, damaged = -np.inf, 0
        for place, moment in enumerate(at):
            try:
                frame, seconds = reader.at(float(moment))
            except (av.error.FFmpegError, OSError, ValueError) as error:
                damaged += 1
                faults.append(f"{path}: near {moment:.1f} s it cannot be decoded ({_reason(error)})")
                if damaged == _FAULTS:
                    faults.append(f"{path}: what follows {moment:.1f} s is given up")
                    return
                continue
            damaged = 0
            if frame is None:  # nothing comes after this moment, nor after later ones
                return
            if seconds > given:
                given = seconds
                yield Shot(place, seconds, frame)


class _Reader:
    """A container being decoded: where it stands, and how to get further."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._stream = container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._rate = float(self._stream.average_rate or 25)
        self._frames: Iterator[Any] = container.decode(self._stream)
        self._now: tuple[Any, float] | None = None
        self._timed = True
        self._count = 0
        self._lost = False

    def at(self, moment: float) -> tuple[Any | None, float]:
        """The first frame at or after a moment, and its time; (None, inf) behind the last."""
        if self._now is None and not self._lost:
            self._step()
        if self._timed and (self._lost or (self._now is not None and moment - self._now[1] > _NEAR)):
            self._jump(moment)
        while self._now is not None and self._now[1] < moment:
            self._step()
        return self._now or (None, np.inf)

    def _step(self) -> None:
        self._lost = True  # until the next frame is there
        frame = next(self._frames, None)
        self._lost = False
        if frame is None:
            self._now = None
            return
        self._timed = frame.time is not None
        self._now = frame, self._count / self._rate if frame.time is None else float(frame.time)
        self._count += 1

    def _jump(self, moment: float) -> None:
        """Go on from the last keyframe that is not after a moment; containers may land too late, so step back more."""
        for back in (0.0, 10.0, 60.0, np.inf):
            start = float((self._stream.start_time or 0) * self._stream.time_base)
            target = max(moment - back, start)
            self._container.seek(round(target / self._stream.time_base), stream=self._stream, backward=True)
            self._frames = self._container.decode(self._stream)
            self._step()
            if self._now is not None and (self._now[1] <= moment or target == start):
                return
