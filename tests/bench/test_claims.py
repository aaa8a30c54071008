"""The paper's claims, read from its own file, each with a verdict that says what it rests on."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from fabricated_store import write_store

from icr.bench import grid, paper
from icr.bench.analysis import Analysis, analyse
from icr.bench.claims import NOT_MEASURED, ClaimResult, judge_claims
from icr.bench.lab_claim import BoxFigure, try_boxes

BOXES = (
    BoxFigure("steps", 170.0, 120.0, -55.0, -45.0, lower_is_better=True),
    BoxFigure("turning", 0.05, 0.15, 0.08, 0.12, lower_is_better=True),
    BoxFigure("share", 0.20, 0.21, -0.01, 0.03, lower_is_better=False),
)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    rates = {"baseline": 0.2, "icr": 0.7}
    store = write_store(
        tmp_path_factory.mktemp("claims"), lambda cell: rates[cell.arm], seeds=4, bases=("ciou", "giou"), pictures=50
    )
    return analyse(store, resamples=40)


@pytest.fixture(scope="module")
def claims(analysis: Analysis) -> dict[int, ClaimResult]:
    return {each.paper.number: each for each in judge_claims(analysis, boxes=lambda base: BOXES)}


def test_the_claims_are_those_of_the_paper() -> None:
    found = paper.claims()
    assert [each.number for each in found] == list(range(1, 13))
    text = Path(paper.__file__).parent.parent.joinpath("paper", "paper.md").read_text(encoding="utf-8")
    assert all(each.claim in text and each.figure[:20] in text for each in found)


def test_the_presets_that_would_measure_a_claim_exist(tmp_path: Path) -> None:
    empty = analyse(write_store(tmp_path, lambda cell: 0.5, skip=lambda cell: True))
    told = [each.note for each in judge_claims(empty, boxes=lambda base: [])]
    named = {name for note in told for name in re.findall(r"icr bench run (\w+)", note)}
    assert named and named <= set(grid.presets())


@pytest.mark.parametrize(
    ("number", "figure"),
    [
        (1, "plate AP50"),
        (2, "plate AP small"),
        (3, "plate AP medium"),
        (4, "plate AR"),
        (8, "plate recall under 512 px²"),
    ],
)
def test_a_claim_rests_on_icr_against_the_baseline(claims: dict[int, ClaimResult], number: int, figure: str) -> None:
    claim = claims[number]
    assert claim.word == "helps"
    assert [line.what for line in claim.lines] == [f"{figure}, icr − baseline"] * 2
    assert [line.where for line in claim.lines] == ["scenes · small · ciou", "scenes · small · giou"]
    assert all(re.fullmatch(r"\d+\.\d → \d+\.\d", line.ours) for line in claim.lines)
    assert all(re.fullmatch(r"\+\d+\.\d \[\+\d+\.\d, \+\d+\.\d\]", line.difference) for line in claim.lines)
    assert all(len(line.runs) == 8 for line in claim.lines)


def test_parents_are_unharmed_by_equivalence_alone(claims: dict[int, ClaimResult]) -> None:
    assert claims[5].word == "equivalent"
    assert {line.what for line in claims[5].lines} == {"car AP, icr − baseline"}


def test_every_base_is_told_and_the_best_plain_one_held_against(claims: dict[int, ClaimResult]) -> None:
    assert len(claims[6].lines) == 3
    assert [line.what for line in claims[6].lines][2].endswith(("baseline of giou", "baseline of ciou"))


def test_one_base_says_nothing_of_the_others(analysis: Analysis) -> None:
    alone = replace(analysis, runs={way: seeds for way, seeds in analysis.runs.items() if way.base == "ciou"})
    claim = judge_claims(alone, boxes=lambda base: [])[5]
    assert (claim.word, claim.lines) == (NOT_MEASURED, ())
    assert claim.note.startswith("only ciou was run; `icr bench run table4` would measure it")


def test_learning_is_judged_by_the_curves(claims: dict[int, ClaimResult]) -> None:
    # AP is 0.6 of the rate, rising in three equal steps: its mean over the epochs is 0.4 of the rate.
    assert [line.ours for line in claims[9].lines] == ["8.0 → 28.0"] * 2


def test_a_far_box_is_judged_figure_by_figure(claims: dict[int, ClaimResult]) -> None:
    assert [line.word for line in claims[10].lines[:3]] == ["helps", "hurts", "no difference shown"]
    assert claims[10].lines[0].difference == "−50 [−55, −45]"
    assert claims[10].word == "helps in 2 of 6, hurts in 2, no difference shown in 2"


def test_real_boxes_arrive_sooner_with_icr() -> None:
    share, steps, turning = try_boxes("ciou", starts=300)
    assert share.low > 0 and steps.high < 0
    assert 0 <= turning.before <= 1 and turning.low < turning.difference < turning.high


def test_the_cost_is_a_ratio_of_undisturbed_runs(analysis: Analysis, claims: dict[int, ClaimResult]) -> None:
    assert all(re.match(r"× \d\.\d\d \[", line.difference) for line in claims[12].lines)
    disturbed = {
        way: {seed: replace(run, stored=replace(run.stored, interrupted="restarted")) for seed, run in seeds.items()}
        for way, seeds in analysis.runs.items()
    }
    claim = judge_claims(replace(analysis, runs=disturbed), boxes=lambda base: [])[11]
    assert claim.word == NOT_MEASURED and claim.note.startswith("no pair of undisturbed runs")


def test_times_within_the_margin_are_equivalent(analysis: Analysis) -> None:
    def timed(factor: float) -> Analysis:
        slower = {
            way: {
                seed: replace(
                    run, stored=replace(run.stored, seconds=(100 + seed / 9) * (factor if way.arm == "icr" else 1))
                )
                for seed, run in seeds.items()
            }
            for way, seeds in analysis.runs.items()
        }
        return replace(analysis, runs=slower)

    words = [judge_claims(timed(factor), boxes=lambda base: [])[11].word for factor in (1.004, 1.2)]
    assert words == ["equivalent", "hurts"]
