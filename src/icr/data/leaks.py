"""Pictures that stand in a data set more than once, and scenes that stand in two of its splits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import exists

from icr.data.alike import Prints, alike
from icr.data.cache import decoded
from icr.data.dataset import Finding, Sample
from icr.data.findings import found
from icr.data.formats.text import counted

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
        splits: the splits that each picture stands in.
        failures: why those that cannot be decoded cannot.
        copies: those that show the same as an earlier one, in another split if there is such a one.
        equal: for files that are equal byte for byte, the first of them, which stands for itself.
        alike: every two that are not equal but show the same, frames of one stated scene in one split aside.
    """

    splits: Mapping[str, tuple[str, ...]]
    failures: Mapping[str, str]
    copies: Sequence[Copy]
    equal: Mapping[str, str]
    alike: Sequence[tuple[str, str]]


@dataclass
class _Frames:
    """What one split holds of one scene."""

    image: str
    pictures: int = 0
    numbers: set[int] = field(default_factory=set)


class Seen:
    """Takes in the pictures of a set, one by one: the splits they stand in and the scenes they come from."""

    def __init__(self) -> None:
        self.splits: dict[str, tuple[str, ...]] = {}
        self.scenes: dict[str, tuple[str, ...]] = {}
        self._members: dict[tuple[str, ...], dict[str, _Frames]] = {}
        self._own: dict[tuple[str, ...], tuple[str, ...]] = {}

    def add(self, split: str, sample: Sample) -> None:
        """Take in one picture."""
        image = str(sample.image)
        known = self.splits.get(image, ())
        if split not in known:
            held = (*known, split)
            self.splits[image] = self._own.setdefault(held, held)  # a few, for a hundred thousand pictures
        group, number = scene(sample)
        if not group:
            return
        group = self._own.setdefault(group, group)
        self.scenes[image] = group
        frames = self._members.setdefault(group, {}).setdefault(split, _Frames(image))
        frames.pictures += 1
        if number is not None:
            frames.numbers.add(number)

    def in_two_splits(self) -> Iterator[Finding]:
        """Videos and tracks with pictures in several splits.

        Where two splits both hold the same frame of what bears one name, the numbering has begun anew in each, and
        these are two scenes.
        """
        for group, splits in self._members.items():
            held = [frames.numbers for frames in splits.values()]
            anew = any(one & other for at, one in enumerate(held) for other in held[:at])
            if len(splits) < 2 or anew:
                continue
            each = ", ".join(f"{frames.pictures} in {split}" for split, frames in splits.items())
            image = splits[list(splits)[1]].image
            total = counted(sum(frames.pictures for frames in splits.values()), "picture")
            yield found("splits.scene", image, f"{' '.join(group)} has {total}: {each}")


def look(seen: Seen, progress: Callable[[int, int], None] | None = None, *, fresh: bool = False) -> Looked:
    """Decode every picture that is there, or remember it, and find those that show the same."""
    splits, scenes = seen.splits, seen.scenes
    paths = [path for path in splits if exists(path)]  # noqa: PTH110 (called for every picture of large sets)
    failures: dict[str, str] = {}
    prints = Prints(len(paths))
    for at, each in enumerate(decoded(paths, progress, fresh=fresh)):
        prints.keep(at, each)
        if each.failure is not None:
            failures[paths[at]] = each.failure

    def thumbnails(places: Sequence[int]) -> list[bytes]:
        return [each.thumbnail for each in decoded([paths[place] for place in places])]

    equal = {paths[at]: paths[first] for at, first in prints.equal()}
    close = [(paths[one], paths[other]) for one, other in alike(prints, thumbnails).tolist()]
    # Frames of one track are meant to be alike.
    close = [
        (one, other)
        for one, other in close
        if splits[one][0] != splits[other][0] or one not in scenes or scenes[one] != scenes.get(other)
    ]
    return Looked(splits, failures, _copies(equal, close, splits), equal, close)


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
