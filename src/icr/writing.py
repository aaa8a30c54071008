"""Results are written to new places only, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from icr.errors import InputError


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a file to write that takes the place of `path` when the block ends well, and is removed otherwise.

    A kill leaves the old file or the new one, never a half of either.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    try:
        with whole(path) as part:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from None


def refuse_filled(out: Path) -> None:
    """Make sure, before long work, that a folder can be written.

    Raises:
        InputError: it is a file, or holds something.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise InputError(f"{out} exists and is no folder; give --out a folder that does not exist yet")
    if out.is_dir() and any(os.scandir(out)):
        raise InputError(f"{out} exists and is not empty; nothing is written over, give another folder")


def refuse_existing(file: Path, option: str, *, folder_made: bool = False) -> None:
    """Make sure, before long work, that a file can be written as a new one.

    Args:
        file: what is to be written.
        option: that named it, such as `--out`.
        folder_made: its folder is made when it is written (`make_folder`), so it need not be there yet.

    Raises:
        InputError: something of that name is there already, or its folder is not.
    """
    if file.exists():
        raise InputError(f"{option} {file} exists already and nothing is written over; choose another name")
    above = next((each for each in file.absolute().parents if each.exists()), file.parent)
    if folder_made and not above.is_dir():
        raise InputError(f"{option} {file}: {above} is a file, so no folder can be made in it; choose another name")
    if not folder_made and not file.parent.is_dir():
        raise InputError(f"{option} {file}: there is no folder {file.parent} to write it in; make it first")


def make_folder(file: Path) -> None:
    """Make the folder that a file is to be written in.

    Raises:
        InputError: it cannot be made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{file.parent} cannot be made: {error.strerror or error}") from None
