"""What annotation tools do not carry, kept in a file of notes beside theirs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icr.data.dataset import Dataset
from icr.data.formats.text import read_settings_text, shown
from icr.data.formats.yolo_write import relation_block
from icr.errors import InputError
from icr.relations import Relation, resolve
from icr.relations import read as read_relations

NOTES = "icr.json"

Allowed = dict[int, frozenset[int]]
"""By class of child the classes that its parent may have."""


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
