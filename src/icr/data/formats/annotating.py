"""What the readers and writers of annotation tools' files share: finding pictures, and a file being read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from icr.data.dataset import Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.folders import place, relative_names
from icr.data.formats.notes import Notes, allowed_parents, relations_of
from icr.data.formats.objects import Object, picture_size, sample_of
from icr.data.formats.registry import Images
from icr.data.formats.splits import NAMES, fill
from icr.data.formats.text import shown
from icr.data.pictures import Header, exists, is_picture
from icr.errors import InputError

_TASK_KEYS = (b'"annotations"', b'"predictions"', b'"data"', b'"rectanglelabels"', b'"completions"')


def place_pictures(dataset: Dataset, out: Path, images: Images, format: str) -> dict[str, list[str]]:
    """Put the pictures below ``images/`` and name each, by split, as it lies there."""
    if images == "reference":
        raise InputError(f"--images reference: {format} shows pictures of its own folder; use copy or link")
    keys: dict[str, list[str]] = {}
    for split, samples in dataset.splits.items():
        keys[split] = [f"{split}/{name.as_posix()}" for name in relative_names(samples)]
        for sample, key in zip(samples, keys[split], strict=True):
            if sample.width < 1 or sample.height < 1:
                raise InputError(f"{sample.image}: the size of the picture is unknown, so it cannot be annotated")
            place(sample.image, out / "images" / key, link=images == "link")
    return keys


def looks_like_tasks(file: Path) -> bool:
    """Whether a file begins as a list of tasks does."""
    try:
        if file.suffix.lower() != ".json" or not file.is_file():
            return False
        with file.open("rb") as opened:
            head = opened.read(1 << 16).removeprefix(b"\xef\xbb\xbf").lstrip()
    except OSError:
        return False
    # COCO results are lists, too, of objects with image_id.
    return head.startswith(b"[") and b"image_id" not in head and any(key in head for key in _TASK_KEYS)


class Pictures:
    """Finds pictures in and below a folder by the names that tools give them.

    Args:
        folder: where to look.
        cleaned: the tool takes characters out of the names of pictures that are uploaded to it.
    """

    def __init__(self, folder: Path, *, cleaned: bool = False) -> None:
        self._folder = folder
        self._cleaned = cleaned
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, *names: str) -> Path | None:
        """The picture of one of these names: where it says, below ``images/``, else the only one of its file name."""
        for name in names:
            path = PurePosixPath(name.replace("\\", "/"))
            if "\x00" in name or not path.name or ".." in path.parts:
                continue
            if self._cleaned and len(path.parts) == 1 and len(self._named(path.name)) > 1:
                continue  # an upload, of which the folder and some characters are lost
            tail = Path(*path.parts[1:]) if path.is_absolute() else Path(*path.parts)
            for base in (self._folder, self._folder / "images"):
                if exists(base / tail) and (base / tail).is_file():
                    return base / tail
        for name in names:
            places = self._named(PurePosixPath(name.replace("\\", "/")).name)
            if len(places) == 1:
                return places[0]
        return None

    def _named(self, name: str) -> list[Path]:
        if self._by_name is None:
            self._by_name = {}
            for parent, folders, files in os.walk(self._folder):
                folders[:] = sorted(each for each in folders if not each.startswith("."))
                for each in files:
                    if is_picture(each):
                        self._by_name.setdefault(self._key(each), []).append(Path(parent, each))
        return self._by_name.get(self._key(name), [])

    def _key(self, name: str) -> str:
        return _as_uploaded(name) if self._cleaned else name


def _as_uploaded(name: str) -> str:
    """A file's name as Django stores an upload.

    Example:
        >>> _as_uploaded("a b(1).jpg")
        'a_b1.jpg'
    """
    return re.sub(r"[^\w.-]", "", name.strip().replace(" ", "_"))


Item = TypeVar("Item")


class Export:
    """A file of a tool being read into a data set.

    Args:
        source: what the user named.
        format: the format's name.
        file: the file itself.
        names: the classes.
        pairs: child and parent class of the pairs in the file. Where the set once had no relation and no pair, or is
            without notes, the relations follow from them.
        notes: those beside the file.
        findings: where findings are added.

    Attributes:
        names, notes: as given.
        allowed: what may be whose parent.
    """

    def __init__(
        self,
        source: Path,
        format: str,
        file: Path,
        names: Sequence[str],
        pairs: Iterable[tuple[str, str]],
        notes: Notes,
        findings: list[Finding],
    ) -> None:
        known = [pair for pair in pairs if set(pair) <= set(names)]
        relations = notes.relations if notes.relations or notes.pairs else relations_of(known)
        self.names, self.notes = list(names), notes
        self.allowed = allowed_parents(notes.relations, known, names)
        self._file, self._findings = file, findings
        self._dataset = Dataset(
            source, format, self.names, {}, relations, findings, notes.category_ids, notes.attributes
        )

    def report(self, kind: str, message: str, line: int | None = None) -> None:
        """Add a finding about the file."""
        self._findings.append(found(kind, self._file, message, line))

    def read(
        self,
        by_split: Mapping[str, Sequence[Item]],
        wanted: Sequence[str] | None,
        sample: Callable[[Item], Sample | None],
    ) -> Dataset:
        """The data set with the splits wanted, in their usual order.

        Raises:
            InputError: a split is wanted that there is not.
        """
        places = {split: self._file for split in NAMES if split in by_split}
        return fill(
            self._dataset,
            places,
            wanted,
            lambda split: [made for each in by_split[split] if (made := sample(each)) is not None],
        )

    def size(
        self, image: Path | None, name: str, stated: tuple[int, int] | None, by: str, line: int | None = None
    ) -> Header | None:
        """The size of a picture that the file calls `name`; None when it cannot be used, which is a finding."""
        if image is None:
            folder = self._file.parent
            message = f"there is no picture {shown(name)} in or below {folder}; put it into images/ there"
            self.report("picture.missing", message, line)
            return None
        return picture_size(image, self._findings, stated, by)

    def sample(
        self, image: Path, size: Header, objects: Sequence[Object], key: str, attributes: Mapping[str, Any]
    ) -> Sample:
        """A picture with its objects; what the notes say of it by its `key` counts where its attributes say nothing."""
        whole = {**self.notes.pictures.get(key, {}), **attributes}
        return sample_of(image, size, self._file, objects, whole, self._findings)
