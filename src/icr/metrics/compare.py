"""Two ways of training, several runs of each, judged on the same pictures: each endpoint with interval and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from icr.data.dataset import Sample
from icr.metrics.coco import coco_metrics
from icr.metrics.intervals import draws, percentile_interval
from icr.metrics.paired import LEVEL, Estimate, estimate
from icr.metrics.pairs import count_pairs, total
from icr.metrics.resampled import Measured, of_class, of_pairs
from icr.metrics.verdict import FIXED, Claim, Rules, Verdict, judge
from icr.predictions import Predictions
from icr.relations import ResolvedRelation

PRIMARY, SECONDARY, UNHARMED = "primary", "secondary", "unharmed"

FEW_PICTURES = 30
"""With fewer pictures behind a figure its interval is probably too narrow."""


@dataclass(frozen=True)
class Endpoint:
    """A figure that is compared.

    Attributes:
        key: `plate.AP50`, `vehicle.AP`, `pairs.recall`.
        name: as a person reads it.
        kind: `primary` (what decides), `secondary`, or `unharmed` (a parent class, which should stay as it is).
    """

    key: str
    name: str
    kind: str


@dataclass(frozen=True)
class Row:
    """One endpoint, compared.

    Attributes:
        endpoint: what was compared.
        before, after: its value in each run of either arm, seed by seed, 0..1.
        mean: mean of after − before.
        interval: of the mean; with a single pair of runs it covers the choice of pictures alone.
        estimate: of the mean; None with a single pair of runs.
        pictures: pictures that the figure rests on.
        verdict: the word, and why.
    """

    endpoint: Endpoint
    before: tuple[float, ...]
    after: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    estimate: Estimate | None
    pictures: int
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """The row as plain numbers; ratios 0..1, differences after − before."""
        found, verdict = self.estimate, self.verdict
        need = verdict.need
        return {
            "endpoint": self.endpoint.key,
            "kind": self.endpoint.kind,
            "before": list(self.before),
            "after": list(self.after),
            "difference": self.mean,
            "interval": None if self.interval is None else list(self.interval),
            "seed_error": None if found is None else float(found.seed_variance) ** 0.5,
            "image_error": None if found is None else float(found.image_variance) ** 0.5,
            "df": None if found is None else float(found.df),
            "p": verdict.p,
            "p_equivalent": verdict.p_equivalent,
            "pictures": self.pictures,
            "verdict": verdict.word,
            "reason": verdict.reason,
            "need": None
            if need is None
            else {"seeds": [need.fewest, need.most], "pictures": need.pictures, "told": need.told()},
        }


@dataclass(frozen=True)
class Comparison:
    """All endpoints of two arms.

    Attributes:
        arms: what the first and the second arm are called; differences are second − first.
        rows: the endpoints that have a value, primary ones first.
        seeds: of the pairs of runs; a pair of different seeds stands as both.
        split: the part of the data set.
        images: number of pictures in it.
        evaluator: name and version of the library behind the COCO figures.
        resamples: how often the pictures were drawn again.
        rules: fixed beforehand.
        remarks: what a person should know about how these figures came about.
    """

    arms: tuple[str, str]
    rows: tuple[Row, ...]
    seeds: tuple[tuple[int, int], ...]
    split: str
    images: int
    evaluator: str
    resamples: int
    rules: Rules = FIXED
    remarks: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """What was found, in one line, by the first primary endpoint."""
        row = self.rows[0]
        told = f"{self.arms[1]} against {self.arms[0]}, {row.endpoint.name}: {row.verdict.word}"
        return f"{told}, {_difference(row)} points over {_counted(len(self.seeds), 'pair')} of runs"

    def as_json(self) -> dict[str, Any]:
        """Everything as one object of plain numbers, texts, lists and None, ready for JSON."""
        return {
            "verdict": self.rows[0].verdict.word,
            "headline": self.headline,
            "arms": list(self.arms),
            "seeds": [list(pair) for pair in self.seeds],
            "split": self.split,
            "images": self.images,
            "evaluator": self.evaluator,
            "statistics": {
                "level": LEVEL,
                "alpha": self.rules.alpha,
                "margin": self.rules.margin,
                "baseline_range": [self.rules.floor, self.rules.ceiling],
                "fewest_seeds": self.rules.fewest_seeds,
                "resamples": self.resamples,
                "claims": len(self.rows),
            },
            "claims": [row.as_json() for row in self.rows],
            "remarks": list(self.remarks),
        }

    def as_table(self) -> str:
        """Everything as text for a terminal."""
        cells = [["", *self.arms, "difference", "verdict"], *self._cells()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        table = "\n".join(line.rstrip() for line in lines)
        return "\n\n".join([self._caption(), table, "\n".join(self._reasons()), *self._footer(), self.headline])

    def as_markdown(self) -> str:
        """The table and its reasons as Markdown."""
        cells = [["", *self.arms, "difference", "verdict"], ["---", "---:", "---:", "---", "---"], *self._cells()]
        table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells)
        reasons = "\n".join(f"- {reason}" for reason in self._reasons())
        return "\n\n".join([f"**{self.headline}**", self._caption(), table, reasons, *self._footer()]) + "\n"

    def _caption(self) -> str:
        pairs = _counted(len(self.seeds), "pair")
        what = "pictures drawn again alone" if len(self.seeds) == 1 else "seeds and pictures"
        return (
            f"{self.split}, {_counted(self.images, 'picture')}, {pairs} of runs, {self.evaluator}; points (0..100), "
            f"{self.arms[1]} − {self.arms[0]} [{LEVEL:.0%} interval: {what}]; * decides"
        )

    def _cells(self) -> list[list[str]]:
        return [
            [
                f"{row.endpoint.name}{' *' if row.endpoint.kind == PRIMARY else ''}",
                f"{100 * np.mean(row.before):.1f}",
                f"{100 * np.mean(row.after):.1f}",
                _difference(row),
                row.verdict.word,
            ]
            for row in self.rows
        ]

    def _reasons(self) -> list[str]:
        alike: dict[str, list[str]] = {}
        for row in self.rows:
            need = row.verdict.need
            settle = f"; to settle it: {need.told()}" if need else ""
            alike.setdefault(f"{row.verdict.reason}{settle}", []).append(row.endpoint.name)
        return [f"{', '.join(names)}: {reason}" for reason, names in alike.items()]

    def _footer(self) -> list[str]:
        return ["\n".join(self.remarks)] if self.remarks else []


def endpoints(names: Sequence[str], relations: Sequence[ResolvedRelation]) -> tuple[Endpoint, ...]:
    """What is compared, fixed by the relations before anything is measured.

    Args:
        names: class names.
        relations: which class lies in which.

    Example:
        >>> [each.key for each in endpoints(["plate", "vehicle"], [ResolvedRelation(0, (1,), 2.5)])]
        ['plate.AP50', 'plate.AP_small', 'plate.AP', 'vehicle.AP', 'pairs.recall']
    """
    children = [relation.child for relation in relations]
    parents = dict.fromkeys(each for relation in relations for each in relation.parents if each not in children)
    primary = [
        Endpoint(f"{names[child]}.{metric}", f"{names[child]} {metric.replace('_', ' ')}", PRIMARY)
        for child in children
        for metric in ("AP50", "AP_small")
    ]
    secondary = [Endpoint(f"{names[child]}.AP", f"{names[child]} AP", SECONDARY) for child in children]
    unharmed = [Endpoint(f"{names[parent]}.AP", f"{names[parent]} AP", UNHARMED) for parent in parents]
    return (*primary, *secondary, *unharmed, Endpoint("pairs.recall", "pair recall", SECONDARY))


def measure(
    samples: Sequence[Sample],
    names: Sequence[str],
    relations: Sequence[ResolvedRelation],
    predictions: Sequence[Predictions],
    *,
    resamples: int = 1000,
    score: float = 0.25,
) -> dict[str, Measured]:
    """Measure every endpoint of one run, on the pictures as they are and on resamples of them.

    The resamples depend on the number of pictures alone, so that all runs are resampled alike.

    Args:
        samples: the test pictures with their labels.
        names: class names.
        relations: which class lies in which.
        predictions: one for each sample, in the same order; labels index `names`.
        resamples: how often the pictures are drawn again.
        score: predictions below it are left out of pair recall, 0..1.

    Returns:
        The figure of each key of `endpoints`.
    """
    weights = draws(len(samples), resamples)
    coco = coco_metrics(samples, names, predictions)
    measured = {
        f"{names[label]}.{metric}": found
        for label in dict.fromkeys(each for relation in relations for each in (relation.child, *relation.parents))
        for metric, found in of_class(coco, label, ("AP50", "AP", "AP_small"), weights).items()
    }
    pairs = of_pairs(total(count_pairs(samples, predictions, relations, score=score)), ("recall",), weights)
    return {**measured, "pairs.recall": pairs["recall"]}


def compare(
    before: Sequence[Mapping[str, Measured]],
    after: Sequence[Mapping[str, Measured]],
    compared: Sequence[Endpoint],
    rules: Rules = FIXED,
) -> tuple[tuple[Row, ...], list[str]]:
    """Compare two arms, endpoint by endpoint, and judge all of them together.

    Args:
        before: what `measure` gave for each run of the first arm.
        after: the same for the second arm, the run of the same seed at the same place.
        compared: the endpoints.
        rules: fixed beforehand.

    Returns:
        A row for each endpoint that has a value, and what a person should be told.

    Raises:
        ValueError: the arms have no run, or not equally many.
    """
    if not before or len(before) != len(after):
        raise ValueError(f"{len(before)} runs against {len(after)}; expected equally many, at least one")
    remarks, kept = [], []
    for endpoint in compared:
        if all(run[endpoint.key].value >= 0 for run in (*before, *after)):
            kept.append(endpoint)
        else:
            remarks.append(f"{endpoint.name} has no value: the test pictures hold nothing to measure it on")
    differences = [paired_difference(before, after, endpoint.key) for endpoint in kept]
    claims = [
        Claim(float(np.mean([run[endpoint.key].value for run in before])), found[1], endpoint.kind == UNHARMED)
        for endpoint, found in zip(kept, differences, strict=True)
    ]
    rows = tuple(
        Row(
            endpoint=endpoint,
            before=tuple(run[endpoint.key].value for run in before),
            after=tuple(run[endpoint.key].value for run in after),
            mean=mean,
            interval=interval,
            estimate=found,
            pictures=before[0][endpoint.key].pictures,
            verdict=verdict,
        )
        for endpoint, (mean, found, interval), verdict in zip(kept, differences, judge(claims, rules), strict=True)
    )
    few = [f"{row.endpoint.name} ({row.pictures})" for row in rows if row.pictures < FEW_PICTURES]
    if few:
        remarks.append(f"rests on fewer than {FEW_PICTURES} pictures, so the interval is too narrow: {', '.join(few)}")
    return rows, remarks


def paired_difference(
    before: Sequence[Mapping[str, Measured]], after: Sequence[Mapping[str, Measured]], key: str
) -> tuple[float, Estimate | None, tuple[float, float] | None]:
    """The mean difference of one endpoint, its estimate and its interval.

    Args:
        before, after: the runs of either arm, those of one seed at the same place, resampled alike.
        key: the endpoint, with a value in every run.

    Returns:
        The mean of after − before; its estimate, None with a single pair of runs; its interval, which with a single
        pair covers the choice of pictures alone, and is None where nothing was resampled.
    """
    values = np.array([second[key].value - first[key].value for first, second in zip(before, after, strict=True)])
    resampled = np.array(
        [second[key].resampled - first[key].resampled for first, second in zip(before, after, strict=True)]
    )
    if len(values) == 1:
        return float(values[0]), None, percentile_interval(resampled[0])
    whole = resampled[:, ~np.isnan(resampled).any(axis=0)]
    covariance = np.cov(whole) if whole.shape[1] > 1 else np.zeros((len(values), len(values)))
    found = estimate(values, covariance, before[0][key].pictures)
    return float(found.mean), found, (float(found.low), float(found.high))


def _difference(row: Row) -> str:
    """A difference in points with its interval.

    Example:
        >>> plate = Endpoint("plate.AP50", "plate AP50", PRIMARY)
        >>> _difference(Row(plate, (0.5,), (0.52,), 0.02, (-0.01, 0.05), None, 40, Verdict("cannot tell", "")))
        '+2.0 [-1.0, +5.0]'
    """
    told = f"{100 * row.mean:+.1f}"
    return told if row.interval is None else f"{told} [{100 * row.interval[0]:+.1f}, {100 * row.interval[1]:+.1f}]"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
