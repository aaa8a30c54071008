"""Running grids: which cells, with what, what is not run again, what is refused; with a training that only pretends."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pretended_training
import pytest
from pretended_training import FAULTS, INEXACT, TRAIN
from real_grid import TRAIN_SETTINGS, write_grid
from small_grids import SCENES, small_grid

from icr import resumption, runs
from icr.bench import store
from icr.bench.analysis import analyse
from icr.bench.grid import Cell, Grid
from icr.bench.listing import known_grids, stores_in
from icr.bench.opening import locked
from icr.bench.run_figures import draw_areas
from icr.bench.runner import Outcome, run
from icr.cli.commands import run as command
from icr.data.formats import read
from icr.data.synth import generate
from icr.errors import InputError
from icr.metrics.stored import read_compressed

pytestmark = pytest.mark.usefixtures("without_engine")


class Asked:
    """Trains inline, and remembers what was asked."""

    def __init__(self) -> None:
        self.cells: list[str] = []
        self.settings: list[dict[str, Any]] = []

    def __call__(self, data: Path, **settings: Any) -> None:
        self.cells.append(f"{settings['arm']} {settings['weight']:g} seed{settings['seed']}")
        self.settings.append({**settings, "data": data})
        pretended_training.train(data, **settings)


def go(grid: Grid, folder: Path, train: Any = None, said: list[str] | None = None, **more: Any) -> Outcome:
    return run(grid, folder, train=train or Asked(), say=(said if said is not None else []).append, **more)


def fault(monkeypatch: pytest.MonkeyPatch, **faults: str) -> None:
    monkeypatch.setenv(FAULTS, json.dumps({key.replace("_", "/"): value for key, value in faults.items()}))


def test_cells_are_trained_in_order_each_in_its_folder(tmp_path: Path) -> None:
    train, said = Asked(), list[str]()
    outcome = go(small_grid(arms=["baseline", "icr", "matched", "pseudo-parent"]), tmp_path / "s", train, said)
    assert train.cells == [
        f"{arm} seed{seed}" for seed in (0, 1) for arm in ("baseline 0", "icr 2.5", "matched 2.5", "pseudo-parent 2.5")
    ]
    assert (outcome.cells, outcome.finished, outcome.ran, outcome.failures, outcome.waiting) == (8, 8, 8, (), ())
    stored = store.finished(tmp_path / "s")
    assert [each.cell.arm for each in stored][:2] == ["baseline", "icr"]
    assert all((each.folder / "predictions-test.json.gz").is_file() for each in stored)
    assert {each.interrupted for each in stored} == {""}
    assert store.curve(stored[0])[0].name == "plate"
    assert store.relational_log(stored[1])[-1] == pytest.approx((2, 8, 0.9, 1.25))
    assert any("about" in line and "left" in line for line in said)
    assert not list((tmp_path / "s" / "running").iterdir())


def test_an_arm_gets_what_sets_it_apart_and_what_it_needs(tmp_path: Path) -> None:
    train = Asked()
    go(small_grid(arms=["matched", "pseudo-parent"], seeds=1), tmp_path, train)
    assert train.cells == ["icr 2.5 seed0", "matched 2.5 seed0", "pseudo-parent 2.5 seed0"]
    matched, pseudo = train.settings[1:]
    assert matched["factors"] == (1.5, 1.25)
    assert pseudo["pseudo_parent"] is True
    assert (pseudo["epochs"], pseudo["imgsz"], pseudo["model"], pseudo["device"]) == (2, 64, "yolo11n", "cpu")


def test_each_seed_draws_its_own_training_pictures_and_shares_the_others(tmp_path: Path) -> None:
    train = Asked()
    go(small_grid(arms=["baseline", "icr"]), tmp_path, train)
    assert train.settings[0]["data"] == train.settings[1]["data"] != train.settings[2]["data"]
    first, second = (read(train.settings[place]["data"]) for place in (0, 2))
    pictures = [
        {split: [sample.image.read_bytes() for sample in samples] for split, samples in each.splits.items()}
        for each in (first, second)
    ]
    assert pictures[0]["test"] == pictures[1]["test"] and pictures[0]["val"] == pictures[1]["val"]
    assert not set(pictures[0]["train"]) & set(pictures[1]["train"])
    assert {split: len(each) for split, each in pictures[0].items()} == {"train": 3, "val": 2, "test": 4}
    assert first.relations and not [each for each in first.findings if each.severity == "error"]
    assert store.dataset_of(tmp_path, Cell("scenes", "yolo11n", "ciou", "icr", 2.5, 1)).source == second.source


def test_finished_cells_stay_and_more_seeds_and_arms_add_to_them(tmp_path: Path) -> None:
    go(small_grid(), tmp_path)
    again, said = Asked(), list[str]()
    assert go(small_grid(), tmp_path, again, said).finished == 4
    assert again.cells == []
    assert "4 of 4 cells are finished and stay as they are" in said
    more = Asked()
    outcome = go(small_grid(seeds=3, arms=["baseline", "icr", "sum"]), tmp_path, more)
    assert more.cells == ["sum 2.5 seed0", "sum 2.5 seed1", "baseline 0 seed2", "icr 2.5 seed2", "sum 2.5 seed2"]
    assert (outcome.finished, outcome.ran) == (9, 5)
    go(small_grid(seeds=1), tmp_path)
    assert (store.grid_of(tmp_path).seeds, store.grid_of(tmp_path).arms) == (3, ("baseline", "icr", "sum"))
    assert len(store.finished(tmp_path)) == 9


def test_a_failed_cell_is_told_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch, icr_seed0="raise")
    train, said = Asked(), list[str]()
    outcome = go(small_grid(arms=["baseline", "icr", "matched"]), tmp_path, train, said)
    pair = ["baseline 0", "icr 2.5"]
    assert train.cells == [f"{arm} seed{seed}" for seed in (0, 1) for arm in pair] + ["matched 2.5 seed1"]
    assert [(cell.arm, cell.seed, error) for cell, error in outcome.failures] == [
        ("icr", 0, "RuntimeError: the GPU fell off the bus")
    ]
    assert [(cell.arm, cell.seed) for cell in outcome.waiting] == [("matched", 0)]
    assert any("what they need failed" in line for line in said)
    assert store.failed(tmp_path) == list(outcome.failures)
    told = stores_in(tmp_path)[0]
    assert (told["finished"], told["failed"], told["waiting"]) == (4, 1, 1)
    fault(monkeypatch)
    mended = Asked()
    assert go(small_grid(arms=["baseline", "icr", "matched"]), tmp_path, mended).finished == 6
    assert mended.cells == ["icr 2.5 seed0", "matched 2.5 seed0"]
    assert store.failed(tmp_path) == []


def test_a_process_that_dies_takes_nothing_else_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch, baseline_seed0="kill")
    outcome = go(small_grid(seeds=1), tmp_path, TRAIN, devices=["cpu", "cpu"])
    assert [(cell.arm, error) for cell, error in outcome.failures] == [
        ("baseline", "its process was ended by SIGKILL (the system ends processes so when memory runs out)")
    ]
    assert [each.cell.arm for each in store.finished(tmp_path)] == ["icr"]
    fault(monkeypatch)
    go(small_grid(seeds=1), tmp_path, TRAIN)
    first, second = store.finished(tmp_path)
    assert (first.interrupted, second.interrupted) == ("restarted", "")
    assert (first.folder / store.LOG).is_file()


def test_a_cell_killed_while_it_was_judged_is_not_trained_again(tmp_path: Path) -> None:
    go(small_grid(seeds=1), tmp_path)
    killed = store.finished(tmp_path)[1].folder
    for name in (store.CELL, runs.METRICS):
        (killed / name).unlink()
    before = (killed / "results.csv").stat().st_mtime_ns
    assert go(small_grid(seeds=1), tmp_path).ran == 1
    assert (killed / "results.csv").stat().st_mtime_ns == before
    assert (killed / runs.METRICS).is_file()


def test_a_killed_cell_goes_on_where_its_engine_can_do_so_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("icr.bench.runner.engine", lambda name: SimpleNamespace(continues_exactly=lambda run: True))
    fault(monkeypatch, icr_seed0="kill")
    grid = small_grid(arms=["icr"], seeds=1)
    for folder in ("exactly", "not"):
        assert len(go(grid, tmp_path / folder, TRAIN).failures) == 1
    fault(monkeypatch)
    go(grid, tmp_path / "exactly", TRAIN)
    monkeypatch.setenv(INEXACT, "1")
    go(grid, tmp_path / "not", TRAIN)
    exactly, restarted = (store.finished(tmp_path / folder)[0] for folder in ("exactly", "not"))
    assert (exactly.interrupted, restarted.interrupted) == ("continued", "restarted")
    assert resumption.resumed(exactly.folder) and not resumption.resumed(restarted.folder)


CHANGED = {
    "another training": ({"train": {"imgsz": 64, "epochs": 3, "batch": 2, "workers": 0}}, "epochs was 2 and is now 3"),
    "one model's": ({"train_for": {"yolo11n": {"batch": 4}}}, "model yolo11n: batch was 2 and is now 4"),
    "other scenes": ({"data": {"scenes": {"synth": {**SCENES, "test": 9}}}}, "data scenes: test was 4 and is now 9"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_store_of_other_settings_is_refused_before_anything_is_trained(tmp_path: Path, case: str) -> None:
    entries, told = CHANGED[case]
    go(small_grid(seeds=1), tmp_path)
    train = Asked()
    with pytest.raises(InputError, match=told):
        go(small_grid(**{"seeds": 2, **entries}), tmp_path, train)
    assert train.cells == []


UNUSABLE = {
    "arm": ({"arms": ["icr", "matcht"]}, "unknown arm 'matcht'"),
    "base": ({"bases": ["cuio"]}, "did you mean 'ciou'"),
    "model": ({"models": ["yolo11q"]}, "no detector has that name"),
    "scenes": ({"data": {"a": {"synth": {"preset": "svmpl"}}}}, "did you mean 'svmlp'"),
    "a setting of scenes": ({"data": {"a": {"synth": {"preset": "close", "settings": {"lure": 1}}}}}, "'lures'"),
    "size": ({"train": {"imgsz": 65}}, "multiple of 32"),
    "path": ({"data": {"a": "nowhere"}}, "does not exist"),
    "no path": ({"data": {"a": {"get": "from its authors"}}}, r"give --data a=PATH \(from its authors\)"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_every_entry_is_tried_before_anything_is_trained(tmp_path: Path, case: str) -> None:
    entries, told = UNUSABLE[case]
    with pytest.raises(InputError, match=told):
        go(small_grid(**entries), tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_data_set_not_at_hand_is_left_out_aloud(tmp_path: Path) -> None:
    said = list[str]()
    grid = small_grid(data={"scenes": {"synth": SCENES}, "crpd": {"get": "from its authors"}}, seeds=1)
    assert go(grid, tmp_path, said=said).cells == 2
    assert said[0] == "left out, for its data is not at hand: crpd; give --data crpd=PATH (from its authors)"


def test_data_of_ones_own_is_used_where_it_lies_and_must_stay_as_it_was(tmp_path: Path) -> None:
    generate(tmp_path / "own", counts={"train": 2, "val": 2, "test": 2}, close=True, size=(160, 120), workers=1)
    grid = small_grid(data={"own": str(tmp_path / "own")})
    train = Asked()
    go(grid, tmp_path / "s", train)
    assert {each["data"] for each in train.settings} == {tmp_path / "own"}
    label = next((tmp_path / "own" / "labels" / "train").iterdir())
    label.write_text("")
    with pytest.raises(InputError, match=r"rests on other data than own is now"):
        go(grid, tmp_path / "s")


def test_the_hours_are_kept_and_what_is_left_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(small_grid(seeds=1), tmp_path)
    for each in store.finished(tmp_path):
        record = json.loads((each.folder / store.CELL).read_text())
        runs.write_json(each.folder / store.CELL, {**record, "seconds": 1800.0})
    train, said = Asked(), list[str]()
    outcome = go(small_grid(seeds=3), tmp_path, train, said, hours=0.4)
    assert train.cells == [] and len(outcome.waiting) == 4
    assert said[-1].startswith("no time is left for 4 of 6 cells, about 2.0 h: scenes/yolo11n/ciou/baseline-w0/seed1")
    outcome = go(small_grid(seeds=3), tmp_path, train, hours=0.6)
    assert len(train.cells) == 4 and outcome.waiting == ()


def test_two_runs_do_not_work_in_one_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icr.bench.opening._PATIENCE", 0.3)
    with (
        locked(tmp_path, lambda text: None),
        pytest.raises(InputError, match="another icr bench run works in"),
    ):
        go(small_grid(), tmp_path)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(InputError, match="is no store of a grid"):
        go(small_grid(), tmp_path)
    with pytest.raises(InputError, match=r"holds no grid\.json"):
        store.grid_of(tmp_path)


def test_the_command_ends_with_1_when_a_cell_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("icr.bench.runner.run", partial(run, train=TRAIN))
    file = tmp_path / "small.yaml"
    runs.write_json(file, small_grid(seeds=1).record())  # JSON is YAML
    asked = ["bench", "run", str(file), "--out", str(tmp_path / "s"), "--device", "cpu", "--json"]
    fault(monkeypatch, icr_seed0="raise")
    assert command(asked) == 1
    told = json.loads(capfd.readouterr().out)
    assert (told["finished"], told["failed"][0]["error"]) == (1, "RuntimeError: the GPU fell off the bus")
    fault(monkeypatch)
    assert command(asked[:-1]) == 0
    assert "2 of 2 cells are finished" in capfd.readouterr().out
    assert command(["bench", "list", str(tmp_path), "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["stores"][0]["finished"] == 2
    assert {each["name"] for each in told["presets"]} == {each["name"] for each in known_grids()}
    assert command(["bench", "run", "quik"]) == 2
    assert command(["bench", "run", str(file), "--device", "cpu", "--devices", "0"]) == 2
    assert command(["bench", "run", str(file), "--hours", "0"]) == 2


class _KilledError(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def test_a_store_may_be_moved_while_nobody_works_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ultralytics")
    from icr.bench.grid import load
    from icr.training import train
    from icr.ultralytics import state

    monkeypatch.undo()  # the engine itself
    write, writes = state.write, list[Path]()

    def write_thrice(path: Path, content: Any) -> None:
        write(path, content)
        writes.append(path)
        if len(writes) == 3:
            raise _KilledError

    grid = load(write_grid(tmp_path, train={**TRAIN_SETTINGS, "epochs": 2}))
    monkeypatch.setattr(state, "write", write_thrice)
    with pytest.raises(_KilledError):
        run(grid, tmp_path / "before", train=train)
    baseline, icr = (writes[place].parents[1].relative_to(tmp_path / "before") for place in (0, 2))
    for name in (store.CELL, runs.METRICS, "predictions-test.json.gz"):  # as if it had been killed before it was judged
        (tmp_path / "before" / baseline / name).unlink()
    trained = (tmp_path / "before" / baseline / "results.csv").stat().st_mtime_ns

    here = tmp_path / "elsewhere" / "after"
    shutil.move(tmp_path / "before", here)
    outcome = run(grid, here, train=train)
    assert (outcome.finished, outcome.failures) == (2, ())
    assert (here / baseline / "results.csv").stat().st_mtime_ns == trained, "it was judged, and not trained again"
    assert [each.interrupted for each in store.finished(here)] == ["", "continued"]
    for folder in (here / baseline, here / icr):
        record = runs.read_record(folder)
        assert record["data"] == str(here / "data/scenes/seed0/data.yaml")
        assert record["model"] == str(here / "models/small.yaml")
    assert str(tmp_path / "before") not in (here / icr / "data/train.txt").read_text()

    there = tmp_path / "there"
    shutil.move(here, there)  # judged and drawn without another run of the grid
    assert analyse(there, resamples=20).finished == 2
    assert draw_areas([there / baseline, there / icr], tmp_path / "areas")["files"]


def test_a_real_grid_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ultralytics")
    monkeypatch.undo()  # the engine itself
    file = write_grid(tmp_path, arms=["icr", "matched"])
    assert command(["bench", "run", str(file), "--out", str(tmp_path / "s"), "--device", "cpu", "--epochs", "1"]) == 0
    icr, matched = store.finished(tmp_path / "s")
    assert store.grid_of(tmp_path / "s").own_bases == {"small": "ciou"}
    assert (icr.cell.base, icr.record["arm"], matched.record["arm"]) == ("ciou", "icr", "matched")
    factor = store.relational_log(icr)[0][3]
    assert factor > 1
    assert matched.record["factors"] == [factor]
    assert store.relational_log(matched)[0][3] == pytest.approx(factor, rel=1e-3)
    assert {row.name for row in store.curve(icr)} == {"plate", "vehicle"}
    dataset = store.dataset_of(tmp_path / "s", icr.cell)
    assert len(read_compressed(icr.folder / "predictions-test.json.gz", dataset, "test")) == 6
    assert "evaluating" in (icr.folder / store.LOG).read_text()
