"""The statistics of comparing, by simulation and by hand; then from predictions to a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icr.data.dataset import Sample
from icr.metrics.coco import Matches
from icr.metrics.compare import compare, endpoints, measure
from icr.metrics.comparison import Comparison
from icr.metrics.intervals import average_precision, draws
from icr.metrics.paired import common_variance, estimate, holm, p_difference, p_equivalence
from icr.metrics.verdict import FIXED, Claim, Rules, judge, need
from icr.predictions import Predictions
from icr.relations import ResolvedRelation

PICTURES = 60

# Standard deviations of the seeds' luck, of what all seeds share on these pictures, and of how the two meet; in points.
SCENARIOS = {
    "seeds alone": (1.0, 0.0, 0.0),
    "pictures as much as seeds": (1.0, 1.0, 0.0),
    "each seed its own pictures": (0.0, 0.0, 1.0),
    "all three": (1.0, 0.5, 1.0),
    "pictures mostly": (0.3, 1.0, 0.3),
}


def simulate(chance, trials, seeds, seed_sd, shared_sd, own_sd, true=0.0, rare=False):
    """Differences (trials, seeds) whose true mean is `true`, and their covariance over the pictures.

    A figure is a mean over pictures, so its covariance over resamples is that over pictures, divided by their number.
    """

    def effects(*shape):
        if rare:  # one picture in ten differs at all, as detections do
            return chance.choice([-1.0, 0.0, 1.0], size=shape, p=[0.05, 0.9, 0.05]) / 0.1**0.5
        return chance.standard_normal(shape)

    root = PICTURES**0.5
    shared = effects(trials, 1, PICTURES) * shared_sd * root
    own = effects(trials, seeds, PICTURES) * own_sd * root
    by_picture = true + shared + own + chance.normal(0, 1, (trials, seeds, 1)) * seed_sd
    differences = by_picture.mean(axis=-1)
    centred = by_picture - differences[..., None]
    return differences, np.einsum("tik,tjk->tij", centred, centred) / PICTURES**2


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("rare", [False, True])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_intervals_cover_what_they_say(scenario: str, rare: bool, seeds: int) -> None:
    chance = np.random.default_rng(seeds)
    differences, covariance = simulate(chance, 3000, seeds, *SCENARIOS[scenario], true=2.0, rare=rare)
    found = estimate(differences, covariance, PICTURES)
    covered = float(((found.low <= 2.0) & (found.high >= 2.0)).mean())
    assert 0.925 <= covered <= 0.975


def simulated_run(chance, difficulty: np.ndarray) -> Matches:
    """Two objects a picture, found by its difficulty; false alarms of lower scores, everywhere alike."""
    image = np.repeat(np.arange(len(difficulty)), 2)
    found = chance.random(len(image)) < 1 / (1 + np.exp(-difficulty[image]))
    alarm = chance.random(len(image)) < 0.4
    scores = np.concatenate([chance.normal(1, 1, len(image))[found], chance.normal(0, 1, len(image))[alarm]])
    order = np.argsort(-scores)
    hit = np.concatenate([np.ones(found.sum(), bool), np.zeros(alarm.sum(), bool)])[order][None]
    return Matches(np.concatenate([image[found], image[alarm]])[order], hit, ~hit, np.full(len(difficulty), 2))


@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_of_real_average_precision_cover_nearly_as_much(seeds: int) -> None:
    chance, pictures, estimates = np.random.default_rng(9), 40, []
    weights = np.column_stack([np.ones(pictures), draws(pictures, 100)])
    for _ in range(400):
        hard, tilt = chance.normal(0, 1, (2, pictures))
        before = [
            average_precision(simulated_run(chance, hard + chance.normal(0, 0.3)), weights)[0] for _ in range(seeds)
        ]
        gained = hard + tilt + 0.5
        after = [
            average_precision(simulated_run(chance, gained + chance.normal(0, 0.3)), weights)[0] for _ in range(seeds)
        ]
        differences = np.array(after) - np.array(before)
        estimates.append(estimate(differences[:, 0], np.cov(differences[:, 1:]), pictures))
    true = np.mean([each.mean for each in estimates])
    covered = np.mean([each.low <= true <= each.high for each in estimates])
    assert 0.90 <= covered <= 0.98


def test_plain_percentile_bootstrap_over_three_seeds_covers_far_less() -> None:
    chance = np.random.default_rng(0)
    seeds = chance.normal(2.0, 1.0, (3000, 3))
    resampled = seeds @ (draws(3, 500) / 3)
    low, high = np.quantile(resampled, [0.025, 0.975], axis=1)
    assert ((low <= 2.0) & (high >= 2.0)).mean() < 0.80


def test_adding_the_bootstrap_variance_of_the_mean_would_count_a_part_twice() -> None:
    chance = np.random.default_rng(0)
    differences, covariance = simulate(chance, 3000, 10, 0.0, 0.0, 1.0)
    twice = covariance.mean(axis=(1, 2)) + differences.var(axis=1, ddof=1) / 10
    found = estimate(differences, covariance, PICTURES)
    assert differences.mean(axis=1).var() == pytest.approx(0.1, rel=0.1)
    assert (found.seed_variance + found.image_variance).mean() == pytest.approx(0.1, rel=0.1)
    assert twice.mean() == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("shared_sd", [0.0, 0.2, 1.0])
def test_forty_null_claims_give_a_false_helps_in_at_most_five_percent_of_trials(seeds: int, shared_sd: float) -> None:
    chance, trials, claims = np.random.default_rng(7), 400, 40
    differences, covariance = simulate(chance, trials * claims, seeds, 1.0, shared_sd, 0.3)
    found = estimate(differences, covariance, PICTURES)
    corrected = holm(p_difference(found).reshape(trials, claims))
    helps = (corrected <= FIXED.alpha) & (found.mean.reshape(trials, claims) > 0)
    assert helps.any(axis=1).mean() <= 0.05


def test_satterthwaites_p_values_would_not_do_for_many_claims() -> None:
    from scipy.special import stdtr

    chance, trials, claims = np.random.default_rng(7), 400, 40
    differences, covariance = simulate(chance, trials * claims, 3, 1.0, 0.2, 0.3)
    found = estimate(differences, covariance, PICTURES)
    p = 2 * stdtr(found.df, -np.abs(found.mean) / np.sqrt(found.seed_variance + found.image_variance))
    helps = (holm(p.reshape(trials, claims)) <= FIXED.alpha) & (found.mean.reshape(trials, claims) > 0)
    assert helps.any(axis=1).mean() > 0.15


def test_words_of_null_claims_are_those_of_the_p_values() -> None:
    chance = np.random.default_rng(3)
    seen: dict[str, int] = {}
    for _ in range(40):
        differences, covariance = simulate(chance, 10, 5, 0.01, 0.005, 0.0)
        claims = [
            Claim(0.5, estimate(differences[each], covariance[each], PICTURES)) for each in range(len(differences))
        ]
        for verdict in judge(claims):
            seen[verdict.word] = seen.get(verdict.word, 0) + 1
            assert (verdict.word in ("helps", "hurts")) == (verdict.p <= FIXED.alpha)
    assert seen.get("helps", 0) + seen.get("hurts", 0) <= 4
    assert seen["cannot tell"] > 100


def test_a_large_difference_is_found_in_nearly_all_trials() -> None:
    chance = np.random.default_rng(1)
    differences, covariance = simulate(chance, 300, 5, 0.01, 0.005, 0.0, true=0.08)
    found = [
        judge([Claim(0.5, estimate(d, c, PICTURES))])[0].word for d, c in zip(differences, covariance, strict=True)
    ]
    assert found.count("helps") >= 290


def test_a_difference_of_the_margin_is_called_equivalent_in_at_most_five_percent() -> None:
    chance = np.random.default_rng(2)
    differences, covariance = simulate(chance, 3000, 5, 0.002, 0.002, 0.0, true=FIXED.margin)
    equivalent = p_equivalence(estimate(differences, covariance, PICTURES), FIXED.margin) <= FIXED.alpha
    assert 0.01 < equivalent.mean() <= 0.055


def test_hand_worked_interval_without_picture_error() -> None:
    # Mean 4, s = 2, n = 4: 4 ± t(3, 97.5 %) · 2 / √4 with t = 3.18245.
    found = estimate(np.array([2.0, 3.0, 5.0, 6.0]) * 1.0, np.zeros((4, 4)), pictures=100)
    s = (10 / 3) ** 0.5
    assert float(found.high) == pytest.approx(4 + 3.182446 * s / 2, abs=1e-5)
    assert float(found.low) == pytest.approx(4 - 3.182446 * s / 2, abs=1e-5)
    assert float(found.df) == pytest.approx(3)
    # The same by the p value: at the end of the interval, 2.5 % lie beyond.
    assert float(p_difference(estimate(np.array([2.0, 3.0, 5.0, 6.0]) - found.low, np.zeros((4, 4)), 100))) == (
        pytest.approx(0.05, abs=1e-6)
    )


def test_picture_error_does_not_shrink_with_seeds() -> None:
    few = estimate(np.array([0.0, 0.1, -0.1]), np.full((3, 3), 0.25), pictures=1000)
    many = estimate(np.tile([0.0, 0.1, -0.1], 20), np.full((60, 60), 0.25), pictures=1000)
    assert float(few.image_variance) == pytest.approx(float(many.image_variance)) == pytest.approx(0.25, rel=0.01)
    assert float(many.high) > 0.9


def test_noise_in_the_covariance_never_makes_a_negative_variance() -> None:
    assert float(common_variance(np.array([[1.0, -0.5], [-0.5, 1.0]]))) == 0.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_step_down_of_the_book(p: list[float]) -> None:
    expected, highest = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda each: p[each])):
        highest = max(highest, (len(p) - rank) * p[place])
        expected[place] = min(highest, 1.0)
    assert holm(np.array(p)).tolist() == pytest.approx(expected)


def scattered(*values: float, picture_sd: float = 0.0):
    seeds = len(values)
    return estimate(np.array(values), np.full((seeds, seeds), picture_sd**2), pictures=400)


CASES = {
    "a clear gain": (Claim(0.4, scattered(0.05, 0.06, 0.055, 0.05)), "helps", "p = "),
    "a clear loss": (Claim(0.4, scattered(-0.05, -0.06, -0.055, -0.05)), "hurts", "p = "),
    "a small sure gain": (Claim(0.4, scattered(0.004, 0.005, 0.0045, 0.004)), "helps", "by less than 1 point"),
    "a parent within the margin": (
        Claim(0.4, scattered(-0.004, -0.005, -0.0045, -0.004), unharmed=True),
        "equivalent",
        "1 point or more is ruled out",
    ),
    "a parent surely worse": (Claim(0.95, scattered(-0.05, -0.06, -0.055), unharmed=True), "hurts", "p = "),
    "nothing": (Claim(0.4, scattered(0.001, -0.001, 0.0, 0.0005)), "equivalent", "1 point or more is ruled out"),
    "wide": (Claim(0.4, scattered(0.05, -0.06, 0.04, -0.02)), "cannot tell", "too few runs"),
    "wide by the pictures": (
        Claim(0.4, scattered(0.001, -0.001, 0.0, picture_sd=0.05)),
        "cannot tell",
        "too few runs and test pictures",
    ),
    "leaning up": (Claim(0.4, scattered(0.03, 0.0, 0.02, 0.01)), "no difference shown", "a loss of 1 point"),
    "leaning down": (Claim(0.4, scattered(-0.03, 0.0, -0.02, -0.01)), "no difference shown", "a gain of 1 point"),
    "two pairs": (Claim(0.4, scattered(0.05, 0.06)), "cannot tell", "2 pairs of runs, and 3 are the least"),
    "one pair": (Claim(0.4, None), "cannot tell", "one pair of runs"),
    "a weak baseline": (Claim(0.049, scattered(0.05, 0.06, 0.055)), "cannot tell", "at 4.9 points, under 5"),
    "a baseline near perfection": (Claim(0.91, scattered(0.05, 0.06, 0.055)), "cannot tell", "over 90"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_word_has_its_reason(case: str) -> None:
    claim, word, reason = CASES[case]
    verdict = judge([claim])[0]
    assert verdict.word == word
    assert reason in verdict.reason


def test_more_claims_ask_for_more() -> None:
    clear, empty = Claim(0.4, scattered(0.02, 0.035, 0.03)), Claim(0.4, scattered(0.05, -0.06, 0.01))
    assert judge([clear])[0].word == "helps"
    among = judge([clear, *[empty] * 4])[0]
    assert among.word == "no difference shown"
    assert "5 claims are judged together" in among.reason
    assert among.need is not None


def test_need_is_a_range_that_a_simulated_continuation_meets() -> None:
    chance = np.random.default_rng(5)
    truly, inside = 0.02, 0
    for _ in range(100):
        found = estimate(chance.normal(0, truly, 5), np.zeros((5, 5)), PICTURES)
        lacking = need(found, claims=1)
        # 1.96 · 0.02 / √n = 0.01 at n = 16, so 12 more with t in place of the normal deviate.
        if lacking.fewest is not None and lacking.most is not None and lacking.fewest <= 12 <= lacking.most + 1:
            inside += 1
    assert inside >= 75


def test_need_says_when_only_more_pictures_can_help() -> None:
    found = estimate(np.array([0.001, -0.001, 0.0]), np.full((3, 3), 0.02**2), pictures=100)
    lacking = need(found, claims=1)
    assert lacking.fewest is None
    assert lacking.pictures == pytest.approx(2 * (1.984 * 0.02 / 0.01) ** 2, rel=0.03)
    assert "times as many test pictures" in lacking.told()


def test_rules_can_be_fixed_otherwise() -> None:
    claim = Claim(0.4, scattered(0.02, 0.021, 0.0205, 0.02), unharmed=True)
    assert judge([claim])[0].word == "helps"
    assert judge([claim], Rules(margin=0.03))[0].word == "equivalent"


PLATE, VEHICLE = 0, 1
RELATION = (ResolvedRelation(PLATE, (VEHICLE,), 2.5),)
NAMES = ["plate", "vehicle"]


def scene(place: int) -> Sample:
    boxes = np.array([[20.0, 20.0, 30.0, 25.0], [10.0, 10.0, 60.0, 50.0], [70.0, 20.0, 80.0, 25.0]])
    labels = np.array([PLATE, VEHICLE, PLATE])
    return Sample(Path(f"{place}.jpg"), 96, 64, boxes, labels, np.array([1, -1, -1]))


def detector(samples: list[Sample], missed: float, seed: int) -> list[Predictions]:
    """Finds every vehicle, and each plate but a share of them."""
    chance = np.random.default_rng(seed)
    found = []
    for sample in samples:
        kept = np.flatnonzero((sample.labels == VEHICLE) | (chance.random(len(sample.labels)) >= missed))
        scores = np.sort(chance.uniform(0.3, 1, len(kept)))[::-1]
        found.append(Predictions(sample.boxes[kept], scores, sample.labels[kept]))
    return found


def measured(samples: list[Sample], missed: float, seeds: range) -> list[dict]:
    return [measure(samples, NAMES, RELATION, detector(samples, missed, seed), resamples=200) for seed in seeds]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [scene(place) for place in range(80)]


def table(samples: list[Sample], before: list[dict], after: list[dict]) -> Comparison:
    rows, remarks = compare(before, after, endpoints(NAMES, RELATION))
    seeds = tuple((seed, seed) for seed in range(len(before)))
    return Comparison(("baseline", "ICR"), rows, seeds, "test", len(samples), "hotcoco", 200, FIXED, tuple(remarks))


def test_from_predictions_to_a_verdict(samples: list[Sample]) -> None:
    compared = table(samples, measured(samples, 0.5, range(4)), measured(samples, 0.2, range(10, 14)))
    rows = {row.endpoint.key: row for row in compared.rows}
    assert list(rows) == ["plate.AP50", "plate.AP_small", "plate.AP", "vehicle.AP", "pairs.recall"]
    assert rows["plate.AP50"].verdict.word == "helps"
    assert rows["plate.AP50"].interval[0] < 0.3 < rows["plate.AP50"].interval[1]
    assert rows["vehicle.AP"].verdict.word == "equivalent"
    assert rows["vehicle.AP"].mean == 0
    assert compared.headline.startswith("ICR against baseline, plate AP50: helps, +")
    assert compared.as_json()["verdict"] == "helps"
    told = compared.as_table()
    assert "plate AP50 *" in told and "helps" in told
    assert compared.as_markdown().count("\n| ") == 7


def test_the_same_runs_on_both_sides_differ_in_nothing(samples: list[Sample]) -> None:
    runs = measured(samples, 0.4, range(3))
    compared = table(samples, runs, runs)
    assert all(row.mean == 0 and row.interval == (0.0, 0.0) for row in compared.rows)
    assert {row.verdict.word for row in compared.rows} == {"equivalent"}


def test_one_pair_has_the_interval_of_the_pictures_alone(samples: list[Sample]) -> None:
    compared = table(samples, measured(samples, 0.5, range(1)), measured(samples, 0.2, range(1)))
    assert {row.verdict.word for row in compared.rows} == {"cannot tell"}
    row = compared.rows[0]
    assert row.estimate is None and row.interval[0] < row.mean < row.interval[1]
    assert "one pair of runs" in compared.as_table()
    assert "pictures drawn again alone" in compared.as_table()
    assert row.as_json()["p"] is None


def test_an_endpoint_without_objects_is_said_and_left_out() -> None:
    large = [
        Sample(
            Path(f"{place}.jpg"),
            400,
            400,
            np.array([[10.0, 10.0, 60.0, 60.0], [5.0, 5.0, 300.0, 300.0]]),
            np.array([PLATE, VEHICLE]),
            np.array([1, -1]),
        )
        for place in range(5)
    ]
    compared = table(large, measured(large, 0.5, range(3)), measured(large, 0.5, range(3)))
    assert "plate.AP_small" not in [row.endpoint.key for row in compared.rows]
    assert any("plate AP small has no value" in remark for remark in compared.remarks)
    assert any("fewer than 30 pictures" in remark for remark in compared.remarks)


def test_arms_of_different_length_are_refused(samples: list[Sample]) -> None:
    runs = measured(samples, 0.5, range(2))
    with pytest.raises(ValueError, match="2 runs against 1"):
        compare(runs, runs[:1], endpoints(NAMES, RELATION))


def test_the_example_of_the_page_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
    code = page.rpartition("```python\n")[2].partition("```")[0]
    *lines, last = code.rstrip().splitlines()
    names: dict = {}
    exec("\n".join(lines), names)
    expression, _, said = last.partition("# ")
    assert eval(expression, names) == said.strip("'")
