"""Pictures read one by one, kept in the user's cache folder: known from before they are not parsed again, and a large
set need not be in memory.

What a picture became is known again by the path, size and time of change of the picture and of each of its label files,
and by what the reader was asked. Whatever is wrong with the cache, the labels are read.
"""

from __future__ import annotations

import os
import time
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, overload

from icr.data.compact import Paths
from icr.data.dataset import Dataset, Finding, Sample
from icr.data.packing import summary, unpack
from icr.data.parsing import Parse, Parser
from icr.data.sqlite_file import SqliteFile, folder

FilesOf: TypeAlias = Callable[[str], Iterable[str]]
"""A picture to the paths of everything that its sample is made from."""

Told: TypeAlias = Callable[[Path], dict[str, Any]]
"""The attributes of a picture."""

ReadAll: TypeAlias = Callable[[Sequence[str], Parse, FilesOf, str], "tuple[Sequence[Sample], list[Finding]]"]
"""`read_pictures` or `read_now`."""

Summary: TypeAlias = tuple[bool, list[Finding]]
"""Whether there is a sample, and the findings."""

_FORM = 2
_LARGEST = 2**30
_CHUNK = 400
_AHEAD = 3
"""Chunks that are being parsed while an earlier one is taken in."""

_SETTLED = 2_000_000_000


def read_now(
    pictures: Sequence[str], parse: Parse, files_of: FilesOf, meaning: str
) -> tuple[list[Sample], list[Finding]]:
    """As `read_pictures`, but into memory, and nothing is known from before."""
    read = [parse(each) for each in pictures]
    return [sample for sample, _ in read if sample is not None], [each for _, found in read for each in found]


class StoredSamples(Sequence[Sample]):
    """The pictures of a split, each fetched from the cache when it is asked for; its arrays cannot be written to.

    Args:
        pictures: what was read, in order.
        usable: the places of those that have a sample.
        stamps: what the files of each of these were when it was read.
        store: the cache file.
        parse: reads a picture that the cache does not hold.
        held: samples that the cache does not hold, by their places.
    """

    def __init__(
        self,
        pictures: Sequence[str],
        usable: Sequence[int],
        stamps: array[int],
        store: Path,
        parse: Parse,
        held: dict[int, Sample],
    ) -> None:
        self._pictures, self._usable, self._stamps = pictures, usable, stamps
        self._store, self._parse, self._held = store, parse, held
        self._told: Told | None = None

    def __len__(self) -> int:
        return len(self._usable)

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> list[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | list[Sample]:
        if isinstance(place, slice):
            return list(self.fetch(range(len(self))[place]))
        return next(self.fetch([range(len(self))[place]]))

    def __iter__(self) -> Iterator[Sample]:
        return self.fetch(range(len(self)))

    def fetch(self, places: Sequence[int]) -> Iterator[Sample]:
        """The samples at some places, in the order asked for."""
        file = _open(self._store)
        try:
            for start in range(0, len(places), _CHUNK):
                chunk = places[start : start + _CHUNK]
                pictures = [self._pictures[self._usable[at]] for at in chunk]
                keys = [(os.fsencode(picture), self._stamps[at]) for picture, at in zip(pictures, chunk, strict=True)]
                known = _known(file, keys)
                for at, picture, (key, _) in zip(chunk, pictures, keys, strict=True):
                    sample = self._held.get(at) or self._one(at, picture, known.get(key))
                    if self._told is not None:
                        sample.attributes = self._told(sample.image)
                    yield sample
        finally:
            file.close()

    def describe(self, told: Told) -> None:
        """Give each picture its attributes whenever it is fetched; the cache knows its labels alone."""
        self._told = told

    def _one(self, at: int, picture: str, body: bytes | None) -> Sample:
        sample = None
        if body is not None:
            try:
                sample = unpack(body, _image(picture))[0]
            except ValueError:
                sample = None
        if sample is None:
            sample = self._parse(picture)[0]
            if sample is None:  # gone, or spoilt, since it was read
                raise OSError(None, "has changed while it was being read", str(_image(picture)))
            self._held[at] = sample
        return sample


def _image(picture: str) -> Path:
    return Path(picture.partition("\0")[0])


def describe(samples: Sequence[Sample], told: Told) -> None:
    """Give the pictures of a split, in memory or not, the attributes that are told of them elsewhere."""
    if isinstance(samples, StoredSamples):
        samples.describe(told)
        return
    for sample in samples:
        sample.attributes = told(sample.image)


class JoinedSamples(Sequence[Sample]):
    """Several parts of a split, one after the other."""

    def __init__(self, parts: Sequence[Sequence[Sample]]) -> None:
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> list[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | list[Sample]:
        if isinstance(place, slice):
            return [self[at] for at in range(len(self))[place]]
        at = range(len(self))[place]
        for part in self._parts:
            if at < len(part):
                return part[at]
            at -= len(part)
        raise IndexError(place)

    def __iter__(self) -> Iterator[Sample]:
        for part in self._parts:
            yield from part

    def fetch(self, places: Sequence[int]) -> Iterator[Sample]:
        """The samples at some places, which must be in order."""
        yield from _from_parts(self._parts, places)


def samples_at(dataset: Dataset, places: Sequence[int]) -> Iterator[Sample]:
    """The pictures at some places of a set, in order, counted through its splits; no others are fetched."""
    return _from_parts(list(dataset.splits.values()), places)


def _from_parts(parts: Sequence[Sequence[Sample]], places: Sequence[int]) -> Iterator[Sample]:
    start = 0
    for part in parts:
        low, high = bisect_left(places, start), bisect_left(places, start + len(part))
        own = [place - start for place in places[low:high]]
        yield from part.fetch(own) if isinstance(part, (StoredSamples, JoinedSamples)) else map(part.__getitem__, own)
        start += len(part)


def joined(parts: Sequence[Sequence[Sample]]) -> Sequence[Sample]:
    """Parts of a split, one after the other, as one; in memory where they are."""
    if any(isinstance(each, StoredSamples) for each in parts):
        return JoinedSamples(parts)
    return [sample for part in parts for sample in part]


def read_pictures(
    pictures: Sequence[str], parse: Parse, files_of: FilesOf, meaning: str
) -> tuple[StoredSamples, list[Finding]]:
    """Read pictures, those that are known from before and have not changed since excepted.

    Args:
        pictures: the paths of the picture files, in order; a path may be followed by a zero byte and what else `parse`
            needs to find the labels.
        parse: reads one.
        files_of: what its sample is made from, itself included.
        meaning: whatever else the result depends on: the reader and its settings.

    Returns:
        The usable pictures, none of them in memory, and the findings of all, in order.
    """
    usable, stamps = array("q"), array("q")
    findings: list[Finding] = []
    path = folder() / "labels.sqlite"
    salt = blake2b(f"{_FORM} {meaning}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
    file = _open(path)
    held: dict[int, Sample] = {}
    with Parser(parse) as parser:
        try:
            for place, row in enumerate(_rows(pictures, parser, files_of, salt, file)):
                there, found = row.summary
                findings += found
                if there:
                    if not row.settled:
                        sample, _ = unpack(row.body, _image(row.picture))
                        if sample is not None:
                            held[len(usable)] = sample
                    usable.append(place)
                    stamps.append(row.stamp)
        finally:
            file.close()
    kept = pictures if isinstance(pictures, Paths) else Paths(pictures)
    every = range(len(kept))
    return StoredSamples(kept, every if len(usable) == len(every) else usable, stamps, path, parse, held), findings


class _Row(NamedTuple):
    """A picture with what is packed of it, the state of its files, and whether that is old enough to be relied on."""

    picture: str
    body: bytes
    summary: Summary
    stamp: int
    settled: bool


def _rows(pictures: Sequence[str], parser: Parser, files_of: FilesOf, salt: bytes, file: SqliteFile) -> Iterator[_Row]:
    """Every picture, in order, from the cache or parsed; what is new goes into the cache."""
    waiting = iter(pictures)
    begun: deque[_Chunk] = deque()
    while True:
        while len(begun) < _AHEAD and (chunk := list(islice(waiting, _CHUNK))):
            begun.append(_Chunk(chunk, parser, files_of, salt, file))
        if not begun:
            return
        yield from begun.popleft().rows(file)


class _Chunk:
    """Some pictures, those among them that are not known being parsed."""

    def __init__(self, pictures: list[str], parser: Parser, files_of: FilesOf, salt: bytes, file: SqliteFile) -> None:
        self._pictures = pictures
        self._keys = [_stamp(files_of(each), salt) for each in pictures]
        self._paths = [os.fsencode(each) for each in pictures]
        asked = [(path, key) for path, (key, _) in zip(self._paths, self._keys, strict=True)]
        read = ((path, body, _summary(body)) for path, body in _known(file, asked).items())
        self._known = {path: (body, told) for path, body, told in read if told is not None}
        new = [each for each, path in zip(pictures, self._paths, strict=True) if path not in self._known]
        self._new = parser.parse(new)

    def rows(self, file: SqliteFile) -> Iterator[_Row]:
        added = []
        for picture, path, (key, settled) in zip(self._pictures, self._paths, self._keys, strict=True):
            known = self._known.get(path)
            if known is None:
                body = next(self._new)
                known = body, summary(body)
                if settled:
                    added.append((path, key, body))
            yield _Row(picture, *known, key, settled)
        file.add(added)


def _summary(body: bytes) -> Summary | None:
    """The summary of what the cache holds; None where that is not sound."""
    try:
        return summary(body)
    except ValueError:
        return None


def _stamp(files: Iterable[str], salt: bytes) -> tuple[int, bool]:
    """A number for the state of some files, and whether it is old enough to be relied on.

    Where the system keeps the time of the last change of a file's name and place (`st_ctime`), two files that have
    exchanged their names are known, too: those unpacked from one archive often have one size and one time.
    """
    digest = blake2b(salt, digest_size=8)
    newest = 0
    for path in files:
        try:
            status = os.stat(path)  # noqa: PTH116 (several times for every picture of large sets)
        except (OSError, ValueError):
            digest.update(b"none;")
            continue
        digest.update(b"%d %d %d;" % (status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        newest = max(newest, status.st_mtime_ns)
    return int.from_bytes(digest.digest(), "little", signed=True), abs(time.time_ns() - newest) > _SETTLED


def _open(path: Path) -> SqliteFile:
    columns = "path BLOB PRIMARY KEY, stamp INTEGER, body BLOB"
    return SqliteFile(path, "labels", columns, f"labels {_FORM}", _LARGEST)


def _known(file: SqliteFile, keys: Sequence[tuple[bytes, int]]) -> dict[bytes, bytes]:
    """The rows of some pictures, where they are of the state asked for."""
    marks = ",".join("?" * len(keys))
    rows = file.rows(f"SELECT path, stamp, body FROM labels WHERE path IN ({marks})", [path for path, _ in keys])
    wanted = dict(keys)
    return {path: body for path, stamp, body in rows if stamp == wanted.get(path) and isinstance(body, bytes)}
