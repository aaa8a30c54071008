"""One evaluation: COCO figures by class, pair metrics, and an interval for each that matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from icr.data.dataset import Sample
from icr.errors import InputError, nearest
from icr.metrics.coco import METRICS, SIZES, CocoMetrics, coco_metrics, mean_over_classes
from icr.metrics.intervals import LEVEL, draws, percentile_interval
from icr.metrics.pairs import IOU, count_pairs, total
from icr.metrics.resampled import Measured, of_class, of_pairs
from icr.predictions import Predictions
from icr.relations import Relation, ResolvedRelation, resolve

Interval = tuple[float, float] | None

_CLASSES_ABREAST = 4


@dataclass(frozen=True)
class Evaluation:
    """What a detector's predictions are worth on a set of pictures.

    Attributes:
        evaluator: name and version of the library behind the COCO figures.
        images: number of pictures.
        classes: for each class name, the COCO figures, 0..1 or -1 where the data holds no such object.
        objects: for each class name, how many objects count, by size (`all`, `small`, `medium`, `large`).
        score: predictions below it are left out of the pair metrics.
        pairs: the pair metrics over all relations; None where there is no relation.
        by_relation: the pair metrics of each relation, with its `child` and `parent` (a list of names).
        resamples, seed: how the intervals were drawn; `resamples` 0: there are none.
        class_intervals: for each class name and resampled figure, its interval; None where there is no value.
        pair_intervals: the same for the pair metrics.
        split: which part of the data set it was.
        remarks: what a person should know about how these figures came about.
    """

    evaluator: str
    images: int
    classes: dict[str, dict[str, float]]
    objects: dict[str, dict[str, int]]
    score: float
    pairs: dict[str, float | int] | None = None
    by_relation: tuple[dict[str, Any], ...] = ()
    resamples: int = 0
    seed: int = 0
    class_intervals: dict[str, dict[str, Interval]] = field(default_factory=dict)
    pair_intervals: dict[str, Interval] = field(default_factory=dict)
    split: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def mean(self) -> dict[str, float]:
        """COCO's overall figures: the mean over the classes that have a value."""
        return mean_over_classes(list(self.classes.values()))

    def as_json(self) -> dict[str, Any]:
        """Everything as one object of plain numbers, texts, lists and None, ready for JSON."""
        pairs = None if self.pairs is None else {**self.pairs, "iou": IOU, "relations": list(self.by_relation)}
        intervals = None
        if self.resamples:
            intervals = {
                "method": "percentile bootstrap over images",
                "level": LEVEL,
                "resamples": self.resamples,
                "seed": self.seed,
                "classes": {name: _listed(found) for name, found in self.class_intervals.items()},
                "pairs": None if self.pairs is None else _listed(self.pair_intervals),
            }
        return {
            "evaluator": self.evaluator,
            **({"split": self.split} if self.split else {}),
            "images": self.images,
            "classes": self.classes,
            "mean": self.mean,
            "objects": self.objects,
            "score": self.score,
            "pairs": pairs,
            "intervals": intervals,
            "remarks": list(self.remarks),
        }

    def as_table(self) -> str:
        """Everything as text for a terminal: one column for each class, pair metrics below."""
        where = f" ({self.split})" if self.split else ""
        made = f"; [95 % interval], {self.resamples} resamples of the images" if self.resamples else ""
        blocks = [f"{self.evaluator}, {self.images} images{where}{made}"]
        columns: list[tuple[str, dict[str, float], dict[str, Interval]]] = [
            (f"{name} ({self.objects[name]['all']})", figures, self.class_intervals.get(name, {}))
            for name, figures in self.classes.items()
        ]
        if len(columns) > 1:
            columns.append(("mean", self.mean, {}))
        for first in range(0, len(columns), _CLASSES_ABREAST):
            blocks.append(_block(columns[first : first + _CLASSES_ABREAST]))
        if any(value < 0 for figures in self.classes.values() for value in figures.values()):
            blocks[-1] += "\n-  the data holds no such object"
        blocks.append("no pair metrics: no relation is known" if self.pairs is None else self._pair_block(self.pairs))
        return "\n\n".join(blocks)

    def _pair_block(self, pairs: dict[str, float | int]) -> str:
        told = "; ".join(f"{each['child']} in {' or '.join(each['parent'])}" for each in self.by_relation)
        sure = f", {pairs['ambiguous']} of them ambiguous" if pairs["ambiguous"] else ""
        interval = self.pair_intervals.get
        rows = [
            [f"pairs: {told}", "", ""],
            [
                "pair recall",
                _cell(pairs["recall"], interval("recall")),
                f"{pairs['found']} of {pairs['pairs']} pairs{sure}",
            ],
            [
                "orphan rate",
                _cell(pairs["orphan_rate"], interval("orphan_rate")),
                f"{pairs['orphans']} of {pairs['predicted_children']} predicted children",
            ],
            [
                "right parent",
                _cell(pairs["right_parent"], interval("right_parent")),
                f"{pairs['right']} of {pairs['found']} found pairs",
            ],
            [
                "smallest found",
                _pixels(pairs["smallest_area"]),
                f"smallest labelled {_pixels(pairs['smallest_area_labelled'])}",
            ],
        ]
        return f"{rows[0][0]}  (score ≥ {self.score:g}, IoU ≥ {IOU:g})\n{_aligned(rows[1:])}"


def evaluate(
    samples: Sequence[Sample],
    names: Sequence[str],
    predictions: Sequence[Predictions],
    relations: Sequence[Relation | ResolvedRelation] = (),
    *,
    score: float = 0.25,
    resamples: int = 1000,
    seed: int = 0,
    split: str | None = None,
    remarks: Sequence[str] = (),
) -> Evaluation:
    """Evaluate predictions: COCO figures by class and size, pair metrics, and bootstrap intervals.

    Args:
        samples: pictures with their labels.
        names: class names; labels of samples and predictions are indices into them (`align` makes them so).
        predictions: one for each sample, in the same order; boxes in pixels of the original picture.
        relations: which class lies in which; none: no pair metrics.
        score: predictions below it are left out of the pair metrics, 0..1. COCO figures use all predictions.
        resamples: how often the pictures are drawn again for the intervals; 0: no intervals.
        seed: of those draws.
        split: name of the part of the data set, passed on.
        remarks: passed on.

    Raises:
        InputError: there is no picture, `score` or `resamples` is out of range, a class name stands twice, or a
            relation names an unknown class.
        ValueError: `samples` and `predictions` differ in length, or a label is no index into `names`.

    Example:
        >>> from pathlib import Path
        >>> box, plate = np.array([[10.0, 10.0, 30.0, 20.0]]), np.array([0])
        >>> sample = Sample(Path("a.jpg"), 64, 48, box, plate, np.array([-2]))
        >>> found = Predictions(box, np.array([0.9]), plate)
        >>> round(evaluate([sample], ["plate"], [found]).as_json()["classes"]["plate"]["AP50"], 3)
        1.0
    """
    if not samples:
        raise InputError("there is no picture to evaluate on; name a split that holds some")
    if not 0 <= score <= 1:
        raise InputError(f"score {score:g} is out of range; expected 0..1, such as 0.25")
    if len(set(names)) < len(names):
        raise InputError(f"the data names a class twice: {_joined(names)}; give each class a name of its own")
    if resamples < 0:
        raise InputError(f"{resamples} resamples; expected a whole number of at least 0, such as 1000")
    for found in predictions:
        if found.labels.size and not 0 <= found.labels.min() <= found.labels.max() < len(names):
            raise ValueError(f"a predicted label is {found.labels.max()}; expected an index into {len(names)} names")
    resolved = _resolved(relations, names)
    metrics = coco_metrics(samples, names, predictions)
    counts = count_pairs(samples, predictions, resolved, score=score)
    weights = draws(len(samples), resamples, seed)
    return Evaluation(
        evaluator=metrics.evaluator,
        images=len(samples),
        classes=dict(zip(names, metrics.classes, strict=True)),
        objects=_objects(metrics, names),
        score=score,
        pairs=total(counts).figures() if counts else None,
        by_relation=tuple(
            {"child": names[relation.child], "parent": [names[each] for each in relation.parents], **count.figures()}
            for relation, count in zip(resolved, counts, strict=True)
        ),
        resamples=resamples,
        seed=seed,
        class_intervals={
            name: _intervals(of_class(metrics, label, ("AP", "AP50", "AP_small", "AR"), weights))
            for label, name in enumerate(names if resamples else ())
        },
        pair_intervals=_intervals(of_pairs(total(counts), ("recall", "orphan_rate", "right_parent"), weights))
        if counts and resamples
        else {},
        split=split,
        remarks=tuple(remarks),
    )


def align(
    predictions: Sequence[Predictions], known: Sequence[str], names: Sequence[str]
) -> tuple[list[Predictions], list[str]]:
    """Turn a detector's labels into those of a data set, by class name; predictions of other classes are left out.

    Args:
        predictions: with labels that are indices into `known`.
        known: the detector's class names.
        names: the data set's class names.

    Returns:
        The predictions with labels that are indices into `names`, and what a person should be told.

    Raises:
        InputError: no class name is common to both.

    Example:
        >>> found = Predictions(np.zeros((2, 4)), np.array([0.9, 0.8]), np.array([0, 1]))
        >>> aligned, said = align([found], ["car", "plate"], ["plate"])
        >>> aligned[0].labels.tolist(), aligned[0].scores.tolist(), said
        ([0], [0.8], ['left out: class car of the detector, which the data does not have'])
    """
    if list(known) == list(names):
        return list(predictions), []
    places = np.array([list(names).index(name) if name in names else -1 for name in known], np.int64)
    if (places < 0).all():
        hints = "".join(dict.fromkeys(nearest(name, names) for name in known)).strip("; ")
        raise InputError(
            f"the detector knows {_joined(known)}, the data {_joined(names)}: no class in common; "
            f"rename the classes of the data to match{f' ({hints})' if hints else ''}"
        )
    said = []
    for name in names:
        if name not in known:
            said.append(f"the detector does not know class {name}{nearest(name, known)}; it finds none of them")
    extra = [name for name in known if name not in names]
    if extra:
        word = "class" if len(extra) == 1 else "classes"
        said.append(f"left out: {word} {_joined(extra)} of the detector, which the data does not have")
    aligned = []
    for found in predictions:
        labels = places[found.labels]
        kept = labels >= 0
        aligned.append(Predictions(found.boxes[kept], found.scores[kept], labels[kept]))
    return aligned, said


def _resolved(relations: Sequence[Relation | ResolvedRelation], names: Sequence[str]) -> tuple[ResolvedRelation, ...]:
    named = [each for each in relations if not isinstance(each, ResolvedRelation)]
    return (*(each for each in relations if isinstance(each, ResolvedRelation)), *resolve(named, names))


def _objects(metrics: CocoMetrics, names: Sequence[str]) -> dict[str, dict[str, int]]:
    return {
        name: {size: int(matches[size].objects.sum()) for size in SIZES}
        for name, matches in zip(names, metrics.matches, strict=True)
    }


def _intervals(measured: dict[str, Measured]) -> dict[str, Interval]:
    return {metric: percentile_interval(found.resampled) for metric, found in measured.items()}


def _listed(intervals: dict[str, Interval]) -> dict[str, list[float] | None]:
    return {name: None if interval is None else list(interval) for name, interval in intervals.items()}


def _block(columns: Sequence[tuple[str, dict[str, float], dict[str, Interval]]]) -> str:
    rows = [["", *(head for head, _, _ in columns)]]
    for metric in METRICS:
        cells = [_cell(figures[metric], intervals.get(metric)) for _, figures, intervals in columns]
        rows.append([metric.replace("_", " "), *cells])
    return _aligned(rows)


def _cell(value: float, interval: Interval) -> str:
    """A figure with its interval, as in `0.512 [0.470, 0.555]`."""
    if value < 0:
        return "-"
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _pixels(area: float) -> str:
    return "-" if area < 0 else f"{area:.0f} px²"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _joined(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(names[:most])
    return f"{shown}, … ({len(names)} in all)" if len(names) > most else shown
