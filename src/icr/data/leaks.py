"""Pictures that stand in a data set more than once, and scenes that stand in two of its splits."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import exists

import numpy as np

from icr.data.alike import Prints, alike
from icr.data.cache import decoded
from icr.data.compact import Ints, Paths, repeated, stand_again
from icr.data.dataset import Finding, Sample
from icr.data.findings import found
from icr.data.formats.text import counted
from icr.data.shifted import Placed, Run, Votes

_GROUPS = ("video", "track", "clip", "sequence")
"""Attributes of a picture that name what it was taken from; where there are several, all of them together."""

_EXPORTED_NAME = re.compile(
    r"(?P<group>.+_(?:mp4|avi|mov|mkv|webm))-(?P<frame>\d+)(?:_(?:jpe?g|png)\.rf\.[0-9a-f]+)?", re.IGNORECASE
)
_FRAME_NAME = re.compile(r"(?P<group>.*[^\W_].*?)[ _.-]*(?:frame|frm)[ _.-]?(?P<frame>\d+)", re.IGNORECASE)
_TRACK_NAME = re.compile(
    r"(?P<group>(?:.*[^a-z])?(?:track|video|vid|clip|sequence|seq)[ _.-]?\d+)[^a-z\d]+(?P<frame>\d+)[^a-z\d]*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Copy:
    """A picture that shows the same as an earlier one.

    Attributes:
        path: the picture.
        of: the earlier one.
        same: whether the files are equal, byte for byte.
    """

    path: str
    of: str
    same: bool


@dataclass(frozen=True)
class Looked:
    """What looking at every picture of a set has shown; pictures are named by their paths.

    Attributes:
        splits: the splits that a picture stands in, of each that something else is told of here or that has several.
        failures: why those that cannot be decoded cannot.
        copies: those that show the same as an earlier one, in another split if there is such a one.
        equal: for files that are equal byte for byte, the first of them, which stands for itself.
        alike: every two that are not equal but show the same, frames of one stated scene in one split aside.
        shifted: runs of pictures whose labels fit a neighbour, each with its first and its last picture.
    """

    splits: Mapping[str, tuple[str, ...]]
    failures: Mapping[str, str]
    copies: Sequence[Copy]
    equal: Mapping[str, str]
    alike: Sequence[tuple[str, str]]
    shifted: Sequence[tuple[Run, str, str]]


_NO_NUMBER = -(2**63)


class Seen:
    """Takes in the pictures of a set, one by one: the splits they stand in and the scenes they come from.

    It holds a few bytes a picture; pictures are known by their places in the order in which they were taken in.
    """

    def __init__(self) -> None:
        self.images = Paths()
        self.placed = Placed()
        self._splits: list[str] = []
        self._starts: list[int] = []
        self._scenes: dict[tuple[str, ...], int] = {}
        self._scene = array("q")
        self._frame = array("q")

    def add(self, split: str, sample: Sample) -> None:
        """Take in one picture; those of a split come one after the other."""
        place = len(self.images)
        if not self._splits or self._splits[-1] != split:
            self._splits.append(split)
            self._starts.append(place)
        self.images.append(str(sample.image))
        self.placed.add(split, sample)
        group, number = scene(sample)
        if not group:
            return
        rest = range(place - len(self._scene))
        self._scene.extend(-1 for _ in rest)
        self._frame.extend(_NO_NUMBER for _ in rest)
        self._scene.append(self._scenes.setdefault(group, len(self._scenes)))
        fits = number is not None and abs(number) < 2**62
        self._frame.append(_NO_NUMBER if number is None else number if fits else hash(number))

    def split(self, place: int) -> str:
        """The split that a picture was taken in from."""
        return self._splits[bisect_right(self._starts, place) - 1]

    def groups(self) -> Ints | None:
        """int64, a number for the scene and split of each picture, -1 where no scene is known; None: none is at all."""
        if not self._scene:
            return None
        scenes = np.full(len(self.images), -1, np.int64)
        scenes[: len(self._scene)] = self._scene
        number = np.repeat(np.arange(len(self._splits)), np.diff([*self._starts, len(scenes)]))
        return np.where(scenes < 0, -1, scenes * len(self._splits) + number)

    def in_two_splits(self) -> Iterator[Finding]:
        """Videos and tracks with pictures in several splits.

        Where two splits both hold the same frame of what bears one name, the numbering has begun anew in each, and
        these are two scenes.
        """
        groups = self.groups()
        if groups is None or len(self._splits) < 2:
            return
        names = list(self._scenes)
        order = np.argsort(groups, kind="stable")
        order = order[np.searchsorted(groups[order], 0) :]
        held, starts = np.unique(groups[order], return_index=True)
        places = dict(zip(held.tolist(), np.split(order, starts[1:]), strict=True))
        several = repeated(held // len(self._splits))
        for number in np.unique(held[several] // len(self._splits)).tolist():
            keys = {at: number * len(self._splits) + at for at in range(len(self._splits))}
            own = {at: places[key] for at, key in keys.items() if key in places}
            frames = [{self._frame[place] for place in each} - {_NO_NUMBER} for each in own.values()]
            if any(one & other for at, one in enumerate(frames) for other in frames[:at]):
                continue
            each = ", ".join(f"{len(places)} in {self._splits[at]}" for at, places in own.items())
            image = self.images[int(list(own.values())[1][0])]
            total = counted(sum(map(len, own.values())), "picture")
            yield found("splits.scene", image, f"{' '.join(names[number])} has {total}: {each}")


def look(seen: Seen, progress: Callable[[int, int], None] | None = None, *, fresh: bool = False) -> Looked:
    """Decode every picture that is there, or remember it, and find those that show the same."""
    images = seen.images
    again = stand_again(images)
    there: Sequence[int] = array("q", (at for at, path in enumerate(images) if at not in again and exists(path)))  # noqa: PTH110 (called for every picture of large sets)
    every = range(len(images))
    there, paths = (every, images) if len(there) == len(every) else (there, Paths(images[at] for at in there))
    failures: dict[int, str] = {}
    prints, votes = Prints(len(paths)), Votes()
    for at, each in enumerate(decoded(paths, progress, fresh=fresh, ask=lambda at: seen.placed.question(there[at]))):
        prints.keep(at, each)
        votes.add(seen.split(there[at]), there[at], each.answer)
        if each.failure is not None:
            failures[there[at]] = each.failure

    def thumbnails(places: Sequence[int]) -> Iterator[bytes]:
        return (each.thumbnail for each in decoded([paths[place] for place in places]))

    equal = {there[at]: there[first] for at, first in prints.equal().items()}
    groups = seen.groups()  # frames of one track are meant to be alike
    close = [
        (there[one], there[other])
        for one, other in alike(prints, thumbnails, None if groups is None else groups[np.asarray(there)]).tolist()
    ]
    splits = _splits(seen, again, {*failures, *equal, *(each for pair in close for each in pair)})
    named = {place: images[place] for place in splits}
    home = {named[place]: held for place, held in splits.items()}
    same = {named[at]: named[first] for at, first in equal.items()}
    like = [(named[one], named[other]) for one, other in close]
    shifted = [(run, images[run.first], images[run.last]) for run in votes.runs()]
    return Looked(
        home, {named[at]: why for at, why in failures.items()}, _copies(same, like, home), same, like, shifted
    )


def _splits(seen: Seen, again: Mapping[int, int], told_of: Collection[int]) -> dict[int, tuple[str, ...]]:
    """The splits of each picture that something is told of, or that stands in several, in order."""
    held: dict[int, tuple[str, ...]] = {}
    for place, first in again.items():
        known = held.get(first, (seen.split(first),))
        held[first] = known if seen.split(place) in known else (*known, seen.split(place))
    places = sorted({*told_of, *(place for place, splits in held.items() if len(splits) > 1)})
    return {place: held.get(place, (seen.split(place),)) for place in places}


def _copies(
    equal: Mapping[str, str], close: Sequence[tuple[str, str]], splits: Mapping[str, Sequence[str]]
) -> list[Copy]:
    """The earlier picture that each shows the same as: in another split before its own, equal before alike."""
    earlier: dict[str, Copy] = {}
    members: dict[str, list[str]] = {}
    for path, root in equal.items():
        before = members.setdefault(root, [])
        other = next((one for one in before if splits[one][0] != splits[path][0]), before[0] if before else None)
        if other is not None:
            earlier[path] = Copy(path, other, True)
        if all(splits[one][0] != splits[path][0] for one in before):
            before.append(path)
    for one, other in close:
        across = splits[one][0] != splits[other][0]
        known = earlier.get(other)
        if known is None or (across and not known.same and splits[known.of][0] == splits[other][0]):
            earlier[other] = Copy(other, one, False)
    return [earlier[path] for path in splits if path in earlier]


def report(looked: Looked) -> Iterator[Finding]:
    """Pictures that do not decode, and those that stand in a set more than once."""
    for path, failure in looked.failures.items():
        yield found("picture.truncated", path, f"cannot be decoded to its end: {failure}")
    for path, splits in looked.splits.items():
        if len(splits) > 1:
            yield found("splits.shared", path, f"stands in {' and '.join(splits)}")
    for each in looked.copies:
        own, others = looked.splits[each.path][0], looked.splits[each.of][0]
        message = f"of {own} {'is the same file as' if each.same else 'shows the same as'} {each.of} of {others}"
        if own == others:
            kind = "picture.duplicate" if each.same else "picture.alike"
        else:
            kind = "splits.shared" if each.same else "splits.alike"
        yield found(kind, each.path, message)


def scene(sample: Sample) -> tuple[tuple[str, ...], int | None]:
    """What a picture was taken from, and the number of its frame: as the data says, else as its file name says.

    Names count only where they speak of a video: ``dusk_frame0012.jpg``, ``track0007[03].png``, ``video3_000120.jpg``.
    ``IMG_0012.jpg`` and ``frame_12.jpg`` do not.

    Returns:
        The scene, empty when nothing is known of it; and the frame's number, None when it is not known.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> none = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
        >>> scene(Sample(Path("/d/track0007[03].png"), 8, 8, *none))
        (('track0007',), 3)
        >>> scene(Sample(Path("/d/IMG_0012.jpg"), 8, 8, *none))
        ((), None)
    """
    stated = _stated_scene(sample)
    if stated:
        frame = sample.attributes.get("frame")
        return stated, frame if isinstance(frame, int) else None
    stem = sample.image.stem
    match = _EXPORTED_NAME.fullmatch(stem) or _TRACK_NAME.fullmatch(stem) or _FRAME_NAME.fullmatch(stem)
    return ((match["group"].rstrip(" _.-"),), int(match["frame"][-18:])) if match else ((), None)


def _stated_scene(sample: Sample) -> tuple[str, ...]:
    said = sample.attributes
    if not any(said.get(key) not in (None, "") for key in _GROUPS):
        return ()
    return tuple(str(said[key]) for key in ("scenario", *_GROUPS) if isinstance(said.get(key), (str, int)))
