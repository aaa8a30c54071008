"""Writing for Label Studio: tasks, labelling interface and pictures; a pair is a relation between two regions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from icr.data.dataset import NO_PARENT, Dataset, Sample
from icr.data.formats.annotating import place_pictures
from icr.data.formats.notes import Allowed, allowed_parents, write_notes
from icr.data.formats.registry import Images

FILE, INTERFACE = "tasks.json", "interface.xml"
LABEL, IMAGE, INSIDE, ALONE = "label", "image", "in", "no parent"
"""Names of the labelling interface, the label of a relation, and the note on a region that has no parent."""

LOCAL = "/data/local-files/?d="


def write(dataset: Dataset, out: Path, images: Images = "copy") -> tuple[str, ...]:
    """Write a data set for Label Studio into an empty folder.

    Labels become annotations, to be corrected. Where all boxes of a picture are proposals of a detector (their
    attribute ``source`` is ``auto``), they become a prediction, to be accepted.

    Returns:
        What Label Studio could not hold, in words.

    Raises:
        InputError: `images` is ``reference``, or a picture has no size.
    """
    keys = place_pictures(dataset, out, images, "Label Studio")
    notes = write_notes(out, dataset, keys)
    allowed = allowed_parents(notes.relations, notes.pairs, notes.names)
    tasks = [
        _task(sample, key, dataset.names, allowed)
        for split, samples in dataset.splits.items()
        for sample, key in zip(samples, keys[split], strict=True)
    ]
    (out / FILE).write_text(json.dumps(tasks, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (out / INTERFACE).write_text(interface(dataset.names), encoding="utf-8")
    return ()


def interface(names: Sequence[str]) -> str:
    """The labelling interface: boxes of these classes, and relations between them.

    Example:
        >>> print(interface(["plate", "car"]), end="")
        <View>
          <Relations>
            <Relation value="in"/>
          </Relations>
          <Image name="image" value="$image" zoom="true" zoomControl="true"/>
          <RectangleLabels name="label" toName="image" canRotate="false">
            <Label value="plate"/>
            <Label value="car"/>
          </RectangleLabels>
        </View>
    """
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in names)
    return (
        f'<View>\n  <Relations>\n    <Relation value="{INSIDE}"/>\n  </Relations>\n'
        f'  <Image name="{IMAGE}" value="$image" zoom="true" zoomControl="true"/>\n'
        f'  <RectangleLabels name="{LABEL}" toName="{IMAGE}" canRotate="false">\n{labels}'
        "  </RectangleLabels>\n</View>\n"
    )


def _task(sample: Sample, key: str, names: Sequence[str], allowed: Allowed) -> dict[str, Any]:
    extras = sample.box_attributes or [{}] * len(sample.labels)
    result = [_region(sample, index, names, allowed, extra) for index, extra in enumerate(extras)]
    result += [
        {
            "type": "relation",
            "from_id": _id(child),
            "to_id": _id(parent),
            "direction": "right",
            "labels": [INSIDE],
        }
        for child, parent in enumerate(sample.parents.tolist())
        if parent >= 0
    ]
    task: dict[str, Any] = {"data": {"image": LOCAL + quote(f"images/{key}"), "picture": key}}
    proposed = bool(extras) and all(extra.get("source") == "auto" for extra in extras)
    if proposed:
        scores = [extra["score"] for extra in extras if isinstance(extra.get("score"), float)]
        mean = {"score": sum(scores) / len(scores)} if scores else {}
        task["predictions"] = [{"model_version": "icr", **mean, "result": result}]
    elif result or sample.label_file is not None:
        task["annotations"] = [{"result": result, "was_cancelled": False, "ground_truth": False}]
    return task


def _id(index: int) -> str:
    return f"box{index}"


def _region(
    sample: Sample, index: int, names: Sequence[str], allowed: Allowed, extra: dict[str, Any]
) -> dict[str, Any]:
    left, top, right, bottom = sample.boxes[index].tolist()
    name = names[int(sample.labels[index])]
    alone = sample.parents[index] == NO_PARENT and int(sample.labels[index]) in allowed
    meta = {**({"text": [ALONE]} if alone else {}), **({"icr": extra} if extra else {})}
    score = {"score": extra["score"]} if isinstance(extra.get("score"), float) else {}
    return {
        "id": _id(index),
        "type": "rectanglelabels",
        "from_name": LABEL,
        "to_name": IMAGE,
        "original_width": sample.width,
        "original_height": sample.height,
        "image_rotation": 0,
        "value": {
            "x": left / sample.width * 100,
            "y": top / sample.height * 100,
            "width": (right - left) / sample.width * 100,
            "height": (bottom - top) / sample.height * 100,
            "rotation": 0,
            "rectanglelabels": [name],
        },
        **score,
        **({"meta": meta} if meta else {}),
    }
