"""Picture files and what is cut from pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from icr.errors import InputError
from icr.writing import whole

Picture = npt.NDArray[np.uint8]


def read_picture(path: Path, stored_size: tuple[int, int] | None = None) -> Picture:
    """Read a picture file as a person sees it: RGB (height, width, 3), turned as its EXIF orientation says.

    Args:
        path: the file.
        stored_size: width and height that its boxes refer to; when only the picture as stored, unturned, has that size,
            it is left unturned.

    Raises:
        InputError: the file is absent, is no picture, or is cut short.
    """
    try:
        with Image.open(path) as opened:
            picture = ImageOps.exif_transpose(opened)
            if stored_size and picture.size != stored_size == opened.size:
                picture = opened
            return np.asarray(_flattened(picture))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file; expected a picture") from None
    # Pillow's decoders raise whatever their format's fault brings up: OSError, SyntaxError, ValueError, struct.error, …
    except Exception as error:
        raise InputError(f"{path}: this cannot be read as a picture ({_reason(path, error)})") from None


def pixels_of(image: Path | Picture) -> Picture:
    """A picture as it is, or as its file holds it."""
    return image if isinstance(image, np.ndarray) else read_picture(image)


def _reason(path: Path, error: Exception) -> str:
    if path.is_file() and not path.stat().st_size:
        return "it is empty"
    # Ultralytics puts a function of its own in place of Image.open; what Pillow does not know it takes for HEIF and
    # then fails to import a library for that.
    if isinstance(error, (UnidentifiedImageError, ImportError)):
        return "not a known picture format"
    return " ".join(str(error).split()) or type(error).__name__


def _flattened(picture: Image.Image) -> Image.Image:
    """RGB, with 16-bit grey scaled to 8 bits rather than cut off, and what is transparent laid on white."""
    if picture.mode.startswith("I"):
        deep = np.asarray(picture, np.float64)
        return Image.fromarray((deep / max(deep.max(), 255) * 255).astype(np.uint8)).convert("RGB")
    if "A" in picture.getbands() or "transparency" in picture.info:
        clear = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")
    return picture.convert("RGB")


def write_picture(picture: Picture, path: Path) -> None:
    """Write a picture, whole or not at all; the format follows the suffix, JPEG at quality 92."""
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise InputError(f"{path}: pictures of suffix {path.suffix!r} cannot be written; use .jpg or .png")
    options: dict[str, Any] = {"quality": 92} if kind == "JPEG" else {}
    with whole(path) as part:
        Image.fromarray(picture).save(part, kind, **options)


def free_path(folder: Path, stem: str, suffix: str = "") -> Path:
    """The first of ``stem``, ``stem-2``, ``stem-3``, … that nothing is called yet.

    Example:
        >>> free_path(Path("/nowhere"), "sheet", ".jpg").name
        'sheet.jpg'
    """
    path, number = folder / f"{stem}{suffix}", 2
    while path.exists():
        path, number = folder / f"{stem}-{number}{suffix}", number + 1
    return path


def fit(image: Picture, width: int, height: int) -> tuple[Picture, float]:
    """Resize a picture to lie within a size, keeping its shape, enlarged if need be; and the factor applied.

    Example:
        >>> picture, scale = fit(np.zeros((100, 400, 3), np.uint8), 200, 200)
        >>> picture.shape, scale
        ((50, 200, 3), 0.5)
    """
    scale = min(width / image.shape[1], height / image.shape[0])
    target = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    way = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(image).resize(target, way)), scale


def close_up(
    image: Picture, box: Sequence[float], width: int, height: int, share: float = 0.5
) -> tuple[Picture, float, tuple[float, float]]:
    """Enlarge the surroundings of a box to exactly `width` by `height`, the box filling about `share` of it.

    Returns:
        The cut-out, the scale, and the (x, y) of its top-left corner in `image`: a point p of the picture lies at
        ``(p - corner) * scale``. Where the surroundings reach beyond the picture they are black.
    """
    left, top, right, bottom = box
    scale = share * min(width / max(right - left, 1.0), height / max(bottom - top, 1.0))
    wide, high = width / scale, height / scale
    # Rather shift the view than show what lies beyond the picture.
    x = _slid((left + right - wide) / 2, wide, image.shape[1])
    y = _slid((top + bottom - high) / 2, high, image.shape[0])
    cut = Image.fromarray(image).transform(
        (width, height), Image.Transform.AFFINE, (1 / scale, 0, x, 0, 1 / scale, y), Image.Resampling.BICUBIC
    )
    return np.asarray(cut), scale, (x, y)


def _slid(start: float, extent: float, limit: int) -> float:
    return (limit - extent) / 2 if extent > limit else min(max(start, 0.0), limit - extent)
