"""What a report says of stores whose truth is known: effects, nulls, and stores in which something is missing."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fabricated_store import write_data, write_store

from icr.bench.analysis import Analysis, analyse, judge_all
from icr.bench.claims import judge_claims, unbeaten_weights
from icr.bench.contrasts import AGAINST_CONTROL, Contrast, Way, endpoints
from icr.bench.gathering import Material, Run
from icr.bench.grid import Cell, Source
from icr.bench.measuring import Figures
from icr.bench.sentences import headline, speak
from icr.bench.store import Stored, folder_of, write_cell
from icr.errors import InputError
from icr.metrics.intervals import draws
from icr.metrics.resampled import Measured

RESAMPLES = 60
LARGE = {"baseline": 0.2, "icr": 0.75, "matched": 0.2, "pseudo-parent": 0.25, "sum": 0.5}


def report_of(store: Path) -> Analysis:
    return analyse(store, resamples=RESAMPLES)


def word(analysis: Analysis, told: str, figure: str) -> str:
    return next(
        each.row.verdict.word
        for each in analysis.findings
        if each.contrast.told() == told and each.row.endpoint.name == figure
    )


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """ICR finds far more plates than every other arm; the cars are found alike."""
    folder = tmp_path_factory.mktemp("large")
    return report_of(write_store(folder, lambda cell: LARGE[cell.arm], arms=tuple(LARGE), seeds=5, pictures=60))


@pytest.fixture(scope="module")
def null(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """All arms find the same share of plates, in two seeds."""
    folder = tmp_path_factory.mktemp("null")
    arms = ("baseline", "icr", "matched", "pseudo-parent")
    return report_of(write_store(folder, lambda cell: 0.5, arms=arms, seeds=3))


def test_a_large_effect_helps_and_the_parents_are_unharmed(large: Analysis) -> None:
    for figure in ("plate AP50", "plate AP small", "plate AP medium", "plate AR", "plate recall under 512 px²"):
        assert word(large, "icr − baseline", figure) == "helps"
    assert word(large, "icr − baseline", "car AP") == "equivalent"
    assert word(large, "sum − baseline", "plate AP50") == "helps"
    found = next(each for each in large.findings if each.row.endpoint.name == "plate AP50")
    assert found.row.mean == pytest.approx(0.55, abs=0.08)
    assert found.row.interval is not None and found.row.interval[0] < found.row.mean < found.row.interval[1]
    assert found.seeds == (0, 1, 2, 3, 4)
    assert len(found.runs) == 10 and "scenes/small/ciou/icr-w2.5/seed4" in found.runs


def test_the_first_sentence_is_the_answer(large: Analysis) -> None:
    assert headline(large).startswith("ICR against the baseline, plate AP50: helps (+5")
    assert "5 pairs of runs" in headline(large)


def test_the_first_sentence_tells_why_an_interval_beside_0_shows_nothing(large: Analysis) -> None:
    found, others = large.findings[0], large.findings[1:]
    unsure = replace(found, row=replace(found.row, verdict=replace(found.row.verdict, word="no difference shown")))
    said = headline(replace(large, findings=(unsure, *others)))
    assert said.endswith(f"; not enough where {1 + len(others)} claims are judged together).")


def test_the_relation_matters_where_both_controls_are_beaten(large: Analysis, null: Analysis) -> None:
    assert (
        "is shown for plate AP50 and plate AP small: ICR beats both matched and pseudo-parent"
        in speak(large)[0].relation
    )
    assert speak(null)[0].relation.startswith("That the relation matters is not shown: plate AP50: against matched ")


def test_one_control_beaten_is_not_enough(tmp_path: Path) -> None:
    rates = LARGE | {"matched": 0.75}
    arms = ("baseline", "icr", "matched", "pseudo-parent")
    found = report_of(write_store(tmp_path, lambda cell: rates[cell.arm], arms=arms, seeds=5, pictures=60))
    assert word(found, "icr − pseudo-parent", "plate AP50") == "helps"
    said = speak(found)[0].relation
    assert "not shown" in said and "against pseudo-parent helps" in said


def test_what_was_not_run_is_said_not_to_be_known(tmp_path: Path) -> None:
    store = write_store(
        tmp_path,
        lambda cell: 0.5,
        arms=("baseline", "icr", "matched"),
        seeds=1,
        skip=lambda cell: cell.arm == "matched",
    )
    (said,) = speak(report_of(store))
    assert said.relation == "Whether the relation matters cannot be said: matched and pseudo-parent were not run."
    assert "no other base was run without ICR" in said.worth


def test_no_effect_is_never_called_one(null: Analysis) -> None:
    words = {each.row.verdict.word for each in null.findings if each.row.endpoint.name.startswith("plate AP50")}
    assert words <= {"cannot tell", "no difference shown", "equivalent"}


def test_too_few_runs_ask_for_more(tmp_path: Path) -> None:
    found = report_of(write_store(tmp_path, lambda cell: 0.5, seeds=2))
    verdict = found.findings[0].row.verdict
    assert (verdict.word, verdict.reason) == (
        "cannot tell",
        "2 pairs of runs, and 3 are the least from which anything is said",
    )
    assert verdict.need is not None and "more seed" in verdict.need.told()


def test_one_pair_has_an_interval_of_the_pictures_alone(tmp_path: Path) -> None:
    found = report_of(write_store(tmp_path, lambda cell: 0.4 + 0.2 * (cell.arm == "icr"), seeds=1))
    row = found.findings[0].row
    assert row.estimate is None and row.interval is not None and row.verdict.word == "cannot tell"
    assert "1 pair of runs" in headline(found)


def test_icr_must_beat_the_best_plain_base(tmp_path: Path) -> None:
    plain = {"ciou": 0.2, "giou": 0.8}
    store = write_store(
        tmp_path,
        lambda cell: plain[cell.base] if cell.arm == "baseline" else 0.5,
        bases=("ciou", "giou"),
        seeds=4,
        pictures=60,
    )
    found = report_of(store)
    assert found.choices.bases == {("scenes", "small"): "giou"}
    assert word(found, "icr − baseline", "plate AP50") == "helps"
    assert word(found, "icr − baseline of giou", "plate AP50") == "hurts"
    ciou = next(said for said in speak(found) if said.row.base == "ciou")
    assert ciou.worth.startswith("That it is worth having is not shown: against the best plain base, giou:")


def test_the_best_gain_is_chosen_on_validation(tmp_path: Path) -> None:
    rates = {"baseline": 0.3, "gain-1.5": 0.5, "gain-2.5": 0.4, "icr": 0.45}
    found = report_of(write_store(tmp_path, lambda cell: rates[cell.arm], arms=tuple(rates), seeds=3))
    (control,) = {each.contrast.before.arm for each in found.findings if each.contrast.kind == AGAINST_CONTROL}
    assert control == "gain-1.5"


def test_weights_that_are_beaten_are_left_out(tmp_path: Path) -> None:
    rates = {0.5: 0.15, 2.5: 0.6, 3.0: 0.6}
    store = write_store(tmp_path, lambda cell: rates.get(cell.weight, 0.1), weights=tuple(rates), seeds=5, pictures=60)
    found = report_of(store)
    assert unbeaten_weights(found, found.rows[0]) == [2.5, 3.0]
    claim = judge_claims(found, boxes=lambda base: [])[6]
    assert [line.what for line in claim.lines] == ["plate AP50, λ 3 − λ 2.5"]
    assert "not beaten are λ 2.5, 3" in claim.note


def test_label_noise_is_a_difference_of_differences(tmp_path: Path) -> None:
    synth = {"preset": "close", "train": 1, "val": 3, "test": 40}
    data = {"clean": Source(synth=synth), "noisy": Source(synth={**synth, "label_noise": 0.3})}
    rates = {("clean", "baseline"): 0.2, ("clean", "icr"): 0.8, ("noisy", "baseline"): 0.2, ("noisy", "icr"): 0.25}
    found = report_of(write_store(tmp_path, lambda cell: rates[cell.data, cell.arm], data=data, seeds=4))
    row = next(each.row for each in found.findings if each.contrast.kind == "noise")
    assert row.mean == pytest.approx(-0.55, abs=0.12)
    claim = judge_claims(found, boxes=lambda base: [])[10]
    assert claim.word == "hurts" and len(claim.lines[0].runs) == 16


def test_an_empty_store_says_that_nothing_can_be_said(tmp_path: Path) -> None:
    found = report_of(write_store(tmp_path, lambda cell: 0.5, skip=lambda cell: True))
    assert found.findings == () and found.finished == 0
    assert headline(found).startswith("Nothing can be said yet: of 0 runs")
    assert [each.word for each in judge_claims(found, boxes=lambda base: [])] == ["not measured here"] * 12


def test_one_arm_alone_is_measured_but_not_judged(tmp_path: Path) -> None:
    found = report_of(write_store(tmp_path, lambda cell: 0.5, seeds=2, skip=lambda cell: cell.arm == "icr"))
    assert found.finished == 2 and found.findings == ()
    assert "no seed in common" in speak(found)[0].effect[0]


def test_only_seeds_that_both_arms_have_are_paired(tmp_path: Path) -> None:
    store = write_store(tmp_path, lambda cell: 0.5, seeds=4, skip=lambda cell: cell.arm == "icr" and cell.seed == 2)
    assert report_of(store).findings[0].seeds == (0, 1, 3)


def test_what_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    store = write_store(tmp_path, lambda cell: 0.5, seeds=4)
    cells = [Cell("scenes", "small", "ciou", "icr", 2.5, seed) for seed in range(4)]
    folder_of(store, cells[0]).joinpath("predictions-test.json.gz").unlink()
    folder_of(store, cells[1]).joinpath("predictions-test.json.gz").write_bytes(gzip.compress(b"no JSON"))
    folder_of(store, cells[2]).joinpath("curve.csv").write_text("epoch,class,AP,AP50\n1,plate,much,more\n")
    folder_of(store, cells[3]).joinpath("results.csv").unlink()
    write_cell(
        folder_of(store, Cell("scenes", "small", "ciou", "icr", 2.5, 9)), cells[0], "failed", error="out of memory"
    )
    found = report_of(store)
    assert found.finished == 6
    assert sum(remark.startswith("left out: scenes/small/ciou/icr-w2.5/seed") for remark in found.remarks) == 2
    assert any("curve.csv or results.csv cannot be read" in remark for remark in found.remarks)
    assert found.findings[0].seeds == (2, 3)


def test_data_that_is_gone_leaves_every_run_out(tmp_path: Path) -> None:
    store = write_store(tmp_path, lambda cell: 0.5, seeds=1)
    (tmp_path / "scenes" / "data.yaml").unlink()
    found = report_of(store)
    assert found.finished == 0 and len(found.remarks) == 2


def test_a_folder_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no grid\.json"):
        analyse(tmp_path)


def test_forty_null_claims_give_a_false_helps_in_at_most_five_percent_of_reports() -> None:
    """Through the report's own pairing and correction: pictures that favour an arm by chance, seeds that scatter."""
    generator, pictures, seeds, trials = np.random.default_rng(11), 40, 3, 100
    names = tuple(f"thing{place}" for place in range(20))
    material = Material("d", "d", "test", pictures, pictures, names, (), {})
    weights = draws(pictures, 40) / pictures
    ways = [Way("d", "m", "ciou", arm, weight) for arm, weight in (("matched", 2.5), ("icr", 2.5))]
    contrast = Contrast(AGAINST_CONTROL, ways[1], ways[0])
    asked = [(contrast, endpoint) for endpoint in endpoints(contrast, names, ())]
    assert len(asked) == 40
    false = 0
    for _ in range(trials):
        keys = [endpoint.key for _, endpoint in asked]
        chance = generator.normal(0, 0.3, (2, len(keys), pictures))
        runs: dict[Way, dict[int, Run]] = {}
        for place, way in enumerate(ways):
            for seed in range(seeds):
                luck = generator.normal(0, 0.03, (len(keys), 1)) + generator.normal(0, 0.1, (len(keys), pictures))
                scores = 0.5 + chance[place] + luck
                measured = {
                    key: Measured(float(row.mean()), row @ weights, pictures)
                    for key, row in zip(keys, scores, strict=True)
                }
                cell = Cell("d", "m", "ciou", way.arm, way.weight, seed)
                stored = Stored(cell, Path(), {}, 1.0, "")
                runs.setdefault(way, {})[seed] = Run(stored, Figures(measured, {}, ""), [], [])
        found = judge_all(asked, runs, {"d": material}, 40, [])
        false += any(each.row.verdict.word == "helps" for each in found)
    # Were the true rate 5 %, more than 11 of 100 would come up in less than one of a hundred such tests.
    assert false <= 11


def test_runs_on_sets_with_other_seeds_are_measured_on_the_same_pictures(tmp_path: Path) -> None:
    path = write_data(tmp_path / "scenes", pictures=5)
    data = {"scenes": Source(path=path, relations=("plate:car",))}
    found = report_of(write_store(tmp_path, lambda cell: 0.5, data=data, seeds=1))
    assert found.materials["scenes"].objects == {"plate": 15, "car": 5}
    assert any("rests on fewer than 30 pictures" in remark for remark in found.remarks)
