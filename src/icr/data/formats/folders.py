"""Writing a data set: a new folder that appears whole or not at all, and the pictures in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from icr.data.dataset import Sample
from icr.data.pictures import exists, is_picture
from icr.errors import InputError
from icr.writing import refuse_filled


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a temporary folder beside `out` that becomes `out` when the block ends well, and is removed otherwise.

    Raises:
        InputError: `out` exists and is not empty, or cannot be written.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 (resolve would follow a link that is to be replaced)
    refuse_filled(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror or error}") from None
    try:
        yield work
        work.chmod(0o755)
        if out.is_dir():
            out.rmdir()
        work.replace(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def place(picture: Path, to: Path, *, link: bool) -> None:
    """Put a picture at a new path, as a link (symbolic, else hard) or as a copy of its bytes.

    Raises:
        InputError: the picture is not there, cannot be read, or its copy cannot be written.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    if link and not exists(picture):
        raise InputError(f"{picture} is not there, so it cannot be linked; put it there, or leave its entry out")
    if link:
        with suppress(OSError, NotImplementedError):
            to.symlink_to(picture)
            return
        with suppress(OSError, NotImplementedError):
            to.hardlink_to(picture)
            return
    try:
        shutil.copyfile(picture, to)
    except OSError as error:
        raise InputError(f"{picture} cannot be copied to {to}: {error.strerror or error}") from None


def relative_names(samples: Sequence[Sample]) -> list[Path]:
    """A path for each picture below the folder of its split: its own below the folder that holds them all, made unique.

    Example:
        >>> import numpy as np
        >>> none = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
        >>> pictures = [Sample(Path(name), 8, 8, *none) for name in ("/a/v1/1.jpg", "/a/v2/1.jpg")]
        >>> [name.as_posix() for name in relative_names(pictures)]
        ['v1/1.jpg', 'v2/1.jpg']
    """
    if not samples:
        return []
    root = os.path.commonpath([sample.image.parent for sample in samples])
    taken: set[Path] = set()
    names = []
    for sample in samples:
        own = Path(os.path.relpath(sample.image, root))
        if "images" in own.parts[:-1]:  # a second images/ would lead YOLO to another folder for the labels
            own = Path("_".join(own.parts))
        if not is_picture(own):
            own = own.with_name(f"{own.name}.jpg")  # decoders go by content, loaders by suffix
        name, count = own, 1
        while name.with_suffix("") in taken:  # labels are found by stem, so a.jpg and a.png must not meet
            count += 1
            name = own.with_name(f"{own.stem}-{count}{own.suffix}")
        taken.add(name.with_suffix(""))
        names.append(name)
    return names
