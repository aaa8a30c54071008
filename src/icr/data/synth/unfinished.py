"""A folder that takes long to fill: it survives a kill, and stands under its name only when it is complete."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any

from icr.errors import InputError
from icr.runs import first_difference, write_json

ASKED, DONE, CONTENT = "asked.json", "done.jsonl", "content"
"""In the unfinished folder: what was asked, a line for each piece that is whole, and what is to be published."""


@dataclass
class Unfinished:
    """What is there of a folder so far.

    Attributes:
        out: the folder that it becomes.
        parts: names of all that it may hold; without the last one it is not complete.
        done: an entry for each piece that is whole, in order.
    """

    out: Path
    parts: Sequence[str]
    done: list[dict[str, Any]] = field(default_factory=list)
    _log: FileIO | None = None

    @property
    def folder(self) -> Path:
        """Where it is until it is complete, beside `out`."""
        return self.out.with_name(f".{self.out.name}.partial")

    @property
    def content(self) -> Path:
        """The folder to fill."""
        return self.folder / CONTENT

    def add(self, entry: dict[str, Any]) -> None:
        """Note that one more piece is whole."""
        assert self._log is not None
        self._log.write(json.dumps(entry).encode() + b"\n")
        self.done.append(entry)

    def publish(self) -> None:
        """Give the content its name."""
        if not self.out.is_dir():
            self.content.replace(self.out)
            return
        # The folder may be a link, or where the person stands: it stays, and what makes it complete comes last.
        for name in self.parts:
            if (self.content / name).exists():
                (self.content / name).replace(self.out / name)


@contextmanager
def unfinished(out: Path, parts: Sequence[str], asked: Mapping[str, Any]) -> Iterator[Unfinished]:
    """Begin a folder, or go on with it. What is done stays when an error or a kill ends the block.

    Args:
        out: absolute; new or empty, unless a kill came while it was published.
        parts: names of all that it may hold; without the last one it is not complete.
        asked: all that its content depends on.

    Raises:
        InputError: `out` holds something, was begun with something else asked, or is being made by another process.
    """
    work = Unfinished(out, parts)
    _refuse_filled(work)
    work.folder.mkdir(parents=True, exist_ok=True)
    with (work.folder / DONE).open("ab+", buffering=0) as log:
        _lock(log, work)
        # Whoever held the lock before may have published the folder.
        _refuse_filled(work)
        _compare(work, json.loads(json.dumps(asked)))
        work.done, work._log = _whole_lines(log, work), log
        try:
            work.content.mkdir(exist_ok=True)
            yield work
        except BaseException:
            # Where nothing is done there is nothing to go on with, and other settings may be tried.
            if not work.done:
                shutil.rmtree(work.folder, ignore_errors=True)
            raise
    shutil.rmtree(work.folder)


def _refuse_filled(work: Unfinished) -> None:
    if work.out.exists() and not work.out.is_dir():
        raise InputError(f"{work.out}: is a file; expected a folder that does not exist yet")
    held = {path.name for path in work.out.iterdir()} if work.out.is_dir() else set()
    complete = work.parts[-1]
    # A kill during publishing into a folder that was there leaves some parts in it and the last one in the other.
    if held and not (held < set(work.parts) and complete not in held and (work.content / complete).is_file()):
        raise InputError(f"{work.out}: the folder holds files already; name a new one, or empty it first")


def _lock(log: FileIO, work: Unfinished) -> None:
    """Keep other processes out until the file is closed, where the system can."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"{work.out}: another process is making it; wait for that, or name another folder") from None


def _compare(work: Unfinished, asked: dict[str, Any]) -> None:
    file = work.folder / ASKED
    if not file.is_file():
        write_json(file, asked)
        return
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file}: cannot be read ({error}); remove {work.folder} to begin anew") from None
    changed = first_difference(before, asked)
    if changed:
        raise InputError(
            f"{work.out} was begun otherwise: {changed}; ask for the same again, name another folder, "
            f"or remove {work.folder} to begin anew"
        )


def _whole_lines(log: FileIO, work: Unfinished) -> list[dict[str, Any]]:
    """The entries of a log, which then ends with the last whole one."""
    log.seek(0)
    whole = log.readall().rpartition(b"\n")[0]
    # A kill just after publishing leaves the log of a folder that is elsewhere, or was removed since.
    if not any((place / work.parts[0]).is_dir() for place in (work.content, work.out)):
        whole = b""
    log.truncate(len(whole) + bool(whole))
    return [json.loads(line) for line in whole.splitlines()]
