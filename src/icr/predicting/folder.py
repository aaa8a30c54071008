"""A folder of predictions: annotated pictures and videos, `predictions.json`, and, if asked for, crops."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from icr.drawing import Picture, annotate, read_picture, write_picture
from icr.errors import InputError
from icr.predicting.sources import Source
from icr.predicting.video import Frame, VideoWriter, frames
from icr.predictions import Predictions, Predictor
from icr.relations import Relation, ResolvedRelation, resolve
from icr.writing import refuse_filled

RESULTS = "predictions.json"


@dataclass
class Summary:
    """What a run over the sources came to.

    Attributes:
        pictures: pictures and frames looked at.
        boxes, pairs, orphans: counts over all of them.
        unreadable: one line for each file that could not be read, or not to its end.
    """

    pictures: int = 0
    boxes: int = 0
    pairs: int = 0
    orphans: int = 0
    unreadable: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Looked:
    """What was found in one picture."""

    found: Predictions
    parents: npt.NDArray[np.int64]
    orphans: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Job:
    """All that stays the same from picture to picture."""

    predictor: Predictor
    relations: Sequence[ResolvedRelation]
    out: Path
    settings: dict[str, Any]
    crops: bool
    batch: int
    names: _Names


def run(
    predictor: Predictor,
    sources: Sequence[Source],
    relations: Sequence[ResolvedRelation],
    out: Path,
    *,
    conf: float = 0.25,
    iou: float = 0.7,
    imgsz: int | None = None,
    crops: bool = False,
    batch: int = 8,
    seen: Callable[[], None] = lambda: None,
) -> Summary:
    """Find objects in every source and write an annotated copy of it and its boxes, each child with its parent.

    Parents are found among the predicted boxes by `icr.match_parents`. A file that cannot be read is left out and named
    in the summary.

    Args:
        predictor: a loaded detector.
        sources: the files, from `find`.
        relations: resolved against the predictor's names; none means that nothing has a parent.
        out: a folder that is new or empty. In it: `predictions.json`, a list of one entry a picture or frame;
            the annotated pictures (.jpg) and videos (.mp4) under the sources' names; and `crops/`.
        conf: least score, 0..1.
        iou: threshold of non-maximum suppression.
        imgsz: input size in pixels; None: the size the detector was trained at.
        crops: whether to cut out each parent together with its child.
        batch: pictures handed to the detector at a time.
        seen: called after each picture and each frame.

    Raises:
        InputError: `out` is a file, holds something or cannot be made.
    """
    refuse_filled(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{out}: the folder cannot be made ({error.strerror}); choose another --out") from None
    settings = {"conf": conf, "iou": iou, "imgsz": imgsz, "batch": batch}
    job = _Job(predictor, relations, out, settings, crops, batch, _Names(out))
    summary = Summary()
    with _Results(out / RESULTS) as results:
        for together in _batched(sources, batch):
            if isinstance(together, Source):
                _look_at_video(job, together, results, summary, seen)
            else:
                _look_at_pictures(job, together, results, summary, seen)
    return summary


def relations_of(given: Sequence[str], record: Any, names: Sequence[str]) -> tuple[tuple[ResolvedRelation, ...], str]:
    """Settle the relations for a detector: those given, else those it was trained with, else none.

    Args:
        given: the values of ``--relation``, maybe none.
        record: what `run.json` beside the weights holds, or an exported file; None when neither says anything.
        names: the detector's class names.

    Returns:
        Resolved relations, and a sentence that says where they come from.

    Raises:
        InputError: a relation that was given is wrong.
    """
    if given:
        chosen = tuple(Relation.parse(text) for text in given)
        return resolve(chosen, names), f"relations: {', '.join(map(str, chosen))}, as given by --relation"
    entries = record.get("relations") if isinstance(record, dict) else None
    if entries:
        trained = tuple(Relation(each["child"], each["parent"]) for each in entries)
        where = record.get("where", "run.json")
        return resolve(trained, names), f"relations: {', '.join(map(str, trained))}, as trained with ({where})"
    return (), "no relation is known, so every parent is -1; pass --relation child:parent to have children paired"


def _batched(sources: Iterable[Source], size: int) -> Iterator[list[Source] | Source]:
    """Pictures in lists of at most `size`, videos alone, in order."""
    waiting: list[Source] = []
    for source in sources:
        if source.video or len(waiting) == size:
            if waiting:
                yield waiting
            waiting = []
        if source.video:
            yield source
        else:
            waiting.append(source)
    if waiting:
        yield waiting


def _look_at_pictures(
    job: _Job, sources: Sequence[Source], results: _Results, summary: Summary, seen: Callable[[], None]
) -> None:
    readable: list[tuple[Source, Picture]] = []
    for source in sources:
        try:
            readable.append((source, read_picture(source.path)))
        except InputError as error:
            summary.unreadable.append(str(error))
            seen()
    for (source, picture), looked in zip(readable, _look(job, [each for _, each in readable]), strict=True):
        target = job.names.free(source.name, ".jpg")
        write_picture(_drawn(job, picture, looked), target)
        entry = _entry(job, source, picture, looked, annotated=target)
        if job.crops:
            entry["crops"] = _write_crops(job, target.relative_to(job.out).with_suffix(""), picture, looked)
        results.add(entry)
        _count(summary, looked)
        seen()


def _look_at_video(job: _Job, source: Source, results: _Results, summary: Summary, seen: Callable[[], None]) -> None:
    target = job.names.free(source.name, ".mp4")
    waiting = _readable_frames(source, summary)
    with VideoWriter(target) as video:
        while together := list(islice(waiting, job.batch)):
            for frame, looked in zip(together, _look(job, [each.picture for each in together]), strict=True):
                video.write(_drawn(job, frame.picture, looked), frame.seconds)
                entry = _entry(job, source, frame.picture, looked, annotated=target)
                entry |= {"frame": frame.index, "seconds": round(frame.seconds, 6)}
                if job.crops:
                    stem = target.relative_to(job.out).with_suffix("") / f"{frame.index:06d}"
                    entry["crops"] = _write_crops(job, stem, frame.picture, looked)
                results.add(entry)
                _count(summary, looked)
                seen()


def _readable_frames(source: Source, summary: Summary) -> Iterator[Frame]:
    """Frames as far as they can be read; what ends them early goes to the summary."""
    try:
        yield from frames(source.path)
    except InputError as error:
        summary.unreadable.append(str(error))


def _look(job: _Job, pictures: Sequence[Picture]) -> Iterator[_Looked]:
    import torch

    from icr.relations import match_parents

    if not pictures:
        return
    is_child = [relation.child for relation in job.relations]
    for found in job.predictor.predict(pictures, **job.settings):
        boxes, labels = torch.tensor(found.boxes).reshape(-1, 4), torch.tensor(found.labels)
        parents = match_parents(boxes, labels, job.relations).numpy()
        yield _Looked(found, parents, np.isin(found.labels, is_child) & (parents < 0))


def _count(summary: Summary, looked: _Looked) -> None:
    summary.pictures += 1
    summary.boxes += len(looked.parents)
    summary.pairs += int((looked.parents >= 0).sum())
    summary.orphans += int(looked.orphans.sum())


def _drawn(job: _Job, picture: Picture, looked: _Looked) -> Picture:
    found = looked.found
    return annotate(
        picture, found.boxes, found.labels, job.predictor.names, looked.parents, found.scores, orphans=looked.orphans
    )


def _entry(job: _Job, source: Source, picture: Picture, looked: _Looked, annotated: Path) -> dict[str, Any]:
    """One entry of `predictions.json`; lists of one length, numbers with as many digits as mean something."""
    names, found = job.predictor.names, looked.found
    return {
        "image": str(source.path),
        "width": picture.shape[1],
        "height": picture.shape[0],
        "boxes": [[round(float(side), 2) for side in box] for box in found.boxes],
        "scores": [round(float(score), 5) for score in found.scores],
        "labels": [int(label) for label in found.labels],
        "names": [names[label] for label in found.labels],
        "parents": [int(parent) for parent in looked.parents],
        "annotated": annotated.relative_to(job.out).as_posix(),
    }


def _write_crops(job: _Job, stem: Path, picture: Picture, looked: _Looked) -> list[dict[str, Any]]:
    """Cut out each parent together with its child: the box around both, in whole pixels."""
    written = []
    height, width = picture.shape[:2]
    for child in np.flatnonzero(looked.parents >= 0):
        both = looked.found.boxes[[child, looked.parents[child]]]
        left, top = np.floor(both[:, :2].min(0)).astype(int).clip(0, (width - 1, height - 1))
        right, bottom = np.ceil(both[:, 2:].max(0)).astype(int).clip((left + 1, top + 1), (width, height))
        target = job.names.free(Path("crops") / stem.parent / f"{stem.name}-{child}", ".jpg")
        write_picture(picture[top:bottom, left:right], target)
        written.append(
            {
                "file": target.relative_to(job.out).as_posix(),
                "child": int(child),
                "parent": int(looked.parents[child]),
                "box": [int(left), int(top), int(right), int(bottom)],
            }
        )
    return written


class _Names:
    """Hands out file names in a folder, none twice, whatever the sources are called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Names that differ in case alone are one file on some systems.
        self._taken = {RESULTS.casefold()}

    def free(self, name: Path, suffix: str) -> Path:
        number, candidate = 1, name.with_name(name.name + suffix)
        while candidate.as_posix().casefold() in self._taken:
            number += 1
            candidate = name.with_name(f"{name.name}-{number}{suffix}")
        self._taken.add(candidate.as_posix().casefold())
        target = self._folder / candidate
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


class _Results:
    """Writes a JSON list entry by entry: an hour of video need not fit in memory, and an interrupted list is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.partial")
        self._file: TextIO

    def __enter__(self) -> _Results:
        self._file = self._part.open("w", encoding="utf-8")
        self._file.write("[")
        self._between = "\n"
        return self

    def add(self, entry: dict[str, Any]) -> None:
        self._file.write(self._between + json.dumps(entry, ensure_ascii=False, allow_nan=False))
        self._between = ",\n"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.write("\n]\n")
        self._file.close()
        self._part.replace(self._path)
