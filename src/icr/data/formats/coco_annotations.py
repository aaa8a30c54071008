"""The annotations of a COCO file: which can be used, and which is whose parent."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from icr.data.dataset import NO_PARENT, UNSTATED, Finding
from icr.data.findings import found
from icr.data.formats.json_values import is_whole
from icr.data.formats.text import shown

_OWN_KEYS = frozenset(("id", "image_id", "category_id", "bbox", "parent_id"))


@dataclass
class CocoFile:
    """One COCO file being read: where it is, where its pictures may be, and what is known of it so far."""

    path: Path
    content: dict[str, Any]
    folders: list[Path]
    classes: dict[int, int] = field(default_factory=dict)


@dataclass
class Box:
    """One usable annotation."""

    id: int
    label: int
    corners: tuple[float, float, float, float]
    parent_id: Any
    attributes: dict[str, Any]


def read_annotations(
    file: CocoFile, entries: dict[int, dict[str, Any]], findings: list[Finding]
) -> dict[int, list[Box]]:
    if not file.content.get("annotations"):
        findings.append(found("coco.no_annotations", file.path, "has no annotations"))
    known = {each.get("id") for each in file.content["images"] if isinstance(each, dict) and is_whole(each.get("id"))}
    by_image: dict[int, list[Box]] = {}
    seen_ids: set[int] = set()
    seen_boxes: set[tuple[Any, ...]] = set()
    for place_, each in enumerate(file.content.get("annotations", [])):
        if not isinstance(each, dict):
            message = f"annotations[{place_}] is {shown(each)}; expected an object"
            findings.append(found("labels.fields", file.path, message))
            continue
        own = each.get("id")
        called = f"annotation {own}" if is_whole(own) else f"annotations[{place_}]"
        box = _read_annotation(each, called, file, findings)
        if box is None:
            continue
        image = each["image_id"]
        if not is_whole(image) or image not in known:
            message = f"{called} is of picture {shown(image)}, which is not in images"
            findings.append(found("coco.unknown_image", file.path, message))
            continue
        if image not in entries:
            continue  # the picture's own finding says so
        if not is_whole(own):
            findings.append(found("coco.id_missing", file.path, f"{called} has id {shown(own)}"))
        elif own in seen_ids:
            findings.append(found("coco.duplicate_id", file.path, f"annotation id {own} stands twice"))
        seen_ids.add(box.id)
        key = (image, box.label, box.corners)
        if key in seen_boxes:
            message = f"{called} repeats the class and box of another of picture {image}"
            findings.append(found("labels.duplicate", file.path, message))
        seen_boxes.add(key)
        by_image.setdefault(image, []).append(box)
    return by_image


def _read_annotation(each: dict[str, Any], called: str, file: CocoFile, findings: list[Finding]) -> Box | None:
    fault = _fault(each, file)
    if fault is not None:
        findings.append(found(fault[0], file.path, f"{called}: {fault[1]}"))
        return None
    x, y, width, height = map(float, each["bbox"])
    own = each.get("id")
    return Box(
        own if is_whole(own) and abs(own) < 2**63 else -1,
        file.classes[each["category_id"]],
        (x, y, x + width, y + height),
        NO_PARENT if each.get("parent_id", UNSTATED) is None else each.get("parent_id", UNSTATED),
        {key: value for key, value in each.items() if key not in _OWN_KEYS},
    )


def _fault(each: dict[str, Any], file: CocoFile) -> tuple[str, str] | None:
    """What makes an annotation unusable, as a finding's id and message."""
    missing = [key for key in ("image_id", "category_id", "bbox") if key not in each]
    if missing:
        return ("labels.fields", f"{' and '.join(missing)} missing")
    bbox = each["bbox"]
    if not isinstance(bbox, list) or len(bbox) != 4:
        what = f"a list of {len(bbox)}" if isinstance(bbox, list) else shown(bbox)
        return ("labels.fields", f"bbox is {what}; expected [x, y, width, height]")
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in bbox):
        return ("labels.not_a_number", f"bbox holds {', '.join(map(shown, bbox))}; expected four numbers")
    try:
        finite = all(map(math.isfinite, bbox))
    except OverflowError:  # a whole number too large for a float
        finite = False
    if not finite:
        return ("labels.not_finite", "bbox has a number that is not finite")
    category, (width, height) = each["category_id"], bbox[2:]
    if not is_whole(category) or category not in file.classes:
        return ("labels.class", f"category_id {shown(category)} is not in categories")
    if width < 0 or height < 0:
        return ("labels.negative_size", f"size {width:g} by {height:g} is negative")
    if width == 0 or height == 0:
        return ("labels.zero_size", f"size {width:g} by {height:g} is zero")
    return None


def find_parents(
    file: CocoFile, entry: dict[str, Any], kept: list[Box], every: list[Box], findings: list[Finding]
) -> npt.NDArray[np.int64]:
    """Each kept box's parent among them, looked up by annotation id within the picture."""
    place_of: dict[int, int] = {}
    for index, each in enumerate(kept):
        place_of.setdefault(each.id, index)
    parents = np.full(len(kept), NO_PARENT, np.int64)
    for index, each in enumerate(kept):
        parent, called = each.parent_id, f"annotation {each.id} of {entry['file_name']}"
        if is_whole(parent) and parent in (UNSTATED, NO_PARENT):  # -1 and -2 in a file mean what they mean here
            parents[index] = parent
        elif not is_whole(parent) or parent not in place_of:
            lost = is_whole(parent) and any(other.id == parent for other in every)
            kind = "pairs.lost" if lost else "pairs.unknown_parent"
            why = "cannot be used" if lost else "is no annotation of this picture"
            findings.append(found(kind, file.path, f"{called}: its parent_id {shown(parent)} {why}"))
        elif place_of[parent] == index:
            findings.append(found("pairs.self", file.path, f"{called} is named as its own parent"))
        else:
            parents[index] = place_of[parent]
    return parents
