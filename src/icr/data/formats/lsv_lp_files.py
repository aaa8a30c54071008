"""Where the frames of LSV-LP and their labels lie: in folders, nested or flat, or labels in a zip for each scenario."""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Callable, Set
from pathlib import Path, PurePosixPath
from typing import Any

from icr.data.dataset import Finding
from icr.data.findings import found
from icr.data.formats.text import shown

LARGEST_LABEL = 4 * 2**20

Key = tuple[str, str]
"""Folder and stem of a frame: its video and its name there."""


class UnreadableError(Exception):
    """A label that cannot be read; the text says why."""


def frame_of(path: str) -> Key:
    """Which frame a picture or a label is of.

    Example:
        >>> frame_of(os.path.join("videos", "move2move", "12", "frame3.jpg"))
        ('12', 'frame3')
    """
    folder, name = os.path.split(path)
    return os.path.basename(folder), name.rpartition(".")[0]  # noqa: PTH119 (called for every frame of large sets)


def by_frame(folder: Path, wanted: Callable[[str], bool], findings: list[Finding]) -> dict[Key, str]:
    """Files below a folder by the name of the folder they lie in and their stem, however deep."""
    files: dict[Key, str] = {}

    def unreadable(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            path = error.filename or folder
            findings.append(found("folder.unreadable", path, f"cannot be opened: {error.strerror or error}"))

    for root, inner, names in os.walk(folder, onerror=unreadable):
        inner.sort()
        for name in sorted(names):
            if name.startswith(".") or not wanted(name):
                continue
            path = os.path.join(root, name)  # noqa: PTH118
            key = frame_of(path)
            if key in files:
                findings.append(found("labels.twice", path, f"stands for the same frame as {files[key]}"))
            else:
                files[key] = path
    return files


class Labels:
    """The labels of a scenario: from its folder, else from its zip. Sent to another process, it looks there anew.

    Args:
        jsons: the folder that holds the scenario's folder or zip.
        scenario: its name.
    """

    def __init__(self, jsons: Path, scenario: str) -> None:
        self.scenario = scenario
        self._jsons = jsons
        self._archive: zipfile.ZipFile | None = None
        self._places: dict[Key, str | zipfile.ZipInfo] | None = None

    def __enter__(self) -> Labels:
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()

    def _forget(self) -> None:
        """Forget where the labels lie; whoever asks again makes it look again."""
        if self._archive is not None:
            self._archive.close()
        self._archive = self._places = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_archive": None, "_places": None}

    def frames(self, findings: list[Finding]) -> Set[Key]:
        """The frames that have labels; what is wrong with where they lie is a finding."""
        self._forget()
        plain = by_frame(self._jsons / self.scenario, _is_json, findings)
        self._places = {**plain} if plain else self._packed(findings)
        return self._places.keys()

    def file(self, key: Key) -> Path | None:
        """Where the label of a frame lies, for findings; None where it has none."""
        place = self._place(key)
        if isinstance(place, zipfile.ZipInfo):
            return self._zip / _path_in(place)
        return None if place is None else Path(place)

    def files(self, key: Key) -> tuple[str, ...]:
        """The file that the label of a frame is read from; nothing where it has none."""
        place = self._place(key)
        if place is None:
            return ()
        return (str(self._zip) if isinstance(place, zipfile.ZipInfo) else place,)

    def load(self, key: Key) -> bytes:
        """The label of a frame.

        Raises:
            UnreadableError: it cannot be opened or unpacked, or is too large.
        """
        place = self._place(key)
        if isinstance(place, zipfile.ZipInfo) and self._archive is not None:
            return _load_member(self._archive, place)
        try:
            return Path(str(place)).read_bytes()
        except OSError as error:
            raise UnreadableError(f"cannot be opened: {error.strerror or error}") from None

    @property
    def _zip(self) -> Path:
        return self._jsons / f"{self.scenario}.zip"

    def _place(self, key: Key) -> str | zipfile.ZipInfo | None:
        if self._places is None:
            self.frames([])
        return (self._places or {}).get(key)

    def _packed(self, findings: list[Finding]) -> dict[Key, str | zipfile.ZipInfo]:
        if not self._zip.is_file():
            return {}
        try:
            self._archive = zipfile.ZipFile(self._zip)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            findings.append(found("labels.archive", self._zip, f"cannot be opened as a zip file: {error}"))
            return {}
        places: dict[Key, str | zipfile.ZipInfo] = {}
        for member in self._archive.infolist():
            path = _path_in(member)
            if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", member.filename):
                message = f"{shown(member.filename)} leads out of the zip file; not read"
                findings.append(found("paths.climbs", self._zip, message))
            elif not member.is_dir() and _is_json(path.name) and not path.name.startswith("."):
                key = (path.parent.name or self.scenario, path.stem)
                if key in places:
                    message = f"{shown(member.filename)} stands for a frame told of"
                    findings.append(found("labels.twice", self._zip, message))
                else:
                    places[key] = member
        return places


def _path_in(member: zipfile.ZipInfo) -> PurePosixPath:
    return PurePosixPath(member.filename.replace("\\", "/"))


def _is_json(name: str) -> bool:
    return name.lower().endswith(".json")


def _load_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(member) as file:
            data = file.read(LARGEST_LABEL + 1)  # what a header claims need not be what comes
    # ValueError: the name in the member's own header is no text.
    except (zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UnreadableError(f"cannot be unpacked: {error}") from None
    if len(data) > LARGEST_LABEL:
        raise UnreadableError(f"unpacks to more than {LARGEST_LABEL:,} bytes, too much for the labels of one frame")
    return data
