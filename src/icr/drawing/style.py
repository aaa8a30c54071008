"""The colours and letters that all drawings share."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont

Colour = tuple[int, int, int]

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


def shortened(text: str, letters: int, wide: float) -> str:
    """A text, cut off at its end so that it fits a width in pixels."""
    if font_for(text, letters).getlength(text) <= wide:
        return text
    while text and font_for(text, letters).getlength(f"{text}…") > wide:
        text = text[:-1]
    return f"{text}…"
