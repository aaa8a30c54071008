"""Picture files: which names count as pictures, their size from the header, whether they decode, how they look."""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset(
    (".avif", ".bmp", ".dng", ".heic", ".heif", ".jp2", ".jpeg", ".jpg", ".mpo", ".png", ".tif", ".tiff", ".webp")
)
"""What Ultralytics takes for pictures."""

THUMBNAIL = 16
"""Cells of a side of `Decoded.thumbnail`."""

_SEEN = 64
_BLANK = 3.0
"""A picture whose cells spread less than this (standard deviation of luma, 0 to 255) is like any other blank one."""

_ORIENTATION = 0x0112
_ON_ITS_SIDE = (5, 6, 7, 8)
_FLIPPED = (2, 3, 4)
"""Mirrored or upside down: the sides stay as they are."""


class PictureError(Exception):
    """A file that is no readable picture; the text says why."""


def exists(path: Path) -> bool:
    """Whether there is such a file or folder; False, too, for names that no file system takes."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


@dataclass(frozen=True)
class Header:
    """Size of a picture in pixels, as shown; `turned`: EXIF says that it is stored turned or mirrored."""

    width: int
    height: int
    turned: bool


def is_picture(path: Path | str) -> bool:
    """Whether a file name has a picture's suffix.

    Example:
        >>> is_picture("a/b.JPG"), is_picture("b.txt")
        (True, False)
    """
    return os.path.splitext(path)[1].lower() in SUFFIXES  # noqa: PTH122 (called for every file of large sets)


def header(path: Path) -> Header:
    """Read a picture's size without decoding it, EXIF orientation applied as every trainer's decoder does.

    Raises:
        FileNotFoundError: there is no such file.
        PictureError: it cannot be opened as a picture.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                width, height = image.size
                has_exif = image.format in ("JPEG", "MPO") and "exif" in image.info
                orientation = image.getexif().get(_ORIENTATION) if has_exif else None
    except FileNotFoundError:
        raise
    # Pillow's plug-ins raise whatever a broken file makes them stumble over: SyntaxError, struct.error, ValueError, …
    except Exception as error:
        raise PictureError(_reason(error)) from None
    if orientation in _ON_ITS_SIDE:
        return Header(height, width, True)
    return Header(width, height, orientation in _FLIPPED)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What decoding one picture to its end has shown.

    Attributes:
        failure: why it cannot be decoded; None: it can.
        digest: 16 bytes of the file's content, empty when it could not be read.
        hash: its perceptual hash, 32 bytes; empty where there is too little to see to tell pictures apart.
        thumbnail: its luma, 16 by 16 cells, row by row, 256 bytes; empty where `hash` is.
        answer: to what was asked of it; empty where nothing was, or `hash` is.
    """

    failure: str | None
    digest: bytes
    hash: bytes = b""
    thumbnail: bytes = b""
    answer: bytes = b""


class Question(Protocol):
    """What else is to be told of a picture while it is decoded."""

    @property
    def key(self) -> bytes:
        """8 bytes that tell it from other questions."""

    def answer(self, luma: Image.Image) -> bytes:
        """Two bytes, from the picture in shades of grey, as shown, at the size at which it is decoded."""


def decode(path: Path, question: Question | None = None) -> Decoded:
    """Decode a picture to its end, and tell what is wrong with it, if anything, and what it looks like."""
    from PIL import Image

    digest = b""
    try:
        data = path.read_bytes()
        digest = hashlib.blake2b(data, digest_size=16).digest()
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "JPEG":
                # An eighth of the size spares most of the arithmetic; every byte is still read.
                image.draft(image.mode, (max(image.width // 8, _SEEN), max(image.height // 8, _SEEN)))
            image.load()
            return Decoded(None, digest, *_look(image, question))
    except Exception as error:
        return Decoded(_reason(error), digest)


def _look(image: Image.Image, question: Question | None) -> tuple[bytes, ...]:
    """The perceptual hash, the thumbnail and the answer of a decoded picture; empty where it is all but blank."""
    import numpy as np
    from PIL import Image, ImageOps

    from icr.data.video.hashing import perceptual_hash

    try:
        luma = ImageOps.exif_transpose(image.convert("RGB") if image.mode == "P" else image).convert("L")
    except Exception:  # rare modes that have no luma, broken EXIF
        return ()
    cells = luma.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    if np.asarray(cells, np.float32).std() < _BLANK:
        return ()
    answer = question.answer(luma) if question is not None else b""
    return perceptual_hash(np.asarray(luma, np.float32)).tobytes(), cells.tobytes(), answer


def decode_all(paths: Sequence[Path], questions: Sequence[Question | None] | None = None) -> Iterator[Decoded]:
    """Decode many pictures, in order; Pillow frees the interpreter meanwhile, so threads do.

    Args:
        paths: the picture files.
        questions: what is asked of each; None: nothing of any.
    """
    with warnings.catch_warnings(), ThreadPoolExecutor(max(os.cpu_count() or 1, 2)) as pool:
        warnings.simplefilter("ignore")
        yield from pool.map(decode, paths, questions or [None] * len(paths))


def _reason(error: Exception) -> str:
    from PIL import UnidentifiedImageError

    # Once Ultralytics is imported, opening what is no picture ends in the failed import of a plug-in of its own.
    if isinstance(error, ImportError) and isinstance(error.__context__, Exception):
        error = error.__context__
    if isinstance(error, UnidentifiedImageError):
        return "no known picture format"
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__
