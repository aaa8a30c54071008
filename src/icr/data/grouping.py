"""Which pictures belong together, so that no two parts of a split show the same scene."""

from __future__ import annotations

import hashlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from icr.data.dataset import Dataset, Sample
from icr.data.formats.text import counted, shown
from icr.errors import InputError, nearest

ATTRIBUTES = ("video", "track", "scene")
"""Attributes of a picture that say what it belongs to, the best first."""

BINDING = ("video", "track")
"""Those of them that never speak of anything else: two parts that share one leak."""

_FOLDERS_OF_SPLITS = frozenset(
    ("train", "training", "val", "valid", "validation", "test", "testing", "images", "data", "pictures")
)


@dataclass(frozen=True)
class Grouping:
    """The group of each picture.

    Attributes:
        keys: one for each sample, in the order of `samples_of`.
        said: a sentence that says where the groups come from.
        joined: groups that were made one because they hold the same picture, byte for byte.
    """

    keys: list[str]
    said: str
    joined: list[list[str]]


def samples_of(dataset: Dataset) -> list[Sample]:
    """The pictures of all splits, in order."""
    return [sample for samples in dataset.splits.values() for sample in samples]


def group(dataset: Dataset, by: str | None = None, pattern: str | None = None) -> Grouping:
    """Tell which pictures belong together.

    Args:
        dataset: the set; what split a picture is in now does not matter.
        by: an attribute of the pictures, such as ``video``; ``folder``, where a picture lies below the folder of its
            split; or ``picture``, each by itself. None: the first of ``video``, ``track`` and ``scene`` that every
            picture has.
        pattern: a regular expression to find in each picture's path, in place of `by`; its groups, or else all that it
            matches, are the key.

    Raises:
        InputError: nothing says what belongs together, or not of every picture.
    """
    samples = samples_of(dataset)
    if not samples:
        raise InputError(f"{dataset.source} has no usable picture, so there is nothing to split")
    if by is not None and pattern is not None:
        raise InputError("--group stands beside --pattern: give one or the other")
    if pattern is not None:
        keys, said = _by_pattern(samples, pattern), f"groups: what {pattern!r} finds in the pictures' paths"
    elif by == "picture":
        keys, said = _paths(samples), "groups: each picture by itself"
    elif by == "folder":
        keys, said = _by_folder(samples), "groups: the folders that the pictures lie in"
    else:
        name = by or _stated_by_all(samples, dataset)
        keys, said = _by_attribute(samples, name), f"groups: the {name} that the data states for each picture"
    keys, joined = _joined(samples, keys)
    said += f"; {counted(len(set(keys)), 'group')} of {counted(len(keys), 'picture')}"
    return Grouping(keys, said, joined)


def _stated_by_all(samples: Sequence[Sample], dataset: Dataset) -> str:
    for name in ATTRIBUTES:
        if all(name in sample.attributes for sample in samples):
            return name
    raise InputError(
        f"nothing in {dataset.source} says which pictures show the same scene (no video, track or scene for each); "
        "pass --group folder, --pattern REGEX for their names, or --group picture if each stands alone"
    )


def _by_attribute(samples: Sequence[Sample], name: str) -> list[str]:
    lacking = [sample for sample in samples if sample.attributes.get(name) in (None, "")]
    if lacking:
        known = sorted({str(key) for sample in samples for key in sample.attributes})
        hint = nearest(name, [*known, "folder", "picture"])
        raise InputError(
            f"--group {name}: {counted(len(lacking), 'picture')} of {len(samples):,} without that attribute, such as "
            f"{lacking[0].image}; expected folder, picture, or one of {', '.join(known) or 'none at all'}{hint}"
        )
    return [str(sample.attributes[name]) for sample in samples]


def _by_pattern(samples: Sequence[Sample], pattern: str) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise InputError(f"--pattern {pattern!r} is no regular expression: {error}") from None
    keys, lacking = [], []
    for name in _paths(samples):
        match = expression.search(name)
        captured = [part for part in match.groups() if part is not None] if match else []
        key = "/".join(captured) if captured else match[0] if match else ""
        if not key:
            lacking.append(name)
        keys.append(key)
    if lacking:
        raise InputError(
            f"--pattern {pattern!r} finds nothing in {counted(len(lacking), 'picture')} of {len(samples):,}, such as "
            f"{shown(lacking[0])}; every picture needs a group"
        )
    return keys


def _by_folder(samples: Sequence[Sample]) -> list[str]:
    keys = []
    for name in _paths(samples):
        # The folder of a split says nothing of scenes, and the same video may lie below several.
        kept = [part for part in Path(name).parts[:-1] if part.lower() not in _FOLDERS_OF_SPLITS]
        keys.append("/".join(kept) or ".")
    return keys


def _paths(samples: Sequence[Sample]) -> list[str]:
    """The pictures' paths below the folder that holds them all."""
    root = os.path.commonpath([sample.image.parent for sample in samples])
    return [Path(os.path.relpath(sample.image, root)).as_posix() for sample in samples]


def _joined(samples: Sequence[Sample], keys: list[str]) -> tuple[list[str], list[list[str]]]:
    """Make one of the groups that share a picture."""
    first: dict[str, str] = {}

    def head(key: str) -> str:
        while first.get(key, key) != key:
            key = first[key]
        return key

    for same in _same_pictures(samples):
        heads = sorted({head(keys[place]) for place in same})
        for each in heads[1:]:
            first[each] = heads[0]
    together: dict[str, list[str]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        together[head(key)].append(key)
    return [head(key) for key in keys], [each for each in together.values() if len(each) > 1]


def _same_pictures(samples: Sequence[Sample]) -> Iterable[list[int]]:
    """Places of pictures that are the same file, or the same bytes."""
    by_size: dict[int, list[int]] = defaultdict(list)
    for place, sample in enumerate(samples):
        try:
            by_size[sample.image.stat().st_size].append(place)
        except OSError:  # a picture that is not there can be no copy of another
            continue
    by_content: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for size, places in by_size.items():
        for place in places if len(places) > 1 else ():
            by_content[size, _digest(samples[place].image)].append(place)
    return [places for places in by_content.values() if len(places) > 1]


def _digest(file: Path) -> bytes:
    try:
        return hashlib.blake2b(file.read_bytes()).digest()
    except OSError:
        return str(file).encode("utf-8", "surrogateescape")


def refuse_leaks(parts: Mapping[str, Sequence[Sample]]) -> None:
    """Make sure that no video and no track stands in two parts.

    Raises:
        InputError: one does.
    """
    for name in BINDING:
        home: dict[str, str] = {}
        for part, samples in parts.items():
            for sample in samples:
                value = sample.attributes.get(name)
                if value in (None, ""):
                    continue
                other = home.setdefault(str(value), part)
                if other != part:
                    raise InputError(
                        f"{name} {shown(str(value))} would lie in {other} and in {part}, so that what is learnt there "
                        f"is tested here; split with --group {name}"
                    )
