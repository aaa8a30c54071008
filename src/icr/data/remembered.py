"""Pictures read one by one, kept in the user's cache folder: known from before they are not parsed again, and a large
set need not be in memory.

What a picture became is known again by the path, size and time of change of the picture and of each of its label files,
and by what the reader was asked. Whatever is wrong with the cache, the labels are read.
"""

from __future__ import annotations

import os
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import blake2b
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TypeAlias, overload

from icr.data.dataset import Finding, Sample
from icr.data.packing import pack, unpack
from icr.data.sqlite_file import SqliteFile, folder

Parse: TypeAlias = Callable[[Path], tuple["Sample | None", list[Finding]]]
"""A picture to its sample, None where it cannot be used, and to what was found; can be sent to another process."""

FilesOf: TypeAlias = Callable[[Path], Iterable[str]]
"""A picture to the paths of everything that its sample is made from."""

_FORM = 1
_LARGEST = 2**30
_CHUNK = 400
_SETTLED = 2_000_000_000
_WORTH_PROCESSES = 4_000
"""Fewer new pictures are parsed sooner than other processes are ready."""


class StoredSamples(Sequence[Sample]):
    """The pictures of a split, each fetched from the cache when it is asked for; its arrays cannot be written to.

    Args:
        pictures: their paths, in order.
        stamps: what each picture's files were when it was read.
        store: the cache file.
        parse: reads a picture that the cache does not hold.
    """

    def __init__(self, pictures: Sequence[str], stamps: array[int], store: Path, parse: Parse) -> None:
        self._pictures, self._stamps, self._store, self._parse = pictures, stamps, store, parse
        self._held: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self._pictures)

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> list[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | list[Sample]:
        if isinstance(place, slice):
            return list(self._fetch(range(len(self))[place]))
        return next(self._fetch([range(len(self))[place]]))

    def __iter__(self) -> Iterator[Sample]:
        return self._fetch(range(len(self)))

    def _fetch(self, places: Sequence[int]) -> Iterator[Sample]:
        file = _open(self._store)
        try:
            for start in range(0, len(places), _CHUNK):
                chunk = places[start : start + _CHUNK]
                known = _known(file, [(os.fsencode(self._pictures[at]), self._stamps[at]) for at in chunk])
                for at in chunk:
                    yield self._held.get(at) or self._one(at, known.get(os.fsencode(self._pictures[at])))
        finally:
            file.close()

    def _one(self, at: int, body: bytes | None) -> Sample:
        image = Path(self._pictures[at])
        sample = _read(body, image)[0] if body is not None else None
        if sample is None:
            sample = self._parse(image)[0]
            if sample is None:  # gone, or spoilt, since it was read
                raise OSError(None, "has changed while it was being read", str(image))
            self._held[at] = sample
        return sample


def read_pictures(
    pictures: Sequence[Path], parse: Parse, files_of: FilesOf, meaning: str
) -> tuple[StoredSamples, list[Finding]]:
    """Read pictures, those that are known from before and have not changed since excepted.

    Args:
        pictures: the picture files, in order.
        parse: reads one.
        files_of: what its sample is made from, itself included.
        meaning: whatever else the result depends on: the reader and its settings.

    Returns:
        The usable pictures, none of them in memory, and the findings of all, in order.
    """
    names: list[str] = []
    stamps = array("q")
    findings: list[Finding] = []
    path = folder() / "labels.sqlite"
    salt = blake2b(f"{_FORM} {meaning}".encode(), digest_size=16).digest()
    file = _open(path)
    waiting = iter(pictures)
    held: dict[int, Sample] = {}
    with _Parser(parse) as parser:
        try:
            while chunk := list(islice(waiting, _CHUNK)):
                keys = [_stamp(files_of(each), salt) for each in chunk]
                paths = [os.fsencode(each) for each in chunk]
                known = _known(file, [(name, key) for name, (key, _) in zip(paths, keys, strict=True)])
                new = parser.parse([each for each, name in zip(chunk, paths, strict=True) if name not in known])
                added = []
                for image, name, (key, settled) in zip(chunk, paths, keys, strict=True):
                    body = known[name] if name in known else next(new)
                    sample, found = _read(body, image)
                    if name in known and sample is None and not found:  # a spoilt row
                        sample, found = parse(image)
                        body = pack(sample, found)
                    findings += found
                    if settled and name not in known:
                        added.append((name, key, body))
                    if sample is not None:
                        if not settled:
                            held[len(names)] = sample
                        names.append(str(image))
                        stamps.append(key)
                file.add(added)
        finally:
            file.close()
    samples = StoredSamples(names, stamps, path, parse)
    samples._held.update(held)
    return samples, findings


class _Parser:
    """Parses here, or, once enough has been new, in other processes as well."""

    def __init__(self, parse: Parse) -> None:
        self._parse, self._done = parse, 0
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> _Parser:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def parse(self, pictures: Sequence[Path]) -> Iterator[bytes]:
        self._done += len(pictures)
        alone = (os.cpu_count() or 1) < 2 or parent_process() is not None
        if self._pool is None and self._done > _WORTH_PROCESSES and not alone:
            # forking a process that has threads (PyTorch's, a progress bar's) can hang it
            self._pool = ProcessPoolExecutor(min(os.cpu_count() or 1, 8), get_context("spawn"))
        if self._pool is None or len(pictures) < 50:
            return map(partial(_packed, self._parse), pictures)
        return self._pool.map(partial(_packed, self._parse), pictures, chunksize=50)


def _packed(parse: Parse, image: Path) -> bytes:
    return pack(*parse(image))


def _read(body: bytes, image: Path) -> tuple[Sample | None, list[Finding]]:
    try:
        return unpack(body, image)
    except ValueError:
        return None, []


def _stamp(files: Iterable[str], salt: bytes) -> tuple[int, bool]:
    """A number for the state of some files, and whether it is old enough to be relied on."""
    digest = blake2b(salt, digest_size=8)
    newest = 0
    for path in files:
        try:
            status = os.stat(path)  # noqa: PTH116 (several times for every picture of large sets)
        except (OSError, ValueError):
            digest.update(b"none;")
            continue
        digest.update(b"%d %d;" % (status.st_size, status.st_mtime_ns))
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
