"""To and from `supervision.Detections` and `supervision.DetectionDataset`.

Detections are filtered, sorted and joined by their users, so a pair cannot be a row number. Here every box carries a
number of its own in ``data["box_id"]``, and ``data["parent_id"]`` holds the number of its parent: -1 where the data
says that it has none, -2 where it says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.pictures import PictureError, header
from icr.errors import InputError
from icr.predictions import Predictions

if TYPE_CHECKING:
    import supervision

BOX_ID, PARENT_ID, LINE, ATTRIBUTES = "box_id", "parent_id", "line", "attributes"
"""Keys of `Detections.data`; the last two are there only where a sample has them."""

Ints = npt.NDArray[np.int64]


def to_detections(sample: Sample, names: Sequence[str]) -> supervision.Detections:
    """The boxes of a picture as detections, pairs included.

    Args:
        sample: the picture; its path, size and attributes are not part of detections.
        names: class names, for ``data["class_name"]``, which supervision's annotators print.

    Returns:
        Boxes xyxy in pixels, float64; ``class_id``; in ``data``: ``class_name``, ``box_id`` (row by row from 0) and
        ``parent_id``, and where known ``line`` and ``attributes``.
    """
    import supervision

    data: dict[str, Any] = _numbered(sample.labels, names, sample.parents)
    if len(sample.lines):
        data[LINE] = sample.lines.copy()
    if sample.box_attributes:
        data[ATTRIBUTES] = [dict(each) for each in sample.box_attributes]
    return supervision.Detections(xyxy=sample.boxes.copy(), class_id=sample.labels.copy(), data=data)


def from_detections(detections: supervision.Detections, image: Path, size: tuple[int, int]) -> Sample:
    """A picture with the boxes of detections, and their pairs where they carry any.

    A parent that was filtered out leaves its child without one (`NO_PARENT`): the picture still holds a vehicle there,
    but none that training may see. Detections without ``parent_id`` say nothing of parents (`UNSTATED`).

    Args:
        detections: any; ``class_id`` is needed. ``parent_id`` refers to ``box_id``, or to rows where there is no such.
        image: the picture file.
        size: its width and height in pixels.

    Raises:
        InputError: there are no classes, a ``parent_id`` is no whole number, or detections of several pictures were
            joined, so that a ``box_id`` stands twice.
    """
    lines, attributes = detections.data.get(LINE), detections.data.get(ATTRIBUTES)
    return Sample(
        Path(image),
        *size,
        np.array(detections.xyxy, np.float64).reshape(-1, 4),
        _classes(detections),
        _parents(detections),
        lines=np.zeros(0, np.int64) if lines is None else np.array(lines, np.int64),
        box_attributes=[] if attributes is None else [dict(each) for each in attributes],
    )


def predictions_to_detections(
    predictions: Predictions, names: Sequence[str], parents: npt.NDArray[np.int64] | None = None
) -> supervision.Detections:
    """Predictions of a picture as detections.

    Args:
        predictions: of one picture.
        names: class names.
        parents: (N,), row of each box's parent, -1 where it has none, as `icr.match_parents` gives them; None: nothing
            is said of parents.
    """
    import supervision

    said = np.full(len(predictions.boxes), UNSTATED, np.int64) if parents is None else np.asarray(parents, np.int64)
    return supervision.Detections(
        xyxy=predictions.boxes.copy(),
        confidence=predictions.scores.copy(),
        class_id=predictions.labels.copy(),
        data=_numbered(predictions.labels, names, said),
    )


def predictions_from_detections(detections: supervision.Detections) -> tuple[Predictions, Ints]:
    """Predictions, best first, and the row of each box's parent among them, -1 for none and -2 where nothing is said.

    Raises:
        InputError: there are no classes or no confidences, or a ``box_id`` stands twice.
    """
    if detections.confidence is None and len(detections):
        raise InputError("the detections have no confidence; predictions need a score for each box")
    scores = np.array([] if detections.confidence is None else detections.confidence, np.float64)
    order = np.argsort(-scores, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    parents = _parents(detections)
    parents = np.where(parents >= 0, rank[parents], parents) if len(order) else parents
    boxes = np.array(detections.xyxy, np.float64).reshape(-1, 4)
    return Predictions(boxes[order], scores[order], _classes(detections)[order]), parents[order]


def to_detection_dataset(dataset: Dataset, split: str) -> supervision.DetectionDataset:
    """One split as supervision's data set. Its own writers (`as_yolo`, `as_coco`) drop pairs; ours keep them.

    Raises:
        InputError: there is no such split, or a picture stands in it twice.
    """
    import supervision

    if split not in dataset.splits:
        raise InputError(f"there is no split {split!r}; the data set has {', '.join(dataset.splits) or 'none'}")
    annotations: dict[str, supervision.Detections] = {}
    for sample in dataset.splits[split]:
        if str(sample.image) in annotations:
            raise InputError(f"{sample.image} stands twice in {split}; supervision holds a picture once")
        annotations[str(sample.image)] = to_detections(sample, dataset.names)
    return supervision.DetectionDataset(list(dataset.names), list(annotations), annotations)


def from_detection_dataset(
    given: supervision.DetectionDataset, source: Path = Path("supervision"), split: str = "train"
) -> Dataset:
    """A data set of one split from supervision's; sizes are read from the pictures, which are findings where absent.

    Args:
        given: of picture files; pictures that are in memory only have no size here and cannot be trained on.
        source: what to call it.
        split: the name of its one split.

    Raises:
        InputError: as `from_detections`.
    """
    findings: list[Finding] = []
    samples = []
    for path in map(Path, given.image_paths):
        try:
            seen = header(path)
            size = seen.width, seen.height
        except FileNotFoundError:
            size = 0, 0
            findings.append(found("picture.missing", path, "there is no such picture"))
        except PictureError as error:
            size = 0, 0
            findings.append(found("picture.unreadable", path, f"cannot be opened as a picture: {error}"))
        samples.append(from_detections(given.annotations[str(path)], path, size))
    return Dataset(source, "supervision", list(given.classes), {split: samples}, findings=findings)


def _numbered(labels: Ints, names: Sequence[str], parents: Ints) -> dict[str, Any]:
    called = [names[label] if 0 <= label < len(names) else str(label) for label in labels.tolist()]
    return {
        "class_name": np.array(called, dtype=np.str_),
        BOX_ID: np.arange(len(labels), dtype=np.int64),
        PARENT_ID: parents.copy(),
    }


def _classes(detections: supervision.Detections) -> Ints:
    if detections.class_id is None:
        if len(detections):
            raise InputError("the detections have no class_id; every box needs its class")
        return np.zeros(0, np.int64)
    return np.array(detections.class_id, np.int64)


def _parents(detections: supervision.Detections) -> Ints:
    """The row of each box's parent."""
    number = len(detections)
    if PARENT_ID not in detections.data:
        return np.full(number, UNSTATED, np.int64)
    own = _whole(detections.data.get(BOX_ID, np.arange(number)), BOX_ID)
    row_of = {each: row for row, each in enumerate(own)}
    if len(row_of) < number:
        twice = next(each for row, each in enumerate(own) if row_of[each] != row)
        raise InputError(
            f"box_id {twice} stands twice in the detections; were those of several pictures joined? convert each alone"
        )
    parents = _whole(detections.data[PARENT_ID], PARENT_ID)
    rows = [each if each in (NO_PARENT, UNSTATED) else row_of.get(each, NO_PARENT) for each in parents]
    return np.array([NO_PARENT if row == own_row else row for own_row, row in enumerate(rows)], np.int64)


def _whole(values: Any, key: str) -> list[int]:
    """Whole numbers, whatever array or list holds them."""
    try:
        given = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        given = np.array([np.nan])
    if not np.isfinite(given).all() or (given != np.round(given)).any():
        raise InputError(f"data[{key!r}] of the detections holds something else than whole numbers")
    return [int(each) for each in given.tolist()]
