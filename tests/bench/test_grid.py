"""Grids: what a file may say, what it comes to, and that the presets are the paper's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from small_grids import small_grid

from icr import presets as presets_of_trainings
from icr.bench.arms import ARMS, trained
from icr.bench.asking import asked
from icr.bench.grid import WITHOUT_WEIGHT, Cell, Grid, Source, load, presets, read
from icr.bench.paper import table
from icr.detectors import DETECTORS
from icr.errors import InputError


def test_cells_are_the_product_and_arms_without_a_weight_come_once() -> None:
    grid = small_grid(arms=["baseline", "icr", "sum"], weights=[1, 2.5], bases=["ciou", "giou"], seeds=3, first_seed=4)
    cells = grid.cells()
    assert len(cells) == len(set(cells)) == 2 * 3 * (1 + 2 + 2)
    assert {cell.seed for cell in cells} == {4, 5, 6}
    assert {cell.weight for cell in cells if cell.arm == "baseline"} == {0.0}
    assert cells[0].key == "scenes/yolo11n/ciou/baseline-w0/seed4"
    assert Cell.from_record(json.loads(json.dumps(vars(cells[1])))) == cells[1]


def test_each_detector_has_its_own_base_unless_bases_are_named() -> None:
    grid = small_grid(models=["yolo11n", "rtdetrv2-r18"])
    assert {(cell.model, cell.base) for cell in grid.cells()} == {("yolo11n", "ciou"), ("rtdetrv2-r18", "giou")}
    assert small_grid(own_bases={"yolo11n": "siou"}).bases_of("yolo11n") == ("siou",)
    both = small_grid(bases=["own", "ciou"])
    assert both.bases_of("yolo11n") == ("ciou",)


def test_a_grid_survives_its_record() -> None:
    grid = small_grid(train_for={"yolo11n": {"epochs": 7}}, weights=[1.5])
    assert read(json.loads(json.dumps(grid.record())), "again", Path("/")) == grid
    assert grid.training_of("yolo11n")["epochs"] == 7
    assert grid.training_of("yolo11n")["imgsz"] == 64


REFUSED = {
    "unknown key": ({"weigths": [1]}, r"unknown key 'weigths'.*did you mean 'weights'"),
    "unknown key of train": ({"train": {"epoch": 3}}, r"train: unknown key 'epoch'.*did you mean 'epochs'"),
    "unknown key of synth": ({"data": {"a": {"synth": {"presett": "road"}}}}, r"did you mean 'preset'"),
    "no data": ({"data": {}}, "data is missing"),
    "a path and scenes": ({"data": {"a": {"path": "x", "synth": {}}}}, "both path and synth"),
    "a name for no folder": ({"data": {"a/b": "x"}}, "cannot name a folder"),
    "no seed": ({"seeds": 0}, "seeds is 0; expected a whole number of at least 1"),
    "half an epoch": ({"train": {"epochs": 1.5}}, "epochs is 1.5"),
    "a negative weight": ({"weights": [-1]}, "weights: -1"),
    "an arm twice": ({"arms": ["icr", "icr"]}, "names icr twice"),
    "a model that is not there": ({"train_for": {"yolo11s": {}}}, "train_for names yolo11s.*did you mean 'yolo11n'"),
    "another preset": ({"train": {"preset": "papr"}}, "no such preset; did you mean 'paper'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_faulty_grids_are_refused_in_one_line(case: str) -> None:
    entries, told = REFUSED[case]
    with pytest.raises(InputError, match=told) as refused:
        small_grid(**entries)
    assert "\n" not in str(refused.value)


def test_what_is_no_grid_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"quik: neither a preset nor a YAML file.*did you mean 'quick'"):
        load("quik")
    file = tmp_path / "grid.yaml"
    file.write_text("- a list\n")
    with pytest.raises(InputError, match="holds a list"):
        load(file)
    file.write_text("data: {a: [")
    with pytest.raises(InputError, match="cannot be read as YAML"):
        load(file)


def test_paths_start_from_the_file(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text("nc: 2\n")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"data": {"a": "sets/a"}, "models": ["net.yaml"]}))
    grid = load(tmp_path / "mine.yaml")
    assert grid.name == "mine"
    assert grid.data["a"] == Source(path=tmp_path / "sets" / "a")
    assert grid.models == {"net": str(tmp_path / "net.yaml")}


def test_the_command_line_stands_in_place_of_the_file() -> None:
    grid = asked("table3", data=["crpd=sets/crpd"], train={"epochs": 3, "imgsz": None}, arms="icr, sum", weights="1,2")
    assert grid.data["crpd"].path == (Path("sets") / "crpd").resolve()
    assert grid.data["svmlp"].synth is not None
    assert (grid.arms, grid.weights) == (("icr", "sum"), (1.0, 2.0))
    assert (grid.training_of("yolov9-t")["epochs"], grid.training_of("yolov9-t")["imgsz"]) == (3, 640)
    assert asked("table2", models="rtdetrv2-r18", train={"epochs": 5}).training_of("rtdetrv2-r18")["epochs"] == 5
    assert asked("quick", models="small,yolo11n").models["yolo11n"] == "yolo11n"
    for faulty in ({"data": ["crpd"]}, {"arms": "icr,,sum"}, {"weights": "two"}, {"seeds": 0}):
        with pytest.raises(InputError):
            asked("table3", **faulty)


def test_arms_without_a_weight_are_those_to_which_it_means_nothing() -> None:
    assert {name for name, arm in ARMS.items() if not arm.weighs} == WITHOUT_WEIGHT


@pytest.mark.parametrize("name", ["table2", "table3", "table4", "fig4", "fig6", "fig8", "quick"])
def test_presets_are_whole(name: str) -> None:
    assert name in presets()
    grid = load(name)
    assert grid.name == name and grid.about and set(grid.arms) <= set(ARMS)
    assert all(cell.key for cell in grid.cells())


def test_the_presets_are_the_papers_tables() -> None:
    models = load("table2")
    rows = {f"{row['model']} {row['backbone']}".strip(): row for row in table(2)}
    assert {DETECTORS[model].paper for model in models.models.values()} == set(rows)
    for model in models.models:
        assert models.training_of(model)["epochs"] == int(rows[str(DETECTORS[model].paper)]["epochs"])
    assert len(load("table3").data) == len({row["dataset"] for row in table(3)})
    assert list(load("table4").bases) == list(dict.fromkeys(row["base"] for row in table(4)))
    assert 2.5 in load("fig4").weights
    assert isinstance(models, Grid)


def test_the_papers_grids_train_by_the_papers_presets() -> None:
    grid = load("table2")
    by_model = {"yolov9-t": "paper", "rtdetrv2-r18": "paper-rtdetrv2", "uav-detr-r18": "paper-appendix"}
    for model, preset in by_model.items():
        told, expected = grid.training_of(model), presets_of_trainings.read(preset, model)
        assert (told["preset"], told["overrides"]) == (preset, expected.settings)
        assert {key: told[key] for key in expected.options} == expected.options
    assert load("fig8").training_of("yolov9-t")["overrides"]["save_period"] == 5


def test_the_grid_of_the_documentation_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "bench.md").read_text(encoding="utf-8")
    file = tmp_path / "helmets.yaml"
    file.write_text(page.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    grid = load(file)
    assert {name: source.synth is None for name, source in grid.data.items()} == {
        "street": True,
        "yard": True,
        "made": False,
    }
    assert grid.data["yard"].relations == ("helmet:rider",)
    detr = grid.training_of("rtdetrv2-r18")
    assert (detr["preset"], detr["epochs"], detr["batch"], "mosaic" in detr["overrides"]) == ("rtdetrv2", 40, 16, False)
    told = {name: len(trained(load(name).cells())) for name in presets()}
    for name, number in told.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}` |"))
        assert row.rstrip(" |").endswith(f" {number}")
