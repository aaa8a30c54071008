"""What one annotation of Label Studio says: its rectangles, what is said of them or of the picture, and relations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icr.data.dataset import Finding
from icr.data.findings import found
from icr.data.formats.json_values import is_whole
from icr.data.formats.labelstudio_write import ALONE
from icr.data.formats.objects import Corners
from icr.data.formats.text import is_text, shown

_STRAIGHT = 0.05
_SAID = ("choices", "textarea", "number", "rating", "taxonomy", "datetime")
"""Kinds of results that say something of a region or of the picture, not where anything is."""

_MACHINE_MADE = ("auto", "machine")
"""What ``source`` says of a detector's boxes: those proposed for labelling, and parents that were added."""


@dataclass
class Region:
    """A usable rectangle."""

    id: str
    label: str
    percent: Corners
    alone: bool
    attributes: dict[str, Any] = field(default_factory=dict)


class Results:
    """Collects the results of one annotation: rectangles, what is said of them or of the picture, and relations."""

    def __init__(self, called: str, file: Path, findings: list[Finding]) -> None:
        self._called, self._file, self._findings = called, file, findings
        self._regions: dict[str, Region] = {}
        self._said: dict[str, dict[str, Any]] = {}
        self._labels: dict[str, str] = {}
        self._refused: set[str] = set()
        self.links: list[dict[str, Any]] = []
        self.attributes: dict[str, Any] = {}
        self.size: tuple[int, int] | None = None

    def take(self, each: Any) -> None:
        kind = each.get("type") if isinstance(each, dict) else None
        if not isinstance(kind, str):
            self._report("labels.fields", f"a result is {shown(each)}; expected an object with a type")
        elif kind == "relation":
            self.links.append(each)
        elif kind in ("rectanglelabels", "rectangle"):
            self._take_rectangle(each)
        elif kind == "labels":
            self._take_label(each)
        elif kind in _SAID:
            self._take_said(each, kind)
        else:
            self._refused.add(str(each.get("id")))
            self._report("labels.shape", f"region {shown(each.get('id'))} is of type {shown(kind)}, no rectangle")

    def finished(self) -> list[Region]:
        """The rectangles, with what was said of them."""
        kept = []
        for key, region in self._regions.items():
            region.label = region.label or self._labels.get(key, "")
            if not region.label:
                self._report("labels.class", f"region {shown(key)} has no label")
                self._refused.add(key)
                continue
            region.attributes.update(self._said.pop(key, {}))
            kept.append(region)
        for key, said in self._said.items():
            if key not in self._refused:
                self.attributes.update(said)
        return kept

    def _report(self, kind: str, message: str) -> None:
        self._findings.append(found(kind, self._file, f"{self._called}: {message}"))

    def _take_rectangle(self, each: dict[str, Any]) -> None:
        key, value = str(each.get("id")), each.get("value")
        called = f"region {shown(key)}"
        if not isinstance(value, dict):
            self._report("labels.fields", f"{called} has no value")
            return
        numbers = [value.get(name) for name in ("x", "y", "width", "height")]
        if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in numbers):
            self._refused.add(key)
            said = ", ".join(map(shown, numbers))
            self._report("labels.not_a_number", f"{called} has x, y, width, height {said}; expected percent")
            return
        x, y, width, height = (float(one) if abs(one) < 1e300 else math.inf for one in numbers)  # type: ignore[arg-type]
        turned, rotation = value.get("rotation", 0), each.get("image_rotation", 0)
        if not math.isfinite(x + y + width + height):
            self._refused.add(key)
            self._report("labels.not_finite", f"{called} has a number that is not finite")
        elif width < 0 or height < 0:
            self._refused.add(key)
            self._report("labels.negative_size", f"{called} has size {width:g} by {height:g} percent")
        elif not _is_upright(turned):
            self._refused.add(key)
            self._report("labels.rotated", f"{called} is turned by {shown(turned)} degrees")
        elif not _is_upright(rotation):
            self._refused.add(key)
            self._report("labels.rotated", f"{called} was drawn on the picture turned by {shown(rotation)} degrees")
        else:
            labels = value.get("rectanglelabels")
            label = labels[0] if isinstance(labels, list) and labels and isinstance(labels[0], str) else ""
            label = label if is_text(label) else ""
            if label and isinstance(labels, list) and len(labels) > 1:
                self._report("labels.attribute", f"{called} has {len(labels)} labels; {shown(label)} is used")
            self._regions[key] = self._region(key, label, (x, y, x + width, y + height), each)
            sides = each.get("original_width"), each.get("original_height")
            if is_whole(sides[0]) and is_whole(sides[1]):
                self.size = sides[0], sides[1]

    def _region(self, key: str, label: str, percent: Corners, each: dict[str, Any]) -> Region:
        meta = each.get("meta")
        meta = meta if isinstance(meta, dict) else {}
        notes = meta.get("text")
        notes = [one for one in (notes if isinstance(notes, list) else [notes]) if isinstance(one, str) and one]
        alone = any(one.strip().lower() == ALONE for one in notes)
        rest = [one for one in notes if one.strip().lower() != ALONE]
        own = meta.get("icr")
        own = own if isinstance(own, dict) else {}
        # The editor states an origin of every region that a person submits; what nobody opened has none.
        if "origin" in each and own.get("source") in _MACHINE_MADE:
            own = {key: value for key, value in own.items() if key not in ("source", "score")}
        attributes = {**own, **({"note": " ".join(rest)} if rest else {})}
        return Region(key, label, percent, alone, attributes)

    def _take_label(self, each: dict[str, Any]) -> None:
        value = each.get("value")
        labels = value.get("labels") if isinstance(value, dict) else None
        if isinstance(labels, list) and labels and isinstance(labels[0], str) and is_text(labels[0]):
            self._labels[str(each.get("id"))] = labels[0]

    def _take_said(self, each: dict[str, Any], kind: str) -> None:
        value = each.get("value")
        said = value.get({"textarea": "text"}.get(kind, kind)) if isinstance(value, dict) else None
        if said not in (None, [], ""):
            single = said[0] if isinstance(said, list) and len(said) == 1 else said
            self._said.setdefault(str(each.get("id")), {})[str(each.get("from_name", kind))] = single


def _is_upright(degrees: Any) -> bool:
    if degrees is None:
        return True
    if isinstance(degrees, bool) or not isinstance(degrees, (int, float)) or not math.isfinite(degrees):
        return False
    return abs(math.remainder(degrees, 360)) <= _STRAIGHT
