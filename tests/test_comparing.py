"""Comparing runs: which are trained, which not again, what is refused; with a training that only pretends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from icr import resumption, runs, training
from icr.comparing.arms import compare_runs
from icr.comparing.judging import predictions_of
from icr.comparing.seeds import COMPARISON, TABLE, cells, compare_seeds
from icr.data.formats import read
from icr.errors import InputError
from icr.metrics.stored import read_compressed, write_compressed
from icr.predictions import Predictions
from icr.relations import choose

PICTURES = 12
PLATE, CAR = (60, 40, 75, 46), (20, 10, 120, 80)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A YOLO data set of grey pictures, each with one plate on one car."""
    folder = tmp_path_factory.mktemp("plates")
    rows = [
        f"{kind} {(x1 + x2) / 320} {(y1 + y2) / 240} {(x2 - x1) / 160} {(y2 - y1) / 120}"
        for kind, (x1, y1, x2, y2) in enumerate((PLATE, CAR))
    ]
    for split, count in (("train", 2), ("val", 2), ("test", PICTURES)):
        for index in range(count):
            picture = folder / "images" / split / f"{split}{index}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (160, 120), 99).save(picture)
            label = folder / "labels" / split / f"{split}{index}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text("\n".join(rows))
    listed = "".join(f"{split}: images/{split}\n" for split in ("train", "val", "test"))
    relations = "relations: [{child: plate, parent: car}]\n"
    (folder / "data.yaml").write_text(f"{listed}names: [plate, car]\n{relations}")
    return folder / "data.yaml"


class Pretend:
    """Stands in for `icr.training.train`: leaves what a run leaves, finding plates by luck of the seed."""

    def __init__(self, gain: float = 0.3, broken: tuple[str, ...] = ()) -> None:
        self.gain, self.broken, self.asked = gain, broken, list[str]()

    def __call__(self, data: Path, *, relation=(), weight=None, out: Path, resume=False, say=print, **settings: Any):
        self.asked.append(f"{out.name}{' resumed' if resume else ''}")
        dataset = read(data)
        relations = choose(relation, dataset).relations
        asked = training.TrainSettings(data_yaml=out / "data.yaml", relations=relations, out=out, **settings)
        out.mkdir(parents=True, exist_ok=True)
        record = {**asked.record(), "data": str(data), "data_fingerprint": runs.fingerprint(dataset)}
        runs.write_json(out / runs.RECORD, {**record, "versions": {"torch": "2.15"}, "trained": False})
        if out.name in self.broken:
            raise RuntimeError("the GPU fell\noff the bus")
        chance = np.random.default_rng(settings["seed"])
        found = 0.4 + chance.normal(0, 0.02) + (self.gain if settings["icr"] else 0)
        (out / "results.csv").write_text("epoch,icr_factor,icr_containment\n1,1.5,0.8\n2,1.1,0.96\n")
        leave_predictions(out, dataset, found)
        runs.write_json(out / runs.METRICS, {"split": "test"})
        runs.write_json(out / runs.RECORD, {**record, "versions": {"torch": "2.15"}, "trained": True})


def leave_predictions(out: Path, dataset: Any, share: float) -> None:
    found = [
        Predictions(
            np.array([CAR, PLATE], float)[: 2 if place < share * PICTURES else 1],
            np.array([0.9, 0.8])[: 2 if place < share * PICTURES else 1],
            np.array([1, 0])[: 2 if place < share * PICTURES else 1],
        )
        for place in range(PICTURES)
    ]
    write_compressed(out / "predictions-test.json.gz", dataset, "test", found)


def compare(data: Path, out: Path, train: Pretend, seeds: int = 3, said: list[str] | None = None, **settings: Any):
    asked = {"icr": True, "epochs": 2, "imgsz": 64, "batch": 2, "device": "cpu", "overrides": {}} | settings
    del asked["icr"]
    return compare_seeds(
        data,
        model="yolo11n",
        seeds=range(seeds),
        out=out,
        resamples=50,
        train=train,
        say=(said if said is not None else []).append,
        **asked,
    )


def test_both_arms_of_a_seed_are_trained_together_and_judged(data: Path, tmp_path: Path) -> None:
    train, said = Pretend(), list[str]()
    outcome = compare(data, tmp_path / "out", train, said=said)
    assert train.asked == [f"seed{seed}-{arm}" for seed in range(3) for arm in ("baseline", "icr")]
    assert outcome.failures == ()
    row = outcome.comparison.rows[0]
    assert row.endpoint.key == "plate.AP50"
    assert row.mean == pytest.approx(0.3, abs=0.1)
    assert row.verdict.word in ("helps", "no difference shown")
    written = json.loads((tmp_path / "out" / COMPARISON).read_text())
    assert written == json.loads(json.dumps(outcome.record))
    assert written["settings"]["baseline"]["icr"] is False and written["settings"]["ICR"]["icr"] is True
    assert "plate AP50" in (tmp_path / "out" / TABLE).read_text()
    assert any("run 6 of 6: seed 2, ICR" in line and "left)" in line for line in said)
    assert any("mean factor 1.50 in the first epoch and 1.10 in the last" in each for each in written["remarks"])


def test_finished_runs_are_not_run_again_and_more_seeds_add_to_them(data: Path, tmp_path: Path) -> None:
    compare(data, tmp_path, Pretend())
    again, said = Pretend(), list[str]()
    outcome = compare(data, tmp_path, again, said=said)
    assert again.asked == []
    assert "6 of 6 runs are finished and stay as they are" in said
    assert not any("before" in remark for remark in outcome.comparison.remarks)
    more = Pretend()
    outcome = compare(data, tmp_path, more, seeds=4)
    assert more.asked == ["seed3-baseline", "seed3-icr"]
    assert any("from 3 pairs of runs before" in remark for remark in outcome.comparison.remarks)


def test_a_killed_run_goes_on_and_is_said_unless_it_did_so_exactly(data: Path, tmp_path: Path) -> None:
    compare(data, tmp_path, Pretend())
    killed = tmp_path / "seed1-icr"
    (killed / runs.METRICS).unlink()
    (killed / "weights").mkdir()
    (killed / "weights" / "last.pt").write_bytes(b"")
    runs.write_json(killed / runs.RECORD, {**runs.read_record(killed), "trained": False})
    again = Pretend()
    resumption.note(killed, 1, [])
    outcome = compare(data, tmp_path, again)
    assert again.asked == ["seed1-icr resumed"]
    assert not any("interrupted" in each for each in outcome.comparison.remarks)
    resumption.note(killed, 2, ["its batches were drawn anew"])
    remarks = compare(data, tmp_path, again).comparison.remarks
    assert any("interrupted and not gone on exactly" in each and "seed1-icr (its batches" in each for each in remarks)


def test_a_failed_run_is_reported_and_the_rest_goes_on(data: Path, tmp_path: Path) -> None:
    train = Pretend(broken=("seed1-icr",))
    outcome = compare(data, tmp_path, train)
    assert len(train.asked) == 6
    assert outcome.failures == ((tmp_path / "seed1-icr", "RuntimeError: the GPU fell off the bus"),)
    assert outcome.comparison.seeds == ((0, 0), (2, 2))
    mended = Pretend()
    assert compare(data, tmp_path, mended).failures == ()
    assert mended.asked == ["seed1-icr resumed"]


def test_nothing_is_compared_when_every_run_failed(data: Path, tmp_path: Path) -> None:
    outcome = compare(data, tmp_path, Pretend(broken=("seed0-icr", "seed1-baseline")), seeds=2)
    assert outcome.comparison is None
    assert outcome.record["verdict"] is None
    assert len(outcome.record["failures"]) == 2
    assert not (tmp_path / COMPARISON).exists()


def test_a_folder_of_other_settings_is_refused_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    compare(data, tmp_path, Pretend(), seeds=1)
    train = Pretend()
    with pytest.raises(InputError, match="seed0-baseline was made with other settings: epochs was 2 and is now 5"):
        compare(data, tmp_path, train, epochs=5)
    assert train.asked == []


def test_another_base_is_compared_with_itself_at_weight_zero() -> None:
    plain, giou = cells([0], Path("out")), cells([0], Path("out"), "giou")
    assert plain[0].settings == {"icr": False, "weight": None, "form": "product"}
    assert giou[0].settings == {"icr": True, "weight": 0.0, "form": "product"}
    assert giou[1].settings == {"icr": True}


def test_predictions_come_from_the_last_epoch_and_are_kept(data: Path, tmp_path: Path, monkeypatch) -> None:
    asked = []

    class Detector:
        names = ("car", "plate")

        def predict(self, images, *, imgsz=None, batch=16):
            asked.append((len(images), imgsz))
            for _ in images:
                yield Predictions(np.array([PLATE, CAR], float) + 0.1, np.array([0.7, 0.6]), np.array([1, 0]))

    monkeypatch.setattr("icr.detectors.load", lambda weights, device: asked.append(weights.name) or Detector())
    runs.write_json(tmp_path / runs.RECORD, {"imgsz": 64, "batch": 4})
    (tmp_path / "weights").mkdir()
    dataset = read(data)
    with pytest.raises(InputError, match=r"holds neither predictions-test.json.gz nor weights/last"):
        predictions_of(tmp_path, dataset, "test")
    (tmp_path / "weights" / "last.pt").write_bytes(b"")
    first = predictions_of(tmp_path, dataset, "test", say=lambda text: None)
    assert asked == ["last.pt", (PICTURES, 64)]
    assert first[0].labels.tolist() == [0, 1]
    second = predictions_of(tmp_path, dataset, "test")
    assert len(asked) == 2
    assert [each.boxes.tolist() for each in first] == [each.boxes.tolist() for each in second]


def test_stored_predictions_come_back_and_a_broken_file_is_named(data: Path, tmp_path: Path) -> None:
    dataset, path = read(data), tmp_path / "predictions-test.json.gz"
    leave_predictions(tmp_path, dataset, 0.5)
    bytes_before = path.read_bytes()
    leave_predictions(tmp_path, dataset, 0.5)
    assert path.read_bytes() == bytes_before
    found = read_compressed(path, dataset, "test")
    assert [len(each.scores) for each in found] == [2] * 6 + [1] * 6
    np.testing.assert_allclose(found[0].boxes, [CAR, PLATE])
    path.write_bytes(bytes_before[:40])
    with pytest.raises(InputError, match=r"predictions-test.json.gz cannot be read"):
        read_compressed(path, dataset, "test")


@pytest.fixture
def pairs(data: Path, tmp_path: Path) -> Path:
    compare(data, tmp_path, Pretend())
    return tmp_path


def judged(folder: Path, *names: str, **arguments: Any):
    return compare_runs([folder / name for name in names], resamples=50, say=lambda text: None, **arguments)


def test_runs_at_hand_are_sorted_into_arms_and_paired_by_seed(pairs: Path) -> None:
    names = [f"seed{seed}-{arm}" for seed in (2, 0, 1) for arm in ("baseline", "icr")]
    found = judged(pairs, *names)
    assert found.arms == ("baseline", "ICR")
    assert found.seeds == ((0, 0), (1, 1), (2, 2))
    assert found.rows[0].mean == pytest.approx(0.3, abs=0.1)
    turned = judged(pairs, *reversed(names))
    assert turned.arms == ("ICR", "baseline")
    assert turned.rows[0].mean == pytest.approx(-found.rows[0].mean)
    assert any(remark.startswith("ICR: base ciou, form product, λ 2.5") for remark in found.remarks)


def test_one_pair_tells_nothing_about_seeds(pairs: Path) -> None:
    found = judged(pairs, "seed0-baseline", "seed0-icr")
    assert found.rows[0].verdict.word == "cannot tell"
    assert found.rows[0].interval is not None
    assert any("one pair of runs" in each for each in found.as_table().splitlines())


def test_runs_of_two_seeds_are_said_to_be_unpaired(pairs: Path) -> None:
    found = judged(pairs, "seed0-baseline", "seed1-icr")
    assert "not paired: the runs have seeds 0 and 1" in found.remarks


def test_two_runs_of_one_arm_are_a_and_b(pairs: Path) -> None:
    found = judged(pairs, "seed0-icr", "seed1-icr")
    assert found.arms == ("A", "B")
    assert "A and B differ in: no setting at all" in found.remarks


def test_a_seed_that_one_arm_lacks_is_left_out_aloud(pairs: Path) -> None:
    found = judged(pairs, "seed0-baseline", "seed0-icr", "seed1-baseline", "seed1-icr", "seed2-icr")
    assert found.seeds == ((0, 0), (1, 1))
    assert any("only one arm has it: seed 2" in remark for remark in found.remarks)


def edit(run: Path, **changes: Any) -> None:
    runs.write_json(run / runs.RECORD, {**runs.read_record(run), **changes})


def test_what_differs_besides_is_said(pairs: Path) -> None:
    edit(pairs / "seed0-icr", epochs=9, base="giou", versions={"torch": "2.4"})
    told = " ".join(judged(pairs, "seed0-baseline", "seed0-icr").remarks)
    assert "it alone did not make the difference: epochs 2 / 9" in told
    assert "the baseline has the engine's own loss, not giou" in told
    assert "torch 2.15 / 2.4" in told


REFUSED = {
    "other data": ({"data_fingerprint": "f00"}, "different data"),
    "not finished": ({"trained": False}, "was not trained to its end"),
    "data moved": ({"data": "gone/data.yaml"}, "say where it is with --data"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_runs_that_cannot_be_compared_are_refused(pairs: Path, case: str) -> None:
    changes, told = REFUSED[case]
    edit(pairs / "seed0-baseline", **changes)
    with pytest.raises(InputError, match=told):
        judged(pairs, "seed0-baseline", "seed0-icr")


def test_moved_data_is_found_where_the_user_says(pairs: Path, data: Path) -> None:
    edit(pairs / "seed0-baseline", data="gone/data.yaml")
    assert judged(pairs, "seed0-baseline", "seed0-icr", data=data).images == PICTURES


def test_changed_data_is_refused(pairs: Path) -> None:
    for arm in ("baseline", "icr"):
        edit(pairs / f"seed0-{arm}", data_fingerprint="f00")
    with pytest.raises(InputError, match="has changed since"):
        judged(pairs, "seed0-baseline", "seed0-icr")


def test_other_refusals(pairs: Path) -> None:
    with pytest.raises(InputError, match="given twice"):
        judged(pairs, "seed0-icr", "seed0-icr")
    with pytest.raises(InputError, match="1 run given"):
        judged(pairs, "seed0-icr")
    with pytest.raises(InputError, match="is not a run"):
        judged(pairs, "seed0-icr", "seed9-icr")
    with pytest.raises(InputError, match="only one arm"):
        judged(pairs, "seed0-icr", "seed1-icr", "seed2-icr")
    runs.write_json(pairs / "seed0-icr" / runs.METRICS, {"split": "val"})
    with pytest.raises(InputError, match="different splits"):
        judged(pairs, "seed0-baseline", "seed0-icr")
    edit(pairs / "seed1-icr", epochs=7)
    with pytest.raises(InputError, match=r"3 arms by their settings, expected 2.*seed1-icr \(icr True, epochs 7\)"):
        judged(pairs, "seed2-baseline", "seed2-icr", "seed1-icr")
    edit(pairs / "seed2-icr", seed=1, epochs=7)
    with pytest.raises(InputError, match="have the same settings and seed 1"):
        judged(pairs, "seed2-baseline", "seed2-icr", "seed1-icr")
