"""Pictures with boxes on them, each child joined to its parent, tiny children left in sight; and sheets of them."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from icr.errors import InputError

Picture = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
_Rectangle = tuple[float, float, float, float]

PALETTE: tuple[Colour, ...] = (
    (255, 196, 0),
    (56, 182, 255),
    (64, 220, 130),
    (255, 122, 195),
    (178, 140, 255),
    (255, 145, 60),
    (90, 232, 232),
    (205, 232, 70),
)
"""Class colours: apart from each other for most eyes, light enough for a night scene and a dark text on them."""

ORPHAN: Colour = (255, 64, 64)
"""Colour of a child without a parent."""

PAPER, INK, MUTED = (24, 26, 30), (236, 238, 240), (150, 156, 164)

_CJK_FONTS = ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "msyh.ttc", "PingFang.ttc", "simhei.ttf")


def read_picture(path: Path, stored_size: tuple[int, int] | None = None) -> Picture:
    """Read a picture file as a person sees it: RGB (height, width, 3), turned as its EXIF orientation says.

    Args:
        path: the file.
        stored_size: width and height that its boxes refer to; when only the picture as stored, unturned, has that size,
            it is left unturned.

    Raises:
        InputError: the file is absent, is no picture, or is cut short.
    """
    from PIL import ImageOps

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
        reason = "it is empty" if path.is_file() and not path.stat().st_size else " ".join(str(error).split())
        raise InputError(f"{path}: this cannot be read as a picture ({reason})") from None


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
    temporary = path.with_name(f".{path.name}.partial")
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise InputError(f"{path}: pictures of suffix {path.suffix!r} cannot be written; use .jpg or .png")
    options: dict[str, Any] = {"quality": 92} if kind == "JPEG" else {}
    Image.fromarray(picture).save(temporary, kind, **options)
    temporary.replace(path)


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


def colour_of(label: int) -> Colour:
    """The colour of a class.

    Example:
        >>> colour_of(0)
        (255, 196, 0)
    """
    turns, place = divmod(int(label), len(PALETTE))
    if not turns:
        return PALETTE[place]
    hue, light, rich = colorsys.rgb_to_hls(*(part / 255 for part in PALETTE[place]))
    red, green, blue = colorsys.hls_to_rgb((hue + 0.382 * turns / len(PALETTE)) % 1, light, rich)
    return round(red * 255), round(green * 255), round(blue * 255)


def annotate(
    image: Picture,
    boxes: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
    names: Sequence[str],
    parents: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float64] | None = None,
    *,
    orphans: npt.NDArray[np.bool_] | None = None,
    ambiguous: npt.NDArray[np.bool_] | None = None,
    text: bool = True,
) -> Picture:
    """Draw boxes on a copy of a picture, and join each child to the middle of its parent by a line.

    Outlines run around the boxes, not over them, and captions keep off the children, so that a plate of few pixels
    stays in sight.

    Args:
        image: RGB (height, width, 3).
        boxes: (N, 4), xyxy, pixels of `image`.
        labels: (N,), index into `names`.
        names: class names.
        parents: (N,), index of each box's parent, negative where there is none.
        scores: (N,), 0..1, told in the captions.
        orphans: (N,), children without a parent: drawn in red and dashed.
        ambiguous: (N,), children whose parent is a guess: joined by a dashed line.
        text: whether boxes have captions.

    Returns:
        RGB, same shape.

    Example:
        >>> road = np.zeros((240, 320, 3), np.uint8)
        >>> boxes = np.array([[165.0, 185, 195, 195], [100, 100, 260, 220]])
        >>> drawn = annotate(road, boxes, np.array([0, 1]), ["plate", "vehicle"], np.array([1, -1]))
        >>> drawn.shape, bool(road.any()), drawn[99, 99].tolist() == list(colour_of(1))
        ((240, 320, 3), False, True)
    """
    lost = np.zeros(len(boxes), bool) if orphans is None else orphans
    doubtful = np.zeros(len(boxes), bool) if ambiguous is None else ambiguous
    height, width = image.shape[:2]
    thickness = 1 if max(height, width) < 400 else max(2, round(max(height, width) / 640))
    colours = [ORPHAN if lone else colour_of(label) for label, lone in zip(labels, lost, strict=True)]
    canvas = np.array(image)
    for child in np.flatnonzero(parents >= 0):
        _join(canvas, boxes[child], boxes[parents[child]], colours[child], thickness, dashed=bool(doubtful[child]))
    drawn = Image.fromarray(canvas)
    pen = ImageDraw.Draw(drawn, "RGBA")
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(1)
    for index in np.argsort(-areas, kind="stable"):
        _outline(pen, boxes[index], (width, height), colours[index], thickness, dashed=bool(lost[index]))
    if text:
        captions = [_caption(names, label, None if scores is None else scores[i]) for i, label in enumerate(labels)]
        small = (parents >= 0) | lost
        _write_captions(pen, boxes, captions, colours, small, (width, height), thickness)
    return np.asarray(drawn)


def _caption(names: Sequence[str], label: int, score: float | None) -> str:
    name = names[label] if 0 <= label < len(names) else str(label)
    return name if score is None else f"{name} {score:.2f}"


def _outline(
    pen: ImageDraw.ImageDraw,
    box: npt.NDArray[np.float64],
    size: tuple[int, int],
    colour: Colour,
    thickness: int,
    dashed: bool,
) -> None:
    """A frame around the box, with a dark hairline outside it that tells it from a light ground.

    Where the box meets the border of the picture the frame lies on it: beyond, nobody would see it.
    """
    left, top, right, bottom = (round(float(each)) for each in box)
    for step in range(1, thickness + 2):
        frame = (
            left - step if left > 0 else step - 1,
            top - step if top > 0 else step - 1,
            right + step - 1 if right < size[0] else size[0] - step,
            bottom + step - 1 if bottom < size[1] else size[1] - step,
        )
        if frame[2] < frame[0] or frame[3] < frame[1]:
            return
        if step > thickness:
            pen.rectangle(frame, outline=(0, 0, 0, 60 if dashed else 130))
        elif dashed:
            _dashed_frame(pen, frame, colour, dash=4 * thickness)
        else:
            pen.rectangle(frame, outline=colour)


def _dashed_frame(pen: ImageDraw.ImageDraw, frame: tuple[int, int, int, int], colour: Colour, dash: int) -> None:
    left, top, right, bottom = frame
    for x in range(left, right + 1, 2 * dash):
        for y in (top, bottom):
            pen.line((x, y, min(x + dash - 1, right), y), fill=colour)
    for y in range(top, bottom + 1, 2 * dash):
        for x in (left, right):
            pen.line((x, y, x, min(y + dash - 1, bottom)), fill=colour)


def _join(
    canvas: Picture,
    child: npt.NDArray[np.float64],
    parent: npt.NDArray[np.float64],
    colour: Colour,
    thickness: int,
    dashed: bool,
) -> None:
    """A line from the child's edge to a dot in the middle of its parent, or on its top edge when the middle is near."""
    radius = 1.0 + 1.5 * thickness
    middle, end = (child[:2] + child[2:]) / 2, (parent[:2] + parent[2:]) / 2
    if (1 - min(_way_out(child, middle, end), 1.0)) * float(np.hypot(*(end - middle))) < 5 * radius:
        end = np.array([end[0], parent[1]])
    start = middle + (end - middle) * min(_way_out(child, middle, end), 1.0)
    reach = radius + thickness + 2
    low = np.floor(np.minimum(start, end) - reach).astype(int).clip(min=0)
    high = np.ceil(np.maximum(start, end) + reach).astype(int).clip(max=canvas.shape[1::-1])
    if (high <= low).any():
        return
    x, y = np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1])[:, None] + 0.5
    along, length = end - start, float(np.hypot(*(end - start)))
    travelled = (((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(length, 1e-9) ** 2).clip(0, 1)
    off_line = np.hypot(x - start[0] - travelled * along[0], y - start[1] - travelled * along[1])
    off_dot = np.hypot(x - end[0], y - end[1])
    patch = canvas[low[1] : high[1], low[0] : high[0]]
    clear = (x > child[0]) & (x < child[2]) & (y > child[1]) & (y < child[3])
    gaps = (travelled * length) % (8 * thickness) >= 5 * thickness if dashed else np.zeros_like(off_line, bool)
    for grow, ink, strength in ((1.0, (0, 0, 0), 0.5), (0.0, colour, 1.0)):
        stroke = np.where(gaps, 0, (thickness / 2 + 0.5 + grow - off_line).clip(0, 1))
        cover = np.where(clear, 0, np.maximum(stroke, (radius + grow + 0.5 - off_dot).clip(0, 1)) * strength)
        patch[:] = np.rint(patch * (1 - cover[..., None]) + np.array(ink) * cover[..., None]).astype(np.uint8)


def _way_out(box: npt.NDArray[np.float64], middle: npt.NDArray[np.float64], end: npt.NDArray[np.float64]) -> float:
    """Where the way from a box's middle to `end` leaves the box, as a share of the way; above 1 when it never does."""
    away = np.abs(end - middle)
    half = (box[2:] - box[:2]) / 2
    return float(np.min(np.where(away > 1e-9, half / np.maximum(away, 1e-9), np.inf)))


def _write_captions(
    pen: ImageDraw.ImageDraw,
    boxes: npt.NDArray[np.float64],
    captions: Sequence[str],
    colours: Sequence[Colour],
    small: npt.NDArray[np.bool_],
    size: tuple[int, int],
    thickness: int,
) -> None:
    """Captions, the children's first; each where it hides the fewest children and other captions."""
    letters = round(min(max(min(size) * 0.026, 10), 36))
    kept_clear: list[_Rectangle] = [tuple(map(float, box)) for box in boxes[small]]  # type: ignore[misc]
    for index in [*np.flatnonzero(small), *np.flatnonzero(~small)]:
        font = font_for(captions[index], letters)
        pad = max(2, letters // 5)
        wide, high = pen.textlength(captions[index], font=font) + 2 * pad, round(1.3 * letters)
        place = _free_place(boxes[index], (wide, high), size, thickness + 1, kept_clear, outside=bool(small[index]))
        pen.rectangle((place[0], place[1], place[2] - 1, place[3] - 1), fill=(*colours[index], 225))
        pen.text((place[0] + pad, place[3] - 0.32 * letters), captions[index], (16, 16, 16), font, anchor="ls")
        kept_clear.append(place)


def _free_place(
    box: npt.NDArray[np.float64],
    label: tuple[float, float],
    size: tuple[int, int],
    gap: int,
    kept_clear: Sequence[_Rectangle],
    outside: bool,
) -> _Rectangle:
    (left, top, right, bottom), (wide, high) = (float(each) for each in box), label
    edge = left - gap + 1
    above, below = (edge, top - gap - high), (edge, bottom + gap)
    if outside:
        middle = (top + bottom - high) / 2
        corners = [
            above,
            below,
            (right + gap, middle),
            (left - gap - wide, middle),
            (right - wide, above[1]),
            (right - wide, below[1]),
        ]
    else:
        corners = [
            above,
            (left, top),
            (right - wide, above[1]),
            (right - wide, top),
            below,
            (left, bottom - high),
            (left, top + high),
        ]
    best, least = (0.0, 0.0, wide, high), float("inf")
    for preference, (x, y) in enumerate(corners):
        x, y = min(max(x, 0.0), max(size[0] - wide, 0.0)), min(max(y, 0.0), max(size[1] - high, 0.0))
        place = (x, y, x + wide, y + high)
        own = _overlap(place, (left, top, right, bottom)) if outside else 0.0
        cost = sum(_overlap(place, other) for other in kept_clear) + 3 * own + 0.02 * preference * wide * high
        if cost < least:
            best, least = place, cost
    return best


def _overlap(one: _Rectangle, other: _Rectangle) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that has the letters of a text, as far as the machine has one."""
    return _font(size, any(ord(letter) >= 0x2E80 for letter in text))


@lru_cache(maxsize=64)
def _font(size: int, cjk: bool) -> ImageFont.FreeTypeFont:
    matplotlib = find_spec("matplotlib")
    bundled = (
        Path(matplotlib.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
        if matplotlib and matplotlib.origin
        else None
    )
    for name in (*(_CJK_FONTS if cjk else ()), *([str(bundled)] if bundled else []), "DejaVuSans.ttf"):
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)  # type: ignore[return-value]


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


def contact_sheet(
    images: Sequence[Picture],
    columns: int,
    *,
    captions: Sequence[str] = (),
    header: Picture | None = None,
    gap: int = 14,
) -> Picture:
    """Lay pictures out in rows on a dark ground, each in the middle of its cell, with a caption beneath it.

    Args:
        images: RGB pictures of any sizes; a cell is as large as the largest.
        columns: pictures in a row.
        captions: one line for each picture, or none at all.
        header: a picture to stand above all, such as `legend`.
        gap: pixels between the cells.

    Raises:
        InputError: no pictures, fewer than one column, or captions that do not count up.

    Example:
        >>> tiles = [np.zeros((60, 80, 3), np.uint8)] * 5
        >>> contact_sheet(tiles, 3, gap=10).shape
        (150, 280, 3)
    """
    if not len(images) or columns < 1 or len(captions) not in (0, len(images)):
        raise InputError(
            f"a sheet of {len(images)} pictures with {len(captions)} captions in {columns} columns cannot be laid out"
        )
    columns = min(columns, len(images))
    letters = 14
    wide, high = (max(image.shape[axis] for image in images) for axis in (1, 0))
    line = letters + 12 if captions else 0
    top = 0 if header is None else header.shape[0]
    rows = -(-len(images) // columns)
    size = (columns * (wide + gap) + gap, top + rows * (high + line + gap) + gap)
    sheet = Image.new("RGB", (max(size[0], header.shape[1] if header is not None else 0), size[1]), PAPER)
    if header is not None:
        sheet.paste(Image.fromarray(header), (0, 0))
    pen = ImageDraw.Draw(sheet)
    for index, image in enumerate(images):
        x = gap + index % columns * (wide + gap)
        y = top + gap + index // columns * (high + line + gap)
        sheet.paste(Image.fromarray(image), (x + (wide - image.shape[1]) // 2, y + (high - image.shape[0]) // 2))
        if captions:
            text = _shortened(pen, captions[index], letters, wide)
            pen.text((x, y + high + 4 + letters), text, MUTED, font_for(text, letters), anchor="ls")
    return np.asarray(sheet)


def _shortened(pen: ImageDraw.ImageDraw, text: str, letters: int, wide: int) -> str:
    if pen.textlength(text, font=font_for(text, letters)) <= wide:
        return text
    while text and pen.textlength(f"{text}…", font=font_for(text, letters)) > wide:
        text = text[:-1]
    return f"{text}…"


def legend(title: str, lines: Sequence[str], classes: Sequence[tuple[str, Colour]], marks: bool, width: int) -> Picture:
    """A head for a sheet: a title, lines of text, and what the colours and, if asked for, the marks mean."""
    letters, margin = 15, 14
    step = letters + 10
    entries: list[tuple[str, Colour, str]] = [(name, colour, "box") for name, colour in classes]
    if marks:
        entries += [
            ("child and its parent", INK, "line"),
            ("parent is a guess", INK, "dashes"),
            ("orphan", ORPHAN, "dashed box"),
        ]
    places = _in_rows([_entry_width(text, letters) for text, _, _ in entries], width - 2 * margin)
    rows = 1 + len(lines) + 1 + max((row for _, row in places), default=0)
    sheet = Image.new("RGB", (width, 2 * margin + 10 + step * rows), PAPER)
    pen = ImageDraw.Draw(sheet)
    heading = _shortened(pen, title, 20, width - 2 * margin)
    pen.text((margin, margin + 18), heading, INK, font_for(heading, 20), anchor="ls")
    y = margin + 22 + step
    for text in lines:
        short = _shortened(pen, text, letters, width - 2 * margin)
        pen.text((margin, y), short, MUTED, font_for(short, letters), anchor="ls")
        y += step
    for (text, colour, kind), (x, row) in zip(entries, places, strict=True):
        base = y + row * step
        _sample_mark(pen, kind, margin + x, base - letters + 2, colour, letters - 1)
        pen.text((margin + x + 1.6 * letters + 8, base), text, INK, font_for(text, letters), anchor="ls")
    return np.asarray(sheet)


def _entry_width(text: str, letters: int) -> float:
    return 1.6 * letters + 8 + float(font_for(text, letters).getlength(text)) + 22


def _in_rows(widths: Sequence[float], limit: float) -> list[tuple[float, int]]:
    """Where things of these widths stand when set in rows: (x, row) of each."""
    places: list[tuple[float, int]] = []
    x, row = 0.0, 0
    for width in widths:
        if x and x + width > limit:
            x, row = 0.0, row + 1
        places.append((x, row))
        x += width
    return places


def _sample_mark(pen: ImageDraw.ImageDraw, kind: str, x: float, y: float, colour: Colour, size: int) -> None:
    wide, middle = 1.6 * size, y + size / 2
    if kind == "box":
        pen.rectangle((x, y, x + wide, y + size), outline=colour, width=2)
    elif kind == "dashed box":
        for step in range(2):
            frame = (int(x) + step, int(y) + step, int(x + wide) - step, int(y + size) - step)
            _dashed_frame(pen, frame, colour, dash=4)
    else:
        for start in np.arange(x, x + wide - 4, 7 if kind == "dashes" else 1):
            pen.line((start, middle, start + 3, middle), fill=colour, width=2)
        pen.ellipse((x + wide - 6, middle - 3, x + wide, middle + 3), fill=colour)
