"""Which files the words of a command line mean: pictures, videos, folders of them, and patterns."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from icr.errors import InputError

PICTURES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".avif")
)
VIDEOS = frozenset(
    (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".mts", ".m2ts", ".3gp")
)


@dataclass(frozen=True)
class Source:
    """One file to look at.

    Attributes:
        path: the file, as the user named it.
        name: its place in the output, without suffix: the stem, within the folder that was named.
        video: whether it is a video; anything else counts as a picture.
    """

    path: Path
    name: Path
    video: bool


def find(words: Sequence[str]) -> list[Source]:
    """Turn files, folders and glob patterns into files, in the order given, sorted within each, each file once.

    A folder stands for the pictures and videos in it and below it, hidden ones aside. A file that is named is taken
    whatever it is called, and so is every file that a pattern matches.

    Raises:
        InputError: a word matches nothing, or a folder holds no picture and no video.
    """
    found: dict[Path, Source] = {}
    for word in words:
        for path, base in _matched(word):
            name = path.relative_to(base).with_suffix("")
            found.setdefault(path.resolve(), Source(path, name, path.suffix.lower() in VIDEOS))
    return list(found.values())


def _matched(word: str) -> Iterator[tuple[Path, Path]]:
    path = Path(word).expanduser()
    # A name that exists is meant as it stands, even with brackets in it: track0001[01].png.
    if path.is_dir():
        inside = list(_sorted_files(path.rglob("*"), path))
        if not inside:
            raise InputError(
                f"{word}: the folder holds no picture and no video; expected .jpg, .png, .mp4 and the like"
            )
        yield from ((each, path) for each in inside)
    elif path.exists():
        yield path, path.parent
    elif glob.has_magic(word):
        matches = sorted(Path(each) for each in glob.glob(str(path), recursive=True))  # noqa: PTH207 (absolute ones too)
        files = [each for each in matches if each.is_file()]
        if not files:
            raise InputError(f"{word}: no file matches this pattern; expected pictures or videos")
        yield from ((each, each.parent) for each in files)
    else:
        raise InputError(f"{word}: there is no such file or folder; expected a picture, a video, a folder or a pattern")


def _sorted_files(paths: Iterable[Path], folder: Path) -> list[Path]:
    return sorted(
        path
        for path in paths
        if path.suffix.lower() in PICTURES | VIDEOS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
