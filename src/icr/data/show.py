"""A contact sheet of a data set: pictures with their pairs joined, and their children close up."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from icr.data.choosing import choose
from icr.data.dataset import Dataset, Sample
from icr.data.pairs import Pairing, children, pair
from icr.drawing import PAPER, Picture, annotate, close_up, colour_of, contact_sheet, fit, legend, read_picture
from icr.errors import InputError
from icr.relations import ResolvedRelation, resolve
from icr.writing import refuse_existing

TILE_WIDTH, TILE_HEIGHT = 560, 400
CLOSE_UPS, CLOSE_UP_HEIGHT, GAP = 4, 92, 6


@dataclass(frozen=True)
class Sheet:
    """A contact sheet, and what is on it.

    Attributes:
        picture: RGB.
        pictures, pairs, orphans, ambiguous: counts over the pictures shown.
        unreadable: one line for each picture that was drawn but could not be read.
    """

    picture: Picture
    pictures: int
    pairs: int
    orphans: int
    ambiguous: int
    unreadable: list[str]


@dataclass(frozen=True)
class _Shown:
    sample: Sample
    pairing: Pairing
    orphans: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    @property
    def doubtful(self) -> bool:
        return bool(self.orphans.any() or self.pairing.ambiguous.any())


def sheet(
    samples: Sequence[Sample],
    names: Sequence[str],
    relations: Sequence[ResolvedRelation],
    *,
    title: str,
    said: str = "",
    count: int = 12,
    columns: int = 3,
    seed: int = 0,
) -> Sheet:
    """Draw pictures by lot and lay them out; beneath each, its children close up.

    Up to a third of the places go to pictures with an orphan or an ambiguous child, where there are any: they are what
    one wants to look at. The rest are drawn from all pictures with a child (with a box, when there are no relations).

    Args:
        samples: the pictures to draw from.
        names: class names.
        relations: resolved relations; none means boxes alone.
        title: the head of the sheet.
        said: a line beneath it.
        count: how many pictures.
        columns: how many in a row.
        seed: another seed, another draw.

    Raises:
        InputError: no picture has a box, or none can be read.
    """
    drawn, captions, shown, unreadable = [], [], [], []
    for each in _drawn_by_lot(samples, relations, count, seed):
        try:
            picture = read_picture(each.sample.image, (each.sample.width, each.sample.height))
        except InputError as error:
            unreadable.append(str(error))
            continue
        drawn.append((_drawn(picture, each, names), _strip(picture, each, names)))
        captions.append(f"{each.sample.image.name}   {_told(each)}")
        shown.append(each)
        if len(drawn) == count:
            break
    if not drawn:
        raise InputError(unreadable[0] if unreadable else "no picture has a box, so there is nothing to show")
    columns = min(columns, len(drawn))
    tiles: list[Picture] = []
    for start in range(0, len(drawn), columns):
        row = drawn[start : start + columns]
        height = max(len(picture) for picture, _ in row)
        tiles += [_tile(picture, strip, height) for picture, strip in row]
    pairs = sum(int((each.pairing.parents >= 0).sum()) for each in shown)
    orphans = sum(int(each.orphans.sum()) for each in shown)
    ambiguous = sum(int(each.pairing.ambiguous.sum()) for each in shown)
    doubtful = sum(each.doubtful for each in shown)
    lines = [said] if said else []
    told = f"{len(tiles)} of {len(samples)} pictures"
    if relations:
        told += f": {_count(pairs, 'pair')}, {_count(orphans, 'orphan')}, {ambiguous} ambiguous"
    lines.append(f"{told}; those with an orphan or an ambiguous child come first" if doubtful else told)
    used = sorted({int(label) for each in shown for label in each.sample.labels})
    classes = [(names[label], colour_of(label)) for label in used[:12]]
    head = legend(title, lines, classes, bool(relations), columns * (max(tile.shape[1] for tile in tiles) + 14) + 14)
    return Sheet(
        contact_sheet(tiles, columns, captions=captions, header=head), len(tiles), pairs, orphans, ambiguous, unreadable
    )


def _drawn_by_lot(
    samples: Sequence[Sample], relations: Sequence[ResolvedRelation], count: int, seed: int
) -> Iterator[_Shown]:
    """More pictures than asked for follow, in case some cannot be read."""
    lot = random.Random(seed)
    order = [sample for sample in samples if len(sample.labels)]
    lot.shuffle(order)
    # Enough to meet the rare faults of a large set without pairing all of it.
    looked_at = [_shown(sample, relations) for sample in order[: max(2000, 4 * count)]]
    with_children = [each for each in looked_at if children(each.sample, relations).any()]
    plain = with_children or looked_at
    doubtful = [each for each in plain if each.doubtful][: -(-count // 3)]
    first = {id(each) for each in doubtful}
    yield from doubtful
    yield from (each for each in plain if id(each) not in first)


def _shown(sample: Sample, relations: Sequence[ResolvedRelation]) -> _Shown:
    pairing = pair(sample, relations)
    return _Shown(sample, pairing, children(sample, relations) & (pairing.parents < 0))


def _told(shown: _Shown) -> str:
    pairs, lost, doubts = ((shown.pairing.parents >= 0), shown.orphans, shown.pairing.ambiguous)
    words = [_count(int(pairs.sum()), "pair")]
    words += [_count(int(lost.sum()), "orphan")] if lost.any() else []
    words += [f"{int(doubts.sum())} ambiguous"] if doubts.any() else []
    return ", ".join(words)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _drawn(picture: Picture, shown: _Shown, names: Sequence[str]) -> Picture:
    """The picture with its pairs, at the size of a tile."""
    sample, pairing = shown.sample, shown.pairing
    small, scale = fit(picture, TILE_WIDTH, TILE_HEIGHT)
    return annotate(
        small,
        sample.boxes * scale,
        sample.labels,
        names,
        pairing.parents,
        orphans=shown.orphans,
        ambiguous=pairing.ambiguous,
    )


def _strip(picture: Picture, shown: _Shown, names: Sequence[str]) -> Picture:
    """The picture's children close up, side by side: the doubtful ones, then the smallest."""
    sample, doubtful = shown.sample, shown.orphans | shown.pairing.ambiguous
    own = np.flatnonzero((shown.pairing.parents >= 0) | shown.orphans)
    areas = (sample.boxes[:, 2:] - sample.boxes[:, :2]).clip(min=0).prod(1)
    strip = np.full((CLOSE_UP_HEIGHT, TILE_WIDTH, 3), PAPER, np.uint8)
    wide = (TILE_WIDTH - (CLOSE_UPS - 1) * GAP) // CLOSE_UPS
    for place, child in enumerate(own[np.lexsort((areas[own], ~doubtful[own]))][:CLOSE_UPS]):
        x = place * (wide + GAP)
        strip[:, x : x + wide] = _child_close_up(picture, shown, int(child), names, wide)
    return strip


def _tile(drawn: Picture, strip: Picture, height: int) -> Picture:
    """A picture above its strip, all tiles of a row of one height."""
    tile = np.full((height + GAP + len(strip), TILE_WIDTH, 3), PAPER, np.uint8)
    tile[height - len(drawn) : height, : drawn.shape[1]] = drawn
    tile[height + GAP :] = strip
    return tile


def _child_close_up(picture: Picture, shown: _Shown, child: int, names: Sequence[str], wide: int) -> Picture:
    box = shown.sample.boxes[child]
    cut, scale, corner = close_up(picture, box.tolist(), wide, CLOSE_UP_HEIGHT, share=0.62)
    placed = (box - np.tile(corner, 2)) * scale
    only = np.array([child])
    return annotate(
        cut, placed[None], shown.sample.labels[only], names, np.array([-1]), orphans=shown.orphans[only], text=False
    )


def choose_samples(splits: Mapping[str, Sequence[Sample]], split: str | None) -> list[Sample]:
    """The pictures of a split, or of all of them.

    Raises:
        InputError: there is no such split.
    """
    if split is None:
        return [sample for each in splits.values() for sample in each]
    if split not in splits:
        raise InputError(f"there is no split {split!r}; the data set has {', '.join(splits) or 'none'}")
    return list(splits[split])


def new_picture(path: Path, option: str) -> Path:
    """Return the path when a picture can be written there as a new file; its folder may yet have to be made.

    Args:
        path: the picture.
        option: that named it, such as `--out`.

    Raises:
        InputError: something is there already, or its suffix is none of a picture.
    """
    refuse_existing(path, option, folder_made=True)
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png", ".webp"):
        raise InputError(f"{path}: the sheet cannot be written with suffix {path.suffix!r}; use .jpg or .png")
    return path


def new_page(path: Path) -> Path:
    """Return the path when a page can be written there as a new file; its folder may yet have to be made.

    Raises:
        InputError: something is there already, or its suffix is not that of a page.
    """
    refuse_existing(path, "--html", folder_made=True)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: a page is written with suffix .html, not {path.suffix!r}")
    return path


def settle_relations(given: Sequence[str], dataset: Dataset) -> tuple[tuple[ResolvedRelation, ...], str]:
    """The relations to draw and where they come from; none at all is no error here, for boxes alone are worth a look.

    Raises:
        InputError: a relation that was given or declared is wrong.
    """
    try:
        chosen = choose(given, dataset)
    except InputError as error:
        if given or dataset.relations:
            raise
        return (), f"boxes alone: {error}"
    return resolve(chosen.relations, dataset.names), chosen.said
