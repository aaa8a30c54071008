"""Contact sheets of ambiguous children, numbered as in the list that a person decides on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from icr.data.pairing import Doubt
from icr.drawing import (
    PAPER,
    Picture,
    annotate,
    close_up,
    colour_of,
    contact_sheet,
    fit,
    free_path,
    legend,
    read_picture,
    write_picture,
)
from icr.errors import InputError

_Boxes: TypeAlias = "npt.NDArray[np.float64]"
_Corner: TypeAlias = "npt.NDArray[np.int64]"

TILE_WIDTH, TILE_HEIGHT, CHILD_HEIGHT, GAP = 460, 330, 90, 6
A_SHEET = 30
"""Children on one sheet."""


def write(
    doubts: Sequence[Doubt],
    names: Sequence[str],
    file: Path,
    *,
    columns: int = 3,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Path], list[str]]:
    """Write sheets of ambiguous children: each with its candidates, numbered, and beneath them the child close up.

    Args:
        doubts: the ambiguous children.
        names: class names.
        file: the first sheet, ``.jpg`` or ``.png``; of more than 30 children the further sheets are called ``-2``, …
        columns: children in a row.
        progress: told how many children are drawn, of how many.

    Returns:
        The sheets, and a line for each picture that could not be read.
    """
    sheets: list[Path] = []
    unreadable: list[str] = []
    drawn = _tiles(doubts, names, unreadable, progress)
    pages = -(-len(doubts) // A_SHEET)
    while tiles := [tile for tile, _ in zip(drawn, range(A_SHEET), strict=False)]:
        target = free_path(file.parent, file.stem, file.suffix)
        pictures, captions = zip(*tiles, strict=True)
        width = min(columns, len(tiles)) * (TILE_WIDTH + 14) + 14
        page = f", sheet {len(sheets) + 1} of {pages}" if pages > 1 else ""
        lines = (
            f"{len(doubts)} children whose parent is not plain{page}; numbers are those of the list",
            "a dashed line leads to the suggestion",
        )
        head = legend("to be decided", lines, [("the child", colour_of(0))], False, width)
        write_picture(contact_sheet(pictures, columns, captions=captions, header=head), target)
        sheets.append(target)
    return sheets, unreadable


def _tiles(
    doubts: Sequence[Doubt], names: Sequence[str], unreadable: list[str], progress: Callable[[int, int], None]
) -> Iterator[tuple[Picture, str]]:
    picture: Picture | None = None
    before: Path | None = None
    for done, doubt in enumerate(doubts, 1):
        sample = doubt.sample
        if sample.image != before:
            before = sample.image
            try:
                picture = read_picture(sample.image, (sample.width, sample.height))
            except InputError as error:
                picture = None
                unreadable.append(str(error))
        if picture is not None:
            yield _tile(picture, doubt, names), f"{doubt.place[1]}   child {doubt.place[2]}"
        progress(done, len(doubts))


def _tile(picture: Picture, doubt: Doubt, names: Sequence[str]) -> Picture:
    """The child among its candidates, and beneath them the child alone."""
    sample = doubt.sample
    places = np.array([doubt.place[2], *(each.box for each in doubt.candidates)])
    boxes = sample.boxes[places]
    low, high = _surroundings(boxes, picture.shape[1::-1])
    cut, scale = fit(picture[low[1] : high[1], low[0] : high[0]], TILE_WIDTH, TILE_HEIGHT)
    captions = [f"{place} {names[sample.labels[place]]}" for place in places.tolist()]
    parents = np.full(len(places), -1, np.int64)
    suggested = np.flatnonzero(places == doubt.suggested)
    parents[0] = suggested[0] if len(suggested) else -1
    guess = parents >= 0
    # Every box has a colour of its own here, so that candidates of one class can be told apart.
    own = np.arange(len(places), dtype=np.int64)
    above = annotate(cut, _placed(boxes, scale, low), own, captions, parents, ambiguous=guess)
    below, scale, corner = close_up(picture, boxes[0].tolist(), TILE_WIDTH, CHILD_HEIGHT, share=0.5)
    plain = np.array([-1], np.int64)
    below = annotate(below, _placed(boxes[:1], scale, corner), own[:1], captions, plain, text=False)
    tile = np.full((TILE_HEIGHT + GAP + CHILD_HEIGHT, TILE_WIDTH, 3), PAPER, np.uint8)
    top, left = TILE_HEIGHT - above.shape[0], (TILE_WIDTH - above.shape[1]) // 2
    tile[top:TILE_HEIGHT, left : left + above.shape[1]] = above
    tile[TILE_HEIGHT + GAP :] = below
    return tile


def _surroundings(boxes: _Boxes, size: Sequence[int]) -> tuple[_Corner, _Corner]:
    """The part of the picture to show: all boxes and a margin, in whole pixels of the picture."""
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    margin = np.maximum(0.1 * (high - low).max(), 8)
    start = np.clip(np.floor(low - margin), 0, np.array(size) - 1).astype(np.int64)
    end = np.clip(np.ceil(high + margin), start + 1, np.array(size)).astype(np.int64)
    return start, end


def _placed(boxes: _Boxes, scale: float, corner: _Corner | tuple[float, float]) -> _Boxes:
    return np.asarray((boxes - np.tile(corner, 2)) * scale)
