"""`icr models`: every detector with its stored counts, the paper's row, and no framework needed to tell."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from importlib import resources
from importlib.util import find_spec

import pytest

from icr.cli.commands import run as icr
from icr.detectors import DETECTORS
from icr.models import FILE, Model, as_table, models

STORED = json.loads(FILE.read_text(encoding="utf-8"))

FUSED = {
    "yolov9-t": 2_617_340,
    "yolov9-s": 9_598_796,
    "yolov9-m": 32_554_612,
    "yolov9": 60_498_220,
    "yolo11n": 2_582_542,
    "yolo12n": 2_557_118,
}
"""For two classes, counted in the original repositories."""


def test_the_command_lists_every_detector(capsys: pytest.CaptureFixture[str]) -> None:
    assert icr(["models", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {each["name"] for each in told} == set(DETECTORS)
    for each in told:
        assert {"name", "engine", "licence", "parameters", "parameters_fused", "gflops", "paper"} <= set(each)
        assert each["parameters"] > 1e6 and each["gflops"] > 1, each["name"]
        assert each["parameters_fused"] is None or 1e6 < each["parameters_fused"] < each["parameters"]
    assert icr(["models"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(DETECTORS) + 1 and len({len(line[:40]) for line in printed}) == 1


def test_the_ten_rows_of_the_paper_come_first_in_its_order() -> None:
    text = resources.files("icr.paper").joinpath("table2.csv").read_text(encoding="utf-8")
    rows = list(dict.fromkeys(f"{row['model']} {row['backbone']}".strip() for row in csv.DictReader(text.splitlines())))
    assert [each.paper for each in models()][:10] == rows and len(rows) == 10
    assert all(each.presets for each in models() if each.paper)


@pytest.mark.parametrize("name", [each.name for each in models(with_presets=False) if each.paper])
def test_the_counts_are_the_papers(name: str) -> None:
    """The paper gives fused counts with one decimal, some rounded and some cut off."""
    (told,) = (each for each in models(with_presets=False) if each.name == name)
    count = told.parameters_fused or told.parameters
    assert told.paper_parameters is not None and count is not None
    # RT-DETRv2 R34 has 31.3 million parameters; the paper has the 31 of its authors' page.
    assert abs(count / 1e6 - told.paper_parameters) < (0.4 if name == "rtdetrv2-r34" else 0.1)
    assert FUSED.get(name, count) == count


def test_an_engine_that_is_not_installed_is_said() -> None:
    absent = Model("x", "nowhere", "MIT", False, 2_000_000, None, 5.0, None, None)
    assert "nowhere (not installed)" in as_table([absent]) and "2,000,000" in as_table([absent])


def test_no_framework_is_loaded() -> None:
    script = (
        "import sys; from icr.cli.commands import run; run(['models']); "
        "sys.exit(bool({'torch', 'ultralytics', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], stdout=subprocess.DEVNULL, check=False).returncode == 0


def counted(name: str) -> int:
    pytest.importorskip(DETECTORS[name].engine)
    if DETECTORS[name].engine == "transformers":
        from icr.transformers.models import build

        network = build(name, ["plate", "vehicle"])
    else:
        from icr.ultralytics.building import build as built

        network = built(name, 2)
        assert sum(each.numel() for each in network.parameters()) == STORED[name]["parameters"]
        network = network.fuse(verbose=False)
        return STORED[name]["parameters_fused"] - sum(each.numel() for each in network.parameters())
    return STORED[name]["parameters"] - sum(each.numel() for each in network.parameters())


@pytest.mark.parametrize("name", ["yolov9-t", "yolo11n", "yolo12n", "dfine-n"])
def test_stored_counts_are_those_of_the_network(name: str) -> None:
    assert counted(name) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(DETECTORS) - {"yolov9-t", "yolo11n", "yolo12n", "dfine-n"}))
def test_stored_counts_are_those_of_every_network(name: str) -> None:
    assert counted(name) == 0


@pytest.mark.skipif(find_spec("ultralytics") is None, reason="Ultralytics is not installed")
def test_gflops_are_measured_as_stored() -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from icr.ultralytics.building import build

    torch.set_num_threads(1)
    network, counter = build("yolo11n", 2).eval().fuse(verbose=False), FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network(torch.zeros(1, 3, 320, 320))
    assert counter.get_total_flops() / 1e9 * 4 == pytest.approx(STORED["yolo11n"]["gflops"], rel=0.02)
