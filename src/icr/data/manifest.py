"""`manifest.json`: what is known of the pictures of a YOLO set, whose labels have no place for it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
"""Lies beside `data.yaml`; `icr data from-video` and `icr data synth` write one, too, with keys of their own."""

_OWN = ("light", "video", "recording")


def read_manifest(source: Path) -> dict[str, dict[str, Any]]:
    """The attributes of pictures, by their normal path, from the manifest of a set; empty when there is none.

    It lies in `source`, or beside it where that is a file. `told_of` looks a picture up.

    Those are all that stands under ``attributes``, and of the entry itself its light, video and recording.
    """
    folder = Path(os.path.abspath(source if source.is_dir() else source.parent))  # noqa: PTH100 (links stay)
    try:
        content: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        entries = [each for each in content["images"] if isinstance(each["image"], str)]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return {}
    return {os.path.normpath(folder / each["image"]): _attributes(each) for each in entries}


def told_of(manifest: Mapping[str, dict[str, Any]], image: Path) -> dict[str, Any]:
    """What a manifest tells of a picture; empty when it is silent."""
    return manifest.get(os.path.normpath(image), {}) if manifest else {}


def _attributes(entry: Mapping[str, Any]) -> dict[str, Any]:
    own = {key: entry[key] for key in _OWN if isinstance(entry.get(key), str)}
    stated = entry.get("attributes")
    return {**own, **stated} if isinstance(stated, dict) else own


def write_manifest(folder: Path, pictures: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Write the attributes of pictures, named as they lie below a folder; no file where there are none."""
    entries = [{"image": image, "attributes": dict(said)} for image, said in pictures if said]
    if entries:
        text = json.dumps({"images": entries}, ensure_ascii=False, indent=1)
        (folder / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
