"""What the formats of annotation tools share: notes beside the labels, finding pictures, and groups read as pairs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from icr.data.dataset import Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.folders import place, relative_names
from icr.data.formats.registry import Images
from icr.data.formats.text import read_settings_text, shown
from icr.data.formats.yolo_config import requested
from icr.data.formats.yolo_write import relation_block
from icr.data.pictures import exists, is_picture
from icr.errors import InputError
from icr.relations import Relation, resolve
from icr.relations import read as read_relations

NOTES = "icr.json"
SPLITS = ("train", "val", "test")
_SPLIT_NAMES = {**{each: each for each in SPLITS}, "training": "train", "valid": "val", "validation": "val"}
_TASK_KEYS = (b'"annotations"', b'"predictions"', b'"data"', b'"rectanglelabels"', b'"completions"')


@dataclass
class Notes:
    """What a tool does not carry, kept beside its file.

    Attributes:
        names: the classes in their order; empty when there are no notes.
        relations: as the data set declares them.
        pairs: child and parent class of every pair stated, relations aside.
        category_ids: ids of the classes in COCO files.
        pictures: attributes of pictures by their name, such as ``train/a.jpg``.
        attributes: of the whole set.
        numeric: attributes of boxes that are numbers, where the tool's file holds texts.
    """

    names: list[str] = field(default_factory=list)
    relations: tuple[Relation, ...] = ()
    pairs: list[tuple[str, str]] = field(default_factory=list)
    category_ids: list[int] = field(default_factory=list)
    pictures: dict[str, dict[str, Any]] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    numeric: list[str] = field(default_factory=list)


def write_notes(out: Path, dataset: Dataset, keys: Mapping[str, Sequence[str]], numeric: Sequence[str] = ()) -> Notes:
    """Write the notes of a data set whose pictures are called `keys`, by split."""
    samples = [sample for split in dataset.splits.values() for sample in split]
    pairs = {
        (int(sample.labels[child]), int(sample.labels[parent]))
        for sample in samples
        for child, parent in enumerate(sample.parents.tolist())
        if parent >= 0
    }
    names = [key for split in dataset.splits for key in keys[split]]
    notes = Notes(
        list(dataset.names),
        dataset.relations,
        [(dataset.names[child], dataset.names[parent]) for child, parent in sorted(pairs)],
        list(dataset.category_ids),
        {key: sample.attributes for key, sample in zip(names, samples, strict=True)},
        dataset.attributes,
        list(numeric),
    )
    content = {
        "names": notes.names,
        "relations": relation_block(notes.relations),
        "pairs": notes.pairs,
        "category_ids": notes.category_ids,
        "pictures": notes.pictures,
        "attributes": notes.attributes,
        "numeric": notes.numeric,
    }
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (out / NOTES).write_text(f"{text}\n", encoding="utf-8")
    return notes


def read_notes(folder: Path) -> Notes:
    """The notes in a folder; empty ones when there are none.

    Raises:
        InputError: they are not as they were written.
    """
    file = folder / NOTES
    if not file.is_file():
        return Notes()
    try:
        content = json.loads(read_settings_text(file))
        names, pictures = content["names"], content["pictures"]
        pairs = [(child, parent) for child, parent in content["pairs"]]
        if not (
            all(
                isinstance(each, str)
                for each in [*names, *content["numeric"], *(name for pair in pairs for name in pair)]
            )
            and all(isinstance(each, dict) for each in pictures.values())
            and {name for pair in pairs for name in pair} <= set(names)
            and all(type(each) is int for each in content["category_ids"])
            and isinstance(content["attributes"], dict)
        ):
            raise ValueError("its values are of other kinds")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = shown(" ".join(str(error).split()), 80)
        raise InputError(f"{file}: not as icr data convert wrote it ({reason}); write it anew, or remove it") from None
    relations = read_relations(content["relations"], str(file))
    return Notes(
        list(names), relations, pairs, content["category_ids"], pictures, content["attributes"], content["numeric"]
    )


def allowed_parents(relations: Sequence[Relation], pairs: Iterable[tuple[str, str]], names: Sequence[str]) -> Allowed:
    """The classes of parents that each class of child may have."""
    allowed: dict[int, set[int]] = {}
    for relation in resolve(relations, names):
        allowed.setdefault(relation.child, set()).update(relation.parents)
    for child, parent in pairs:
        allowed.setdefault(names.index(child), set()).add(names.index(parent))
    return {child: frozenset(parents) for child, parents in allowed.items()}


Allowed = dict[int, frozenset[int]]


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


def split_of(stated: str, key: str) -> str:
    """The split of a picture: as stated, else as a folder of its name says, else train.

    Example:
        >>> split_of("Validation", "a.jpg"), split_of("", "images/test/a.jpg"), split_of("default", "a.jpg")
        ('val', 'test', 'train')
    """
    for each in (stated, *PurePosixPath(key).parts[:-1]):
        if each.lower() in _SPLIT_NAMES:
            return _SPLIT_NAMES[each.lower()]
    return "train"


Item = TypeVar("Item")


def read_splits(
    by_split: Mapping[str, Sequence[Item]],
    wanted: Sequence[str] | None,
    dataset: Dataset,
    file: Path,
    sample: Callable[[Item], Sample | None],
) -> Dataset:
    """Fill a data set with the splits wanted, in their usual order; a split without a usable picture is a finding.

    Raises:
        InputError: a split is wanted that there is not.
    """
    splits: dict[str, list[Sample]] = {}
    for split in requested([each for each in SPLITS if each in by_split], wanted, dataset.source):
        splits[split] = [made for each in by_split[split] if (made := sample(each)) is not None]
        if not splits[split]:
            dataset.findings.append(found("split.empty", file, f"{split} has no usable picture"))
    dataset.splits = splits
    return dataset


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


def relations_of(pairs: Iterable[tuple[str, str]]) -> tuple[Relation, ...]:
    """The relations that pairs of classes amount to.

    Example:
        >>> [str(each) for each in relations_of([("plate", "car"), ("plate", "bus")])]
        ['plate:bus,car']
    """
    parents: dict[str, set[str]] = {}
    for child, parent in pairs:
        if child != parent:
            parents.setdefault(child, set()).add(parent)
    return tuple(
        Relation(child, tuple(sorted(above)) if len(above) > 1 else next(iter(above)))
        for child, above in sorted(parents.items())
    )


def meaning_of_pairs(
    notes: Notes, pairs: Iterable[tuple[str, str]], names: Sequence[str]
) -> tuple[Allowed, tuple[Relation, ...]]:
    """What may be whose parent, and the relations: as noted; from `pairs` where the set had no relation and no pair."""
    known = [pair for pair in pairs if set(pair) <= set(names)]
    relations = notes.relations if notes.relations or notes.pairs else relations_of(known)
    return allowed_parents(notes.relations, known, names), relations


def missing_picture(file: Path, name: str, findings: list[Finding], line: int | None = None) -> None:
    """Report a picture that is named but not there."""
    message = f"there is no picture {shown(name)} in or below {file.parent}; put it into images/ there"
    findings.append(found("picture.missing", file, message, line))
