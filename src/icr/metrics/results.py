"""COCO results files: detections of any detector as a JSON list of `image_id`, `category_id`, `bbox` and `score`.

Against COCO data the ids are those of the data. Other data has none, so there an `image_id` is the picture's file name
without its suffix (with as much of its path in front as makes it unique; a whole number for a name of digits, as
Ultralytics writes it), and a `category_id` is the one `category_ids:` of `data.yaml` gives, else counts from 1 in the
order of the names (from 0 where the file uses 0).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from icr.data.dataset import Dataset, Sample
from icr.data.formats import coco
from icr.errors import InputError, nearest
from icr.predictions import Predictions
from icr.writing import write_file

ImageId: TypeAlias = "int | str"

_MOST_FOLDERS = 6
_KEYS = ("image_id", "category_id", "bbox", "score")
_ABOVE_ONE = 1e-6
"""How far above 1 a score may lie: float32 sigmoids and softmaxes overshoot by that much."""


@dataclass(frozen=True)
class Results:
    """A results file, read.

    Attributes:
        predictions: one for each sample of the split, in its order, best first; labels index the data set's names.
        said: what a person should be told about the reading.
    """

    predictions: list[Predictions]
    said: list[str]


def read_results(path: Path, dataset: Dataset, split: str) -> Results:
    """Read a COCO results file for one split of a data set.

    Detections in pictures of other splits, or in pictures that the data set's reader could not use, are left out and
    counted aloud.

    Args:
        path: the JSON file.
        dataset: the data set, all its splits.
        split: the split to evaluate on.

    Raises:
        InputError: the file is no results file, or an entry is malformed or names an unknown picture or category; the
            entry is named by its place in the list, from 0.
    """
    entries = _load(path)
    pictures = _pictures(dataset, split)
    unusable = _unusable(dataset)
    categories, said = _categories(path, entries, dataset)
    found: list[list[tuple[list[float], float, int]]] = [[] for _ in dataset.splits[split]]
    elsewhere = 0
    for index, entry in enumerate(entries):
        where = f"{path}, entry {index}"
        box, score = _box(entry, where), _score(entry, where)
        label = _label(entry["category_id"], categories, dataset, where)
        image_id = _id(entry["image_id"])
        place = None if image_id is None else _place(image_id, pictures)
        if place is None and image_id not in unusable:
            raise InputError(_unknown_picture(entry["image_id"], dataset, split, where))
        if place is None or place < 0:
            elsewhere += 1
            continue
        found[place].append((box, score, label))
    if elsewhere:
        said.append(f"{elsewhere} of {len(entries)} detections are in pictures outside {split} and left out")
    if entries and elsewhere == len(entries):
        raise InputError(f"{path} holds no detection in a picture of {split}; name the split it was made on (--split)")
    if not entries:
        said.append(f"{path} holds no detection at all")
    return Results([_predictions(each) for each in found], said)


def write_results(path: Path, dataset: Dataset, split: str, predictions: Sequence[Predictions]) -> None:
    """Write predictions as a COCO results file, which `read_results` and other tools read.

    Args:
        path: a new file.
        dataset: the data set.
        split: the split that was predicted.
        predictions: one for each sample of the split, in its order; labels index the data set's names.

    Raises:
        InputError: the file exists, or cannot be written.
        ValueError: not one prediction for each sample.
    """
    if path.exists():
        raise InputError(f"{path} exists and nothing is written over; give another name or remove it")
    categories = _category_ids(dataset)
    entries = [
        {
            "image_id": image_id,
            "category_id": categories[label],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "score": score,
        }
        for image_id, found in zip(image_ids(dataset.splits[split]), predictions, strict=True)
        for (x1, y1, x2, y2), score, label in zip(
            found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True
        )
    ]
    write_file(path, json.dumps(entries, ensure_ascii=False, allow_nan=False))


def image_ids(samples: Sequence[Sample]) -> list[ImageId]:
    """The id of each picture in a results file: its COCO id, else its name without suffix, with the path that tells it.

    Example:
        >>> none = np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.int64)
        >>> image_ids([Sample(Path(name), 8, 8, *none) for name in ("/a/v1/1.jpg", "/a/v2/1.jpg", "/a/v2/2.jpg")])
        ['v1/1', 'v2/1', '2']
    """
    names = [_names(sample.image) for sample in samples]
    owners: dict[str, int] = {}
    for own in names:
        for name in own:
            owners[name] = owners.get(name, 0) + 1
    return [
        sample.attributes.get("image_id", next((name for name in own if owners[name] == 1), own[-1]))
        for sample, own in zip(samples, names, strict=True)
    ]


def _names(image: Path) -> list[str]:
    """What a picture may be called, without suffix: `c`, `b/c`, `a/b/c`, ….

    Example:
        >>> _names(Path("/a/b.jpg"))
        ['b', 'a/b']
    """
    parts = [part for part in image.with_suffix("").parts if part != image.anchor]
    return ["/".join(parts[-count:]) for count in range(1, min(len(parts), _MOST_FOLDERS) + 1)]


def _load(path: Path) -> list[Any]:
    form = "expected a list of {image_id, category_id, bbox: [x, y, width, height], score}"
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}; {form}") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}: not JSON ({error.msg}); {form}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({type(error).__name__}); {form}") from None
    if isinstance(content, dict) and "annotations" in content:
        raise InputError(f"{path} is a COCO data set (it holds annotations), not results; {form}")
    if not isinstance(content, list):
        raise InputError(f"{path} holds a {type(content).__name__}; {form}")
    for index, entry in enumerate(content):
        if not isinstance(entry, dict):
            raise InputError(f"{path}, entry {index}: found {type(entry).__name__} {_short(entry)}; {form}")
        for key in _KEYS:
            if key not in entry:
                raise InputError(f"{path}, entry {index}: {key} is missing{nearest(key, map(str, entry))}; {form}")
    return content


def _pictures(dataset: Dataset, split: str) -> dict[ImageId, int | None]:
    """Every name and id of a picture → its place in the split, -1 in another split, None where two share it."""
    found: dict[ImageId, int | None] = {}
    for place, sample in enumerate(dataset.splits[split]):
        for name in _calls(sample):
            found[name] = None if name in found else place
    for other, samples in dataset.splits.items():
        if other != split:
            for sample in samples:
                for name in _calls(sample):
                    found.setdefault(name, -1)
    return found


def _calls(sample: Sample) -> set[ImageId]:
    names: set[ImageId] = set(_names(sample.image))
    suffix = sample.image.suffix
    names |= {f"{name}{suffix}" for name in names}
    image_id = sample.attributes.get("image_id")
    if isinstance(image_id, int | str):
        names.add(image_id)
    elif sample.image.stem.isascii() and sample.image.stem.isdigit():
        names.add(int(sample.image.stem))
    return names


def _unusable(dataset: Dataset) -> set[ImageId | None]:
    """Names and ids of pictures that the data set lists but its reader could not use."""
    faults = [each for each in dataset.findings if each.severity == "error" and each.id.startswith("picture.")]
    names: set[ImageId | None] = {name for each in faults for name in _names(Path(each.file))}
    if faults and dataset.format == "coco":
        for file in coco.find_files(dataset.source).values():
            listed = json.loads(file.read_text(encoding="utf-8-sig"))["images"]
            names |= {_id(each.get("id")) for each in listed if isinstance(each, dict)}
    return names - {None}


def _place(image_id: ImageId, pictures: dict[ImageId, int | None]) -> int | None:
    place = pictures.get(image_id)
    if place is None and isinstance(image_id, str) and image_id.isascii() and image_id.isdigit():
        place = pictures.get(int(image_id))
    return place


def _unknown_picture(image_id: object, dataset: Dataset, split: str, where: str) -> str:
    known = image_ids(dataset.splits[split])
    such = f"one of the data's image ids, such as {known[0]!r}" if known else "a picture of the data"
    if known and "image_id" not in dataset.splits[split][0].attributes:
        such = f"a picture's file name without suffix, such as {known[0]!r}"
    return f"{where}: image_id {_short(image_id)} is no picture, or more than one, of {dataset.source}; expected {such}"


def _category_ids(dataset: Dataset) -> list[int]:
    return list(dataset.category_ids) or list(range(1, len(dataset.names) + 1))


def _categories(path: Path, entries: Sequence[dict[str, Any]], dataset: Dataset) -> tuple[dict[int, int], list[str]]:
    """Category id → label, and what to say about a guess."""
    if dataset.category_ids:
        return {category: label for label, category in enumerate(dataset.category_ids)}, []
    first = 0 if any(_id(entry["category_id"]) == 0 for entry in entries) else 1
    last = first + len(dataset.names) - 1
    named = ", ".join(f"{first + label} {name}" for label, name in enumerate(dataset.names[:8]))
    more = ", …" if len(dataset.names) > 8 else ""
    said = f"{path}: the data states no category ids, so they are read as {named}{more}"
    return dict(zip(range(first, last + 1), range(len(dataset.names)), strict=True)), [said] if entries else []


def _label(category: object, categories: dict[int, int], dataset: Dataset, where: str) -> int:
    found = _id(category)
    if not isinstance(found, int) or found not in categories:
        known = ", ".join(f"{each} {dataset.names[label]}" for each, label in list(categories.items())[:20])
        raise InputError(f"{where}: category_id {_short(category)} is unknown; the data has {known}")
    return categories[found]


def _id(value: object) -> ImageId | None:
    """An id as it stands, `7.0` (as arrays of numbers give it) as 7; None for what can be no id."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int | str) and not isinstance(value, bool) else None


def _box(entry: dict[str, Any], where: str) -> list[float]:
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(_is_finite(value) for value in box):
        raise InputError(f"{where}: bbox {_short(box)}; expected four finite numbers x, y, width, height in pixels")
    x, y, width, height = map(float, box)
    if width < 0 or height < 0:
        raise InputError(f"{where}: bbox {_short(box)} has a negative side; expected x, y, width, height in pixels")
    return [x, y, x + width, y + height]


def _score(entry: dict[str, Any], where: str) -> float:
    score = entry["score"]
    if not _is_finite(score) or not 0 <= score <= 1 + _ABOVE_ONE:
        raise InputError(f"{where}: score {_short(score)}; expected a number in 0..1")
    return min(float(score), 1.0)


def _is_finite(value: object) -> bool:
    # The bounds refuse NaN, and whole numbers too large for a float.
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e18 < value < 1e18


def _predictions(found: Sequence[tuple[list[float], float, int]]) -> Predictions:
    scores = np.array([score for _, score, _ in found], np.float64)
    order = np.argsort(-scores, kind="stable")
    boxes = np.array([box for box, _, _ in found], np.float64).reshape(-1, 4)
    labels = np.array([label for _, _, label in found], np.int64)
    return Predictions(boxes[order], scores[order], labels[order])


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
