"""Two ways of training, several runs of each, judged on the same pictures: each endpoint with interval and verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from icr.data.dataset import Sample
from icr.metrics.coco import coco_metrics
from icr.metrics.comparison import PRIMARY, SECONDARY, UNHARMED, Endpoint, Row
from icr.metrics.intervals import draws, percentile_interval
from icr.metrics.paired import Estimate, estimate
from icr.metrics.pairs import count_pairs, total
from icr.metrics.resampled import Measured, of_class, of_pairs
from icr.metrics.verdict import FIXED, Claim, Rules, judge
from icr.predictions import Predictions
from icr.relations import ResolvedRelation

FEW_PICTURES = 30
"""With fewer pictures behind a figure its interval is probably too narrow."""


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
