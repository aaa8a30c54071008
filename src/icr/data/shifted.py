"""Labels that slipped by one picture: boxes that fit the picture before or after theirs better, in file after file.

One picture tells little: a box may be drawn loosely, and another box may sit well by chance. So each picture only
casts a vote, whether the boxes of the file before it, or after it, fit it better than its own, and a run of such votes
is a finding where chance all but never makes one.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from icr.data.dataset import Finding, Sample
from icr.data.findings import found

if TYPE_CHECKING:
    from PIL import Image

CELLS = 96
"""Cells of a side of the grid on which a picture is looked at, whatever its shape."""

CERTAIN = 1e-4
"""The largest probability with which chance may make a run that is reported."""

_MOST_BOXES = 16
"""Of a picture; so many say enough, and hold the memory."""

ALIKE = 0.5
"""Boxes that overlap those of the next file by more than this (mean IoU) do not vote: frames of a slow scene."""

_STAKE = 0.7
"""The share of the stake that is bet on each vote: best where 17 in 20 votes are for the neighbour."""

WORSE, UNTOLD, BETTER = range(3)
"""How the boxes of another file fit a picture, in comparison with its own."""

Cells = npt.NDArray[np.uint8]


class Edges:
    """The outlines in a picture.

    Args:
        luma: the picture in shades of grey, of any size.
    """

    def __init__(self, luma: Image.Image) -> None:
        from PIL import Image

        shades = np.asarray(luma.resize((CELLS, CELLS), Image.Resampling.BILINEAR), np.int16)
        self._upright, self._level = _summed(shades), _summed(shades.T).T

    def fit(self, boxes: Cells) -> npt.NDArray[np.float64]:
        """How well boxes sit on outlines: (N, 4), xyxy in cells -> (N,), the mean logarithm of one more than the
        mean difference in brightness (0 to 255) across each of the four sides.
        """
        left, top, right, bottom = boxes.T.astype(np.intp)
        upright, level = self._upright, self._level
        sides = np.stack(
            [
                (upright[bottom, left] - upright[top, left]) / (bottom - top),
                (upright[bottom, right] - upright[top, right]) / (bottom - top),
                (level[top, right] - level[top, left]) / (right - left),
                (level[bottom, right] - level[bottom, left]) / (right - left),
            ]
        )
        return np.asarray(np.log1p(sides).mean(0))


def _summed(shades: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
    """The steps across every upright line between cells, summed up along it from the top: any part takes two look-ups.

    The lines at the edge of the picture are as those one cell further in.
    """
    sums = np.zeros((CELLS + 1, CELLS + 1), np.int32)
    np.cumsum(np.abs(shades[:, 1:] - shades[:, :-1]), 0, out=sums[1:, 1:-1])
    sums[:, 0], sums[:, -1] = sums[:, 1], sums[:, -2]
    return sums


def cells(sample: Sample) -> bytes:
    """A picture's boxes on the grid, four bytes each: xyxy in cells; those that lie outside the picture are left out.

    Example:
        >>> from pathlib import Path
        >>> box = np.array([[10.0, 20.0, 50.0, 80.0]]), np.zeros(1, np.int64), np.full(1, -2)
        >>> list(cells(Sample(Path("a.jpg"), 100, 100, *box)))
        [10, 19, 48, 77]
    """
    sides = np.array([sample.width, sample.height] * 2, np.float64)
    if not len(sample.boxes) or not sides.all():
        return b""
    boxes = np.clip(np.rint(sample.boxes[:_MOST_BOXES] / sides * CELLS), 0, CELLS)
    low = np.minimum(boxes[:, :2], CELLS - 1)
    high = np.maximum(boxes[:, 2:], low + 1)
    inside = (sample.boxes[:_MOST_BOXES, :2] < sides[2:]).all(1) & (sample.boxes[:_MOST_BOXES, 2:] > 0).all(1)
    return np.concatenate([low, high], 1)[inside].astype(np.uint8).tobytes()


@dataclass(frozen=True, slots=True)
class Question:
    """Whether the boxes of the files before and after fit a picture better than its own, all as of `cells`."""

    before: bytes
    own: bytes
    after: bytes

    @property
    def key(self) -> bytes:
        """8 bytes that tell it from other questions."""
        asked = b"%d,%d,%d;" % (CELLS, len(self.before), len(self.own)) + self.before + self.own + self.after
        return blake2b(asked, digest_size=8).digest()

    def answer(self, luma: Image.Image) -> bytes:
        """Two of `WORSE`, `UNTOLD`, `BETTER`: how the boxes before and after fit the picture."""
        own = _boxes(self.own)
        others = [_boxes(each) for each in (self.before, self.after)]
        tell = [bool(len(each)) and alike(own, each) <= ALIKE for each in others]
        if not any(tell):
            return bytes([UNTOLD] * 2)
        edges = Edges(luma)
        mine = float(edges.fit(own).mean())
        gains = [float(edges.fit(each).mean()) - mine if told else 0 for each, told in zip(others, tell, strict=True)]
        return bytes(UNTOLD if abs(gain) < 1e-9 else BETTER if gain > 0 else WORSE for gain in gains)


def _boxes(packed: bytes) -> Cells:
    return np.frombuffer(packed, np.uint8).reshape(-1, 4)


def alike(one: Cells, other: Cells) -> float:
    """How far two sets of boxes are the same, 0 to 1: the mean over the boxes of both of the best IoU with the other.

    Example:
        >>> alike(np.array([[0, 0, 4, 4]], np.uint8), np.array([[0, 0, 4, 2]], np.uint8))
        0.5
    """
    a, b = one.astype(np.int64)[:, None], other.astype(np.int64)[None]
    shared = np.maximum(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0).prod(-1)
    areas = [(each[..., 2:] - each[..., :2]).prod(-1) for each in (a, b)]
    iou = shared / (areas[0] + areas[1] - shared)
    return float((iou.max(1).mean() + iou.max(0).mean()) / 2)


class Placed:
    """The boxes of every picture of a set, in order, on the grid: four bytes a box and four a picture."""

    def __init__(self) -> None:
        self._cells = bytearray()
        self._ends = array("I")
        self._split, self._firsts = "", set[int]()

    def add(self, split: str, sample: Sample) -> None:
        """Take in one picture."""
        if split != self._split or not self._ends:
            self._split = split
            self._firsts.add(len(self._ends))
        self._cells += cells(sample)
        self._ends.append(len(self._cells))

    def question(self, place: int) -> Question | None:
        """What is to be asked of a picture; None where it or both its neighbours have no box."""
        before = b"" if place in self._firsts else self._of(place - 1)
        after = b"" if place + 1 in self._firsts else self._of(place + 1)
        own = self._of(place)
        return Question(before, own, after) if own and (before or after) else None

    def _of(self, place: int) -> bytes:
        if not 0 <= place < len(self._ends):
            return b""
        return bytes(self._cells[self._ends[place - 1] if place else 0 : self._ends[place]])


@dataclass(frozen=True)
class Run:
    """Pictures in a row which the boxes of another file fit better than their own.

    Attributes:
        first, last: places of the label files that belong elsewhere, inclusive.
        step: the picture that they fit lies so much further on: -1, the one before; 1, the one after.
        better, told: of the pictures that can tell, those that say so, and all.
        probability: with which chance makes such a run, or a clearer one, anywhere in the set; at most.
    """

    first: int
    last: int
    step: int
    better: int
    told: int
    probability: float


@dataclass
class _Bet:
    """A stake laid on every next vote being for the neighbour; it begins at 1 anew where it would fall below.

    Where the labels have nothing to do with the pictures, either vote is as likely, and a stake laid from a given
    picture on ever reaches c with a probability of 1/c at most (Ville's inequality). It may be laid from any picture
    on, for either neighbour, so that the largest reaches c with 2 n / c at most. Where the labels are right, most votes
    are for them, and it stays small. That takes each vote as fair whatever came before; two votes in a row share a
    label file, but what one gains by its boxes the other loses, and measured rates lie far below
    (benchmarks/shifted.py).
    """

    step: int
    begun: int = -1
    wealth: float = 0.0
    best: float = 0.0
    end: int = -1
    votes: list[int] = field(default_factory=lambda: [0, 0])
    at_best: tuple[int, int] = (0, 0)

    def vote(self, place: int, answer: int) -> None:
        """Take in one vote; `wealth` and `best` are logarithms."""
        if self.begun < 0:
            if answer != BETTER:
                return
            self.begun, self.wealth, self.best, self.votes = place, 0.0, 0.0, [0, 0]
        self.votes[0] += answer == BETTER
        self.votes[1] += 1
        self.wealth += math.log1p(_STAKE if answer == BETTER else -_STAKE)
        if self.wealth > self.best:
            self.best, self.end, self.at_best = self.wealth, place, (self.votes[0], self.votes[1])


class Votes:
    """Takes in what was answered of each picture, in order, and holds the runs among the votes.

    Args:
        certain: the largest probability with which chance may make a run that counts.
    """

    def __init__(self, certain: float = CERTAIN) -> None:
        self._certain = certain
        self._bets = (_Bet(-1), _Bet(1))
        self._ended: list[tuple[float, Run]] = []
        self._split, self._told = "", 0

    def add(self, split: str, place: int, answer: bytes) -> None:
        """Take in the answer for the picture at a place, empty where there is none."""
        begins, told = split != self._split, False
        self._split = split
        for bet, vote in zip(self._bets, answer or bytes([UNTOLD] * 2), strict=True):
            if begins:
                self._end(bet)
            if vote == UNTOLD:
                continue
            told = True
            bet.vote(place, vote)
            # What lies this far back is over: begun anew, another run may follow.
            if bet.wealth <= max(0.0, bet.best + math.log(self._certain)):
                self._end(bet)
        self._told += told

    def _end(self, bet: _Bet) -> None:
        if bet.begun >= 0 and bet.best > -math.log(self._certain):
            # The boxes that fit the picture at a place are those one before it, or one after.
            run = Run(bet.begun + bet.step, bet.end + bet.step, -bet.step, *bet.at_best, 1.0)
            self._ended.append((bet.best, run))
        bet.begun, bet.wealth, bet.best = -1, 0.0, 0.0

    def runs(self) -> list[Run]:
        """The runs that chance does not make, in order."""
        for bet in self._bets:
            self._end(bet)
        made = [
            Run(run.first, run.last, run.step, run.better, run.told, 2 * self._told * math.exp(-best))
            for best, run in self._ended
        ]
        return sorted((run for run in made if run.probability < self._certain), key=lambda run: run.first)


def report(runs: Sequence[tuple[Run, str, str]]) -> Iterator[Finding]:
    """A finding for each run, given with the paths of its first and its last picture."""
    for run, first, last in runs:
        where, back = ("before", "back") if run.step < 0 else ("after", "on")
        names = [each.replace("\\", "/").rsplit("/", 1)[-1] for each in (first, last)]
        message = (
            f"from about here to {names[1]}, {run.last - run.first + 1:,} pictures, the labels fit the picture {where} "
            f"theirs: {run.better:,} of the {run.told:,} that can tell (p < {_rounded(run.probability)}); look at "
            f"some, and if so shift the labels from {names[0]} to {names[1]} {back} by one"
        )
        yield found("labels.shifted", first, message)


def _rounded(probability: float) -> str:
    """A power of ten that is no smaller."""
    return f"1e{max(math.ceil(math.log10(max(probability, 1e-300))), -300)}"
