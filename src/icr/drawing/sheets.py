"""Many pictures on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from icr.drawing.annotation import dashed_frame
from icr.drawing.pictures import Picture
from icr.drawing.style import INK, MUTED, ORPHAN, PAPER, Colour, font_for, shortened
from icr.errors import InputError


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
        images: RGB pictures of any sizes; a column is as wide as the widest of all, a row as high as its own highest.
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
    wide = max(image.shape[1] for image in images)
    line = letters + 12 if captions else 0
    top = gap + (0 if header is None else header.shape[0])
    highs = [
        max(image.shape[0] for image in images[start : start + columns]) for start in range(0, len(images), columns)
    ]
    tops = [top + sum(highs[:row]) + row * (line + gap) for row in range(len(highs) + 1)]
    size = (columns * (wide + gap) + gap, tops[-1])
    sheet = Image.new("RGB", (max(size[0], header.shape[1] if header is not None else 0), size[1]), PAPER)
    if header is not None:
        sheet.paste(Image.fromarray(header), (0, 0))
    pen = ImageDraw.Draw(sheet)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        x, y, high = gap + column * (wide + gap), tops[row], highs[row]
        sheet.paste(Image.fromarray(image), (x + (wide - image.shape[1]) // 2, y + (high - image.shape[0]) // 2))
        if captions:
            text = shortened(captions[index], letters, wide)
            pen.text((x, y + high + 4 + letters), text, MUTED, font_for(text, letters), anchor="ls")
    return np.asarray(sheet)


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
    heading = shortened(title, 20, width - 2 * margin)
    pen.text((margin, margin + 18), heading, INK, font_for(heading, 20), anchor="ls")
    y = margin + 22 + step
    for text in lines:
        short = shortened(text, letters, width - 2 * margin)
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
            dashed_frame(pen, frame, colour, dash=4)
    else:
        for start in np.arange(x, x + wide - 4, 7 if kind == "dashes" else 1):
            pen.line((start, middle, start + 3, middle), fill=colour, width=2)
        pen.ellipse((x + wide - 6, middle - 3, x + wide, middle + 3), fill=colour)
