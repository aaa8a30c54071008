"""The arms: what each asks of a training, and what must be trained before it."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from icr import runs, training
from icr.bench.arms import ARMS, BASES, GAINS, find, trained
from icr.bench.grid import Cell
from icr.errors import InputError

CELL = Cell("scenes", "small", "ciou", "icr", 2.5, 0)


def of(arm: str, **others: object) -> Cell:
    return replace(CELL, arm=arm, **others)  # type: ignore[arg-type]


def icr_run(folder: Path, factors: list[float]) -> Path:
    rows = [f"{epoch + 1},1.5,12,0.9,{factor},0.7" for epoch, factor in enumerate(factors)]
    header = "epoch,time,train/icr_pairs,train/icr_containment,train/icr_factor,val/icr_factor"
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        ("baseline", {"form": "product", "weight": 0.0}),
        ("icr", {"form": "product", "weight": 2.5}),
        ("sum", {"form": "sum", "weight": 2.5}),
        ("step", {"form": "step", "weight": 2.5}),
        ("power", {"form": "power", "weight": 2.5}),
        ("detached", {"form": "detached", "weight": 2.5}),
        ("permuted", {"form": "permuted", "weight": 2.5}),
        ("pseudo-parent", {"form": "product", "weight": 2.5, "pseudo_parent": True}),
        ("gain-1.5", {"form": "product", "weight": 0.0, "box_gain": 1.5}),
    ],
)
def test_what_sets_an_arm_apart(arm: str, expected: dict[str, object]) -> None:
    settings = find(arm).settings(of(arm))
    assert settings == {"arm": arm, "base": "ciou", **expected}
    assert settings.keys() <= {each.name for each in fields(training.TrainSettings)} | {"weight"}
    training.check_settings(**settings)


def test_baseline_still_has_the_loss_so_that_containment_is_logged() -> None:
    assert "icr" not in ARMS["baseline"].settings(of("baseline")), "icr=False would leave Ultralytics' own columns"


def test_matched_takes_the_factor_of_each_epoch_from_the_icr_run(tmp_path: Path) -> None:
    settings = ARMS["matched"].settings(of("matched"), icr_run(tmp_path / "icr", [3.1, 1.8, 1.2]))
    assert settings["form"] == "matched" and settings["factors"] == (3.1, 1.8, 1.2)
    training.check_settings(**settings)
    asked = training.TrainSettings("a", tmp_path, (), tmp_path, arm="matched", factors=(3.1, 1.8))
    assert asked.record()["factors"] == [3.1, 1.8] and asked.record()["arm"] == "matched"


def test_matched_without_its_icr_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"takes its factors from scenes/small/ciou/icr-w2\.5/seed0"):
        ARMS["matched"].settings(of("matched"))
    (tmp_path / "results.csv").write_text("epoch,time\n1,2\n")
    with pytest.raises(InputError, match="no column icr_factor"):
        ARMS["matched"].settings(of("matched"), tmp_path)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"form": "matched"}, "--form matched weighs children by the mean factors of an ICR run"),
        ({"form": "product", "factors": (1.2,)}, "only matched uses them"),
        ({"form": "matched", "factors": (1.2, -1.0)}, "expected numbers of at least 0"),
        ({"form": "permutted"}, "did you mean 'permuted'"),
        ({"box_gain": 0.0}, "box_gain 0.0"),
        ({"pseudo_parent": True, "icr": False}, "pseudo_parent is a control of the ICR loss"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said) as error:
        training.check_settings(**settings)
    assert "\n" not in str(error.value)


def test_what_is_trained_for_a_grid() -> None:
    cells = trained([of("matched", seed=1), of("icr", seed=1), of("gain", weight=0.0), of("best-base", weight=0.0)])
    assert [cell.key.removeprefix("scenes/small/") for cell in cells] == [
        "ciou/icr-w2.5/seed1",
        "ciou/matched-w2.5/seed1",
        "ciou/baseline-w0/seed0",
        *(f"ciou/gain-{gain:g}-w0/seed0" for gain in GAINS),
        *(f"{base}/baseline-w0/seed0" for base in BASES if base != "ciou"),
    ]
    with pytest.raises(InputError, match="trains nothing of its own"):
        ARMS["gain"].settings(of("gain"))


def test_the_arm_is_recorded(tmp_path: Path) -> None:
    asked = training.TrainSettings("a", tmp_path, (), tmp_path, arm="pseudo-parent", pseudo_parent=True)
    runs.write_json(tmp_path / runs.RECORD, asked.record())
    record = runs.read_record(tmp_path)
    assert (record["arm"], record["pseudo_parent"], record["box_gain"]) == ("pseudo-parent", True, 1.0)
