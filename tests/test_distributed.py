"""Several processes that train one detector together."""

import pytest

from icr.distributed import leave, processes


def test_the_group_of_processes_is_left_and_may_be_left_again(tmp_path):
    from torch import distributed

    if not distributed.is_available():
        pytest.skip("this PyTorch trains in one process alone")
    distributed.init_process_group("gloo", init_method=(tmp_path / "group").as_uri(), rank=0, world_size=1)
    assert distributed.is_initialized()
    leave()
    assert not distributed.is_initialized()
    leave()


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert processes() == 1
    monkeypatch.setenv("RANK", "1")
    assert processes() == 4
