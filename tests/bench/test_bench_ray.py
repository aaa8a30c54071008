"""A grid on a Ray cluster of two nodes, made here, gives the cells of a run on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pretended_training import FAULTS, TRAIN
from small_grids import small_grid
from test_bench_kill import figures

from icr.bench import store
from icr.bench.cluster import on_cluster, pack, unpack
from icr.bench.grid import Grid
from icr.bench.runner import Outcome, run
from icr.errors import InputError

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes with one processor each."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    before = {name: os.environ.get(name) for name in ("PYTHONPATH", "RAY_USAGE_STATS_ENABLED", FAULTS)}
    os.environ |= {
        "PYTHONPATH": str(HERE),
        "RAY_USAGE_STATS_ENABLED": "0",
        FAULTS: '{"sum/seed0": "raise", "power/seed0": "kill"}',
    }
    settings = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=settings)
    cluster.add_node(num_cpus=1, object_store_memory=80_000_000)
    cluster.wait_for_nodes(timeout=300)
    yield cluster.address
    cluster.shutdown()
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


def go(grid: Grid, folder: Path, said: list[str] | None = None, **more: Any) -> Outcome:
    return run(grid, folder, train=TRAIN, say=(said if said is not None else []).append, **more)


@pytest.mark.usefixtures("without_engine")
def test_two_nodes_give_the_cells_of_this_machine(address: str, tmp_path: Path) -> None:
    grid = small_grid(arms=["baseline", "icr", "matched"])
    here = go(grid, tmp_path / "here")
    said = list[str]()
    there = go(grid, tmp_path / "there", said, executor=on_cluster(address, say=said.append))
    assert said[0] == "Ray cluster of 2 nodes: 2 cells at a time"
    sent = go(grid, tmp_path / "sent", executor=on_cluster(address, ship=True, say=said.append))
    assert here.finished == there.finished == sent.finished == 6
    assert figures(tmp_path / "here") == figures(tmp_path / "there") == figures(tmp_path / "sent")
    for each in store.finished(tmp_path / "sent"):
        assert str(tmp_path / "sent") in (each.folder / "run.json").read_text()
        assert (each.folder / store.LOG).is_file()


@pytest.mark.usefixtures("without_engine")
@pytest.mark.parametrize("ship", [False, True])
def test_what_fails_on_a_node_is_told_and_the_rest_goes_on(address: str, tmp_path: Path, ship: bool) -> None:
    grid = small_grid(arms=["icr", "sum", "power"], seeds=1)
    outcome = go(grid, tmp_path, executor=on_cluster(address, ship=ship, say=lambda text: None))
    told = {cell.arm: error for cell, error in outcome.failures}
    assert told["sum"] == "RuntimeError: the GPU fell off the bus"
    assert told["power"].startswith("its process was ended by SIGKILL")
    assert [each.cell.arm for each in store.finished(tmp_path)] == ["icr"]


@pytest.mark.usefixtures("without_engine")
def test_a_cell_that_no_node_has_room_for_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a cell needs 64 and 0"):
        go(small_grid(), tmp_path, executor=on_cluster(address, cpus=64))


def test_without_ray_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("icr.bench.cluster.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'icr-loss\[ray\]'"):
        on_cluster("auto")


def test_an_archive_says_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("c")
    packed = pack(tmp_path, [Path("a")], "/home/of/ä")
    assert unpack(packed, tmp_path / "out") == "/home/of/ä"
    assert (tmp_path / "out" / "a" / "b.txt").read_text() == "c"


@pytest.mark.slow
def test_two_nodes_give_the_same_real_trainings(address: str, tmp_path: Path) -> None:
    pytest.importorskip("ultralytics")
    from real_grid import write_grid

    from icr.bench.grid import load

    grid = load(write_grid(tmp_path))
    run(grid, tmp_path / "here")
    run(grid, tmp_path / "there", executor=on_cluster(address))
    assert len(store.finished(tmp_path / "there")) == 2
    assert figures(tmp_path / "here") == figures(tmp_path / "there")
