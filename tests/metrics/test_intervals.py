"""Resampled figures are those of a data set in which the drawn pictures really stand as often as they were drawn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_sets import NAMES, make_random_set

from icr.metrics.coco import IOU_50, SIZES, coco_metrics
from icr.metrics.intervals import average_precision, draws, percentile_interval, recall


def figures_of(matches, weights) -> dict[str, np.ndarray]:
    return {
        "AP": average_precision(matches["all"], weights).mean(axis=0),
        "AP50": average_precision(matches["all"], weights)[IOU_50],
        "AP_small": average_precision(matches["small"], weights).mean(axis=0),
        "AP_large": average_precision(matches["large"], weights).mean(axis=0),
        "AR": recall(matches["all"], weights).mean(axis=0),
        "AR_medium": recall(matches["medium"], weights).mean(axis=0),
    }


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 14), st.sampled_from([1, 40]))
def test_unresampled_equals_hotcoco(seed: int, images: int, most: int) -> None:
    samples, predictions = make_random_set(seed, images, most)
    metrics = coco_metrics(samples, NAMES, predictions)
    for figures, matches in zip(metrics.classes, metrics.matches, strict=True):
        for name, value in figures_of(matches, np.ones((images, 1))).items():
            expected = figures[name] if figures[name] > -1 else np.nan
            assert value[0] == pytest.approx(expected, abs=1e-9, nan_ok=True)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_resampled_equals_hotcoco_on_the_drawn_pictures(seed: int) -> None:
    samples, predictions = make_random_set(seed, 9, 20, decimals=15)
    weights = draws(9, 2, seed)
    drawn = np.repeat(np.arange(9), weights[:, 0].astype(int))
    expected = coco_metrics([samples[i] for i in drawn], NAMES, [predictions[i] for i in drawn]).classes
    metrics = coco_metrics(samples, NAMES, predictions)
    for figures, matches in zip(expected, metrics.matches, strict=True):
        for name, value in figures_of(matches, weights).items():
            wanted = figures[name] if figures[name] > -1 else np.nan
            assert value[0] == pytest.approx(wanted, abs=1e-9, nan_ok=True)


def test_many_resamples_at_once_are_the_same_as_few() -> None:
    samples, predictions = make_random_set(5)
    metrics = coco_metrics(samples, NAMES, predictions)
    weights = draws(12, 600, 1)
    matches = metrics.matches[1]["all"]
    together = average_precision(matches, weights)
    assert together.shape == (10, 600)
    np.testing.assert_array_equal(together[:, 590:], average_precision(matches, weights[:, 590:]))


def test_draws_are_repeatable_and_whole_pictures() -> None:
    weights = draws(7, 50, 3)
    np.testing.assert_array_equal(weights, draws(7, 50, 3))
    assert (weights != draws(7, 50, 4)).any()
    assert (weights.sum(axis=0) == 7).all() and (weights == weights.astype(int)).all()


def test_interval_of_a_mean_covers_as_it_should() -> None:
    # The percentile interval of a mean of 40 draws is close to mean ± 1.96 standard errors.
    values = np.random.default_rng(0).normal(5, 2, 40)
    low, high = percentile_interval(values @ draws(40, 4000) / 40)
    error = 1.96 * values.std() / np.sqrt(40)
    assert (low, high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.08)


def test_no_value_no_interval() -> None:
    assert percentile_interval(np.full(5, np.nan)) is None
    assert set(SIZES) == {"all", "small", "medium", "large"}
