"""Reading the frames of a video, and writing them again with something drawn on them (PyAV)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from icr.drawing import Picture
from icr.errors import InputError

_TICKS = 60_000
"""Ticks a second of the written video: a whole number of them to a frame at 24, 25, 30, 50, 60 and 29.97 a second."""


@dataclass(frozen=True)
class Frame:
    """One frame: its number from 0, its time in seconds, and its pixels, RGB (height, width, 3), upright."""

    index: int
    seconds: float
    picture: Picture


def frames(path: Path) -> Iterator[Frame]:
    """Read the frames of a video one by one, turned as the file says they are to be shown.

    Raises:
        InputError: the file is no video or is damaged, from the frame on that cannot be read.
    """
    import av

    seen = 0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path}: this holds no video stream")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate = float(stream.average_rate or 25)
            for frame in container.decode(stream):
                upright = np.rot90(frame.to_ndarray(format="rgb24"), round(getattr(frame, "rotation", 0) / 90) % 4)
                seconds = seen / rate if frame.time is None else float(frame.time)
                yield Frame(seen, seconds, np.ascontiguousarray(upright))
                seen += 1
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        where = f"its frame {seen} and what follows" if seen else "this"
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise InputError(f"{path}: {where} cannot be read as a video ({reason})") from None
    if not seen:
        raise InputError(f"{path}: this video holds no frame")


def length(path: Path) -> int:
    """How many frames a video says it has; 1 when it does not say."""
    import av

    try:
        with av.open(str(path)) as container:
            return int(container.streams.video[0].frames) or 1
    except (av.error.FFmpegError, OSError, ValueError, IndexError):
        return 1


class VideoWriter:
    """Writes frames to an .mp4, keeping their times; the file appears when all is written, or not at all.

    Example::

        with VideoWriter(Path("out.mp4")) as video:
            for frame in frames(Path("in.mp4")):
                video.write(frame.picture, frame.seconds)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(f".{path.name}.partial")
        self._container: Any = None
        self._stream: Any = None
        self._last = -1
        self._start = 0.0

    def __enter__(self) -> VideoWriter:
        return self

    def write(self, picture: Picture, seconds: float) -> None:
        """Add a frame; all frames are brought to the size of the first, with even sides as the codec needs."""
        import av

        if self._container is None:
            self._open(picture.shape[1] // 2 * 2 or 2, picture.shape[0] // 2 * 2 or 2, seconds)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(width=self._stream.width, height=self._stream.height, format="yuv420p")
        # Times must rise; a damaged file may repeat one.
        self._last = max(self._last + 1, round((seconds - self._start) * _TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, _TICKS)
        self._container.mux(self._stream.encode(frame))

    def _open(self, width: int, height: int, seconds: float) -> None:
        import av

        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        self._container = av.open(str(self._part), "w", format="mp4")
        self._stream = self._container.add_stream(codec, rate=30)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, _TICKS)
        if codec == "libx264":
            self._stream.options = {"crf": "20", "preset": "veryfast"}
        else:
            self._stream.bit_rate = 8 * width * height
        self._start = seconds

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is None:
            return
        try:
            self._container.mux(self._stream.encode())
            self._container.close()
            self._part.replace(self.path)
        finally:
            self._part.unlink(missing_ok=True)
