"""Where the frames of LSV-LP and their labels lie: in folders, nested or flat, or labels in a zip for each scenario.

A place is a path; of a label in a zip it is the zip's path, the member's name and where its bytes are, by zero bytes.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Set
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath

from icr.data.compact import Paths
from icr.data.dataset import Finding
from icr.data.findings import found
from icr.data.formats.objects import natural
from icr.data.formats.text import shown

LARGEST_LABEL = 4 * 2**20

_HEAD = 30
"""Bytes before the name in the header of a zip's member."""


class UnreadableError(Exception):
    """A label that cannot be read; the text says why."""


class Frames:
    """The frames of a scenario by their video, which is the folder that they lie in, in a few bytes each.

    Example:
        >>> frames = Frames()
        >>> frames.add("12", ["/videos/12/frame3.jpg", "/videos/12/frame10.jpg"])
        >>> len(frames), frames.videos(), frames.of("12", [])["frame3"]
        (2, dict_keys(['12']), '/videos/12/frame3.jpg')
    """

    def __init__(self) -> None:
        self._places = Paths()
        self._runs: dict[str, list[range]] = {}

    def add(self, video: str, places: Iterable[str]) -> None:
        """Add frames of a video; those of one video take the least when they are added together."""
        start = len(self._places)
        for each in places:
            self._places.append(each)
        self._runs.setdefault(video, []).append(range(start, len(self._places)))

    def __len__(self) -> int:
        return len(self._places)

    def videos(self) -> Set[str]:
        """The names of all videos."""
        return self._runs.keys()

    def of(self, video: str, findings: list[Finding]) -> dict[str, str]:
        """The places of a video's frames by their stems; one of a frame that was there before is a finding."""
        places: dict[str, str] = {}
        for each in (self._places[at] for run in self._runs.get(video, ()) for at in run):
            stem = os.path.basename(file_of(each)).rpartition(".")[0]  # noqa: PTH119 (for every frame of large sets)
            if stem in places:
                message = f"stands for the same frame as {file_of(places[stem])}"
                findings.append(found("labels.twice", file_of(each), message))
            else:
                places[stem] = each
        return places

    def first(self) -> tuple[str, str]:
        """The video and the stem of the first frame."""
        video = min(self._runs, key=natural)
        return video, min(self.of(video, []), key=natural)


def in_folder(folder: Path, wanted: Callable[[str], bool], findings: list[Finding]) -> Frames:
    """The files below a folder, however deep, whose names are wanted."""
    frames = Frames()

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            path = error.filename or folder
            findings.append(found("folder.unreadable", path, f"cannot be opened: {error.strerror or error}"))

    for root, inner, names in os.walk(folder, onerror=unreadable):
        inner.sort()
        own = [each for each in sorted(names) if not each.startswith(".") and wanted(each)]
        if own:
            frames.add(os.path.basename(root), (os.path.join(root, each) for each in own))  # noqa: PTH118, PTH119
    return frames


def labels_of(jsons: Path, scenario: str, findings: list[Finding]) -> Frames:
    """The labels of a scenario: in its folder, else in its zip; what is wrong with where they lie is a finding."""
    plain = in_folder(jsons / scenario, _is_json, findings)
    packed = jsons / f"{scenario}.zip"
    return plain if len(plain) or not packed.is_file() else _in_zip(packed, findings)


def file_of(place: str) -> str:
    """The file of a place, for findings; that of a label in a zip is its name below the zip."""
    return "/".join(place.split("\0")[:2])


def files_of(frame: str) -> tuple[str, ...]:
    """The files that are read for a frame: its picture and, after a zero byte, the file or the zip of its label.

    Example:
        >>> files_of("/videos/12/frame3.jpg\\0/jsons/move2move.zip\\0" + "12/frame3.json\\0" + "0 71 8 0")
        ('/videos/12/frame3.jpg', '/jsons/move2move.zip')
    """
    return tuple(frame.split("\0", 2)[:2])


def load(place: str) -> bytes:
    """The label at a place.

    Raises:
        UnreadableError: it cannot be opened or unpacked, or is too large.
    """
    path, *member = place.split("\0")
    try:
        if member:
            return _unpacked(path, *map(int, member[1].split()))
        return Path(path).read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot be opened: {error.strerror or error}") from None
    except OverflowError:
        raise UnreadableError("cannot be unpacked: it lies beyond all files") from None


def _in_zip(packed: Path, findings: list[Finding]) -> Frames:
    frames = Frames()
    try:
        with zipfile.ZipFile(packed) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        findings.append(found("labels.archive", packed, f"cannot be opened as a zip file: {error}"))
        return frames
    by_video = itemgetter(0)
    places = sorted(_members(packed, members, findings), key=by_video)
    for video, own in groupby(places, by_video):
        frames.add(video, (place for _, place in own))
    return frames


def _members(packed: Path, members: list[zipfile.ZipInfo], findings: list[Finding]) -> Iterator[tuple[str, str]]:
    """The video and the place of each label in a zip."""
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", member.filename):
            message = f"{shown(member.filename)} leads out of the zip file; not read"
            findings.append(found("paths.climbs", packed, message))
        elif not member.is_dir() and _is_json(path.name) and not path.name.startswith("."):
            method = -1 if member.flag_bits & 1 else member.compress_type
            where = f"{member.header_offset} {member.compress_size} {method} {member.CRC}"
            yield path.parent.name or packed.stem, f"{packed}\0{path}\0{where}"


def _is_json(name: str) -> bool:
    return name.lower().endswith(".json")


def _unpacked(path: str, start: int, size: int, method: int, checksum: int) -> bytes:
    """A member of a zip, found without reading the zip's list of all its members.

    Args:
        path: the zip.
        start: where the member's header begins.
        size: of its packed bytes.
        method: 0 stored, 8 deflated; -1 encrypted.
        checksum: CRC-32 of the bytes unpacked.
    """
    if method not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        how = "encrypted" if method < 0 else f"packed by method {method}"
        raise UnreadableError(f"is {how}; expected it stored or deflated")
    with Path(path).open("rb") as file:
        file.seek(start)
        head = file.read(_HEAD)
        if len(head) < _HEAD or not head.startswith(b"PK\3\4"):
            raise UnreadableError("cannot be unpacked: its header is not where the zip file says")
        file.seek(start + _HEAD + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little"))
        data = file.read(min(size, 2 * LARGEST_LABEL))  # what cannot be deflated takes a little more than itself
    if method == zipfile.ZIP_DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, LARGEST_LABEL + 1)
        except zlib.error as error:
            raise UnreadableError(f"cannot be unpacked: {error}") from None
    if len(data) > LARGEST_LABEL:
        raise UnreadableError(f"unpacks to more than {LARGEST_LABEL:,} bytes, too much for the labels of one frame")
    if zlib.crc32(data) != checksum:
        raise UnreadableError("cannot be unpacked: its checksum is another than the zip file's")
    return data
