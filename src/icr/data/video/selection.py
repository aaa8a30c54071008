"""Which frames are kept, which split each recording goes to, and which frames of it are taken: pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from icr.data.video.hashing import distances
from icr.data.video.scanning import Measured
from icr.data.video.settings import VideoSettings

Light = Literal["day", "night"]
LIGHTS: tuple[Light, Light] = ("day", "night")
Stock: TypeAlias = npt.NDArray[np.float64]
"""Frames by day and by night, float64 (N, 2), of each recording or each split."""


@dataclass(frozen=True)
class Candidate:
    """A measured frame, the place of its video in the list, its recording and its light."""

    video: int
    group: str
    light: Light
    measured: Measured


@dataclass(frozen=True)
class Screened:
    """What became of the candidates.

    Attributes:
        kept: sharp, and like no other kept one.
        blurred: too blurred.
        repeated: each with the kept one that it is like, and the share of bits in which the two differ.
    """

    kept: tuple[Candidate, ...]
    blurred: tuple[Candidate, ...]
    repeated: tuple[tuple[Candidate, Candidate, float], ...]


def screen(candidates: Sequence[Candidate], settings: VideoSettings) -> Screened:
    """Drop blurred frames, and each frame that is like one already kept, of whatever video."""
    kept: list[Candidate] = []
    blurred: list[Candidate] = []
    repeated: list[tuple[Candidate, Candidate, float]] = []
    hashes = np.zeros((len(candidates), 32), np.uint8)
    for each in candidates:
        if each.measured.blur > settings.blurred:
            blurred.append(each)
            continue
        own = np.frombuffer(bytes.fromhex(each.measured.hash), np.uint8)
        away = distances(own, hashes[: len(kept)])
        if len(away) and away.min() <= settings.similar:
            nearest = int(away.argmin())
            repeated.append((each, kept[nearest], float(away[nearest])))
            continue
        hashes[len(kept)] = own
        kept.append(each)
    return Screened(tuple(kept), tuple(blurred), tuple(repeated))


def wanted(counts: Mapping[str, int], available: int) -> dict[str, int]:
    """The frames of each split that the material can give: all that is asked, or the same share of each.

    Example:
        >>> wanted({"train": 80, "val": 10, "test": 10}, 50), wanted({"train": 8, "val": 0}, 50)
        ({'train': 40, 'val': 5, 'test': 5}, {'train': 8})
    """
    asked = {split: count for split, count in counts.items() if count}
    total = sum(asked.values())
    if available >= total:
        return asked
    return {split: max(count * available // total, 1) for split, count in asked.items()}


def halves(count: int) -> dict[Light, int]:
    """Half day, half night; the odd one is taken by day.

    Example:
        >>> halves(5)
        {'day': 3, 'night': 2}
    """
    return {"day": count - count // 2, "night": count // 2}


def assign(kept: Sequence[Candidate], targets: Mapping[str, int]) -> dict[str, str]:
    """Give each recording to one split, such that every split comes as near as can be to its count, half of it night.

    Recordings go, the largest first, to where they lessen the lack most; then single moves and exchanges are made as
    long as one helps; where recordings are few, so that one move matters much, the same is tried from other starts. The
    lack of a split is the share of its count that its recordings cannot give, and, a tenth as heavy, the share that
    they cannot give in the right light.

    Args:
        kept: usable frames.
        targets: frames wanted in each split.

    Returns:
        The split of each recording.
    """
    splits = list(targets)
    stock: dict[str, Counter[Light]] = {}
    for each in kept:
        stock.setdefault(each.group, Counter())[each.light] += 1
    groups = sorted(stock, key=lambda group: (-sum(stock[group].values()), group))
    gives = np.array([[stock[group][light] for light in LIGHTS] for group in groups], np.float64).reshape(-1, 2)
    asked = np.array([targets[split] for split in splits], np.float64)
    asked_by_light = np.array([[halves(targets[split])[light] for light in LIGHTS] for split in splits], np.float64)

    def lack(held: Stock) -> float:
        short = np.maximum(asked - held.sum(1), 0) / asked
        dim = np.maximum(asked_by_light - held, 0).sum(1) / asked
        # The square spreads a lack over the splits rather than leaving one of them empty.
        return float((short**2).sum() + 0.1 * (dim**2).sum() + 1e-3 * dim.sum())

    def held_by(place: Sequence[int]) -> Stock:
        held = np.zeros((len(splits), 2))
        np.add.at(held, np.array(place, np.int64), gives)
        return held

    rng = np.random.default_rng(len(groups))
    starts = [_greedy(gives, asked, lack)]
    starts += [rng.integers(0, len(splits), len(groups)).tolist() for _ in range(_starts(len(groups)))]
    for place in starts:
        _improve(place, gives, held_by(place), lack)
    best = min(starts, key=lambda place: round(lack(held_by(place)), 12))
    return {group: splits[where] for group, where in zip(groups, best, strict=True)}


def _starts(groups: int) -> int:
    """How many other starts to try: what takes about a second."""
    return min(40, 20_000 // max(groups, 1) ** 2)


def _greedy(gives: Stock, asked: npt.NDArray[np.float64], lack: Callable[[Stock], float]) -> list[int]:
    """Give each recording, in order, to the split where it lessens the lack most, then to the one with most room."""
    held = np.zeros((len(asked), 2))
    place: list[int] = []
    for own in gives:
        tries = []
        for split in range(len(asked)):
            held[split] += own
            room = float((asked[split] - held[split].sum()) / asked[split])
            tries.append((round(lack(held), 12), -room, split))
            held[split] -= own
        place.append(min(tries)[2])
        held[place[-1]] += own
    return place


_EXCHANGED = 120
"""Beyond so many recordings, single moves are enough and exchanges too slow."""


def _improve(place: list[int], gives: Stock, held: Stock, lack: Callable[[Stock], float]) -> None:
    """Move or exchange recordings, in place, while that lessens the lack."""
    best = lack(held)
    count, splits = len(place), range(len(held))
    better = True
    while better:
        better = False
        moves: list[tuple[int, int, int | None]] = [(one, to, None) for one in range(count) for to in splits]
        if count <= _EXCHANGED:
            moves += [(one, -1, other) for one in range(count) for other in range(one)]
        for one, where, other in moves:
            origin, to = place[one], where if other is None else place[other]
            if to == origin:
                continue
            change = gives[one] if other is None else gives[one] - gives[other]
            held[origin] -= change
            held[to] += change
            now = lack(held)
            if now < best - 1e-12:
                best, better = now, True
                place[one] = to
                if other is not None:
                    place[other] = origin
            else:
                held[origin] += change
                held[to] -= change


def take(
    kept: Sequence[Candidate], split_of: Mapping[str, str], targets: Mapping[str, int], seed: int
) -> dict[str, list[Candidate]]:
    """Draw the frames of each split at random from its recordings: half day, half night, each filling up for the other.

    Returns:
        Frames by split, in the order of `kept`.
    """
    chosen: dict[str, list[Candidate]] = {}
    for number, (split, count) in enumerate(targets.items()):
        stock = {
            light: [place for place, each in enumerate(kept) if split_of[each.group] == split and each.light == light]
            for light in LIGHTS
        }
        asked = halves(count)
        share = {
            light: asked[light] + max(asked[other] - len(stock[other]), 0) for light, other in (LIGHTS, LIGHTS[::-1])
        }
        rng = np.random.default_rng([seed, number])
        places: list[int] = []
        for light in LIGHTS:
            order = rng.permutation(len(stock[light]))[: share[light]]
            places += [stock[light][each] for each in order.tolist()]
        chosen[split] = [kept[each] for each in sorted(places)]
    return chosen
