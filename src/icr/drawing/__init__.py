"""Pictures with boxes on them, each child joined to its parent, tiny children left in sight; and sheets of them."""

from __future__ import annotations

from icr.drawing.annotation import annotate
from icr.drawing.pictures import Picture, close_up, fit, free_path, read_picture, write_picture
from icr.drawing.sheets import contact_sheet, legend
from icr.drawing.style import INK, MUTED, ORPHAN, PALETTE, PAPER, Colour, colour_of, font_for

__all__ = [
    "INK",
    "MUTED",
    "ORPHAN",
    "PALETTE",
    "PAPER",
    "Colour",
    "Picture",
    "annotate",
    "close_up",
    "colour_of",
    "contact_sheet",
    "fit",
    "font_for",
    "free_path",
    "legend",
    "read_picture",
    "write_picture",
]
