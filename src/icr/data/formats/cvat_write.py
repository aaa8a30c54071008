"""Writing for CVAT: `annotations.xml` (CVAT for images 1.1), the labels to set the task up with, and the pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from icr.data.dataset import NO_PARENT, Dataset, Sample
from icr.data.formats.annotating import place_pictures
from icr.data.formats.cvat_groups import groups_of, parents_by_group
from icr.data.formats.notes import Allowed, allowed_parents, write_notes
from icr.data.formats.registry import Images

NUMBER, PARENT = "icr_number", "icr_parent"
"""Attributes that say whose child a box is, where its group alone does not."""

_OWN = ("occluded", "source")
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Kinds = dict[str, dict[str, str]]
"""Of each class, the input type of each attribute of its boxes."""


@dataclass(frozen=True)
class _Shapes:
    """A picture with its boxes' groups, and the boxes whose number or parent has to be named."""

    sample: Sample
    groups: list[int]
    numbers: dict[int, str]
    parents: dict[int, str]


def write(dataset: Dataset, out: Path, images: Images = "copy") -> tuple[str, ...]:
    """Write a data set for CVAT into an empty folder: boxes of a pair share a ``group_id``.

    Returns:
        What CVAT could not hold, in words.

    Raises:
        InputError: `images` is ``reference``, or a picture has no size.
    """
    keys = place_pictures(dataset, out, images, "CVAT")
    kinds, lost = _kinds(dataset)
    numeric = {key for own in kinds.values() for key, kind in own.items() if kind == "number"}
    notes = write_notes(out, dataset, keys, sorted(numeric))
    allowed = allowed_parents(notes.relations, notes.pairs, notes.names)
    shapes: list[_Shapes] = []
    group = 1
    for sample in (each for samples in dataset.splits.values() for each in samples):
        groups = groups_of(sample, allowed, group)
        group = max([group, *(each + 1 for each in groups)])
        shapes.append(_Shapes(sample, groups, *_named_parents(sample, groups, allowed)))
        for key, named in ((NUMBER, shapes[-1].numbers), (PARENT, shapes[-1].parents)):
            for index in named:
                kinds[dataset.names[int(sample.labels[index])]][key] = "text"
    names = [key for split in dataset.splits for key in keys[split]]
    labels = [_label(name, kinds[name]) for name in dataset.names]
    with (out / "annotations.xml").open("w", encoding="utf-8") as file:
        file.write(_head(labels, len(shapes)))
        for number, (each, key) in enumerate(zip(shapes, names, strict=True)):
            file.writelines(f"{line}\n" for line in _image(each, key, number, dataset.names, kinds))
        file.write("</annotations>\n")
    (out / "labels.json").write_text(json.dumps(labels, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return lost


def _kinds(dataset: Dataset) -> tuple[Kinds, tuple[str, ...]]:
    """The input types of all attributes, and which cannot be held."""
    seen: dict[str, dict[str, set[type]]] = {name: {} for name in dataset.names}
    lost: set[str] = set()
    for sample in (each for split in dataset.splits.values() for each in split):
        for label, attributes in zip(sample.labels.tolist(), sample.box_attributes, strict=False):
            for key, value in attributes.items():
                if _is_own(key, value):
                    continue
                if not isinstance(value, (str, int, float)) or value == "":
                    lost.add(key)
                else:
                    seen[dataset.names[label]].setdefault(key, set()).add(type(value))
    names = {frozenset({bool}): "checkbox", frozenset({int}): "number", frozenset({float}): "number"}
    kinds = {
        name: {key: names.get(frozenset(types), "text") for key, types in own.items()} for name, own in seen.items()
    }
    said = (
        (f"attributes of boxes that are lists, mappings or empty: {', '.join(sorted(map(str, lost)))}",) if lost else ()
    )
    return kinds, said


def _is_own(key: str, value: Any) -> bool:
    """Whether an attribute has a place of its own in the format."""
    return (key == "occluded" and isinstance(value, bool)) or (key == "source" and isinstance(value, str))


def _label(name: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    """A label as CVAT's raw label editor takes it."""
    # Numbers are typed in as text: CVAT's number fields want bounds, and a default that every new box would have.
    attributes = [
        {"name": key, "mutable": False, "input_type": "checkbox", "default_value": "false", "values": ["false"]}
        if kind == "checkbox"
        else {"name": key, "mutable": False, "input_type": "text", "default_value": "", "values": [""]}
        for key, kind in kinds.items()
    ]
    return {"name": name, "type": "any", "attributes": attributes}


def _head(labels: Sequence[Mapping[str, Any]], count: int) -> str:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<annotations>", "  <version>1.1</version>", "  <meta>"]
    lines += ["    <task>", f"      <size>{count}</size>", "      <mode>annotation</mode>", "      <labels>"]
    for label in labels:
        lines += ["        <label>", f"          <name>{_text(label['name'])}</name>", "          <attributes>"]
        for each in label["attributes"]:
            lines += ["            <attribute>", f"              <name>{_text(each['name'])}</name>"]
            lines += ["              <mutable>False</mutable>"]
            lines += [f"              <input_type>{each['input_type']}</input_type>"]
            lines += [f"              <default_value>{each['default_value']}</default_value>"]
            lines += [
                f"              <values>{_text(chr(10).join(each['values']))}</values>",
                "            </attribute>",
            ]
        lines += ["          </attributes>", "        </label>"]
    lines += ["      </labels>", "    </task>", "  </meta>"]
    return "".join(f"{line}\n" for line in lines)


def _image(shapes: _Shapes, key: str, number: int, names: Sequence[str], kinds: Kinds) -> list[str]:
    sample, groups = shapes.sample, shapes.groups
    # A task's pictures have no subset, a project's do: Datumaro reads none of a task's pictures that name one.
    head = f'id="{number}" name={_quoted(key)} width="{sample.width}" height="{sample.height}"'
    lines = [f"  <image {head}>"]
    extras = sample.box_attributes or [{}] * len(groups)
    rows = zip(sample.boxes.tolist(), sample.labels.tolist(), groups, extras, strict=True)
    for index, (box, label, group, extra) in enumerate(rows):
        xtl, ytl, xbr, ybr = (repr(value) for value in box)
        said = dict(extra)
        occluded, source = 0, "manual"
        if _is_own("occluded", said.get("occluded")):
            occluded = int(said.pop("occluded"))
        if _is_own("source", said.get("source")):
            source = said.pop("source")
        grouped = f' group_id="{group}"' if group else ""
        lines.append(
            f'    <box label={_quoted(names[label])} source={_quoted(source)} occluded="{occluded}" '
            f'xtl="{xtl}" ytl="{ytl}" xbr="{xbr}" ybr="{ybr}" z_order="0"{grouped}>'
        )
        for name, value in (*said.items(), (NUMBER, shapes.numbers.get(index)), (PARENT, shapes.parents.get(index))):
            if name in kinds[names[label]] and isinstance(value, (str, int, float)) and value != "":
                written = str(value).lower() if isinstance(value, bool) else str(value)
                lines.append(f"      <attribute name={_quoted(name)}>{_text(written)}</attribute>")
        lines.append("    </box>")
    return [*lines, "  </image>"]


def _named_parents(sample: Sample, groups: Sequence[int], allowed: Allowed) -> tuple[dict[int, str], dict[int, str]]:
    """The numbers of boxes and the parents of boxes that have to be named, since the groups read otherwise."""
    read, _ = parents_by_group(sample.boxes, sample.labels.tolist(), groups, allowed)
    numbers: dict[int, str] = {}
    parents: dict[int, str] = {}
    for index, (stated, got) in enumerate(zip(sample.parents.tolist(), read.tolist(), strict=True)):
        if stated == got or (stated < 0 and int(sample.labels[index]) not in allowed):
            continue
        if stated >= 0:
            numbers[stated] = str(stated + 1)
        parents[index] = str(stated + 1) if stated >= 0 else "none" if stated == NO_PARENT else "unstated"
    return numbers, parents


def _quoted(text: str) -> str:
    return quoteattr(_UNWRITABLE.sub("\ufffd", text))


def _text(text: str) -> str:
    return escape(_UNWRITABLE.sub("\ufffd", text), {"\r": "&#13;"})
