"""Several processes that train one detector together."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from icr.distributed import processes

TRAINED = """
import os, torch
from icr.distributed import leaving_group
from torch import distributed

def threads():
    return [open(f"/proc/self/task/{each}/comm").read() for each in os.listdir("/proc/self/task")]

def train():
    distributed.init_process_group("gloo", init_method=os.environ["GROUP"], rank=0, world_size=1)
    parallel = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
    parallel.trainer = [parallel]
    parallel(torch.ones(1, 2)).sum().backward()
    assert any("gloo" in name for name in threads())

with leaving_group():
    train()
assert not distributed.is_initialized()
print(sum("gloo" in name for name in threads()))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are not told by the system")
def test_no_thread_of_the_group_outlives_a_training(tmp_path):
    """In a process of its own, for it matters what was imported before the group began."""
    pytest.importorskip("torch.distributed")
    environment = {**os.environ, "GROUP": (tmp_path / "group").as_uri(), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", TRAINED], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert processes() == 1
    monkeypatch.setenv("RANK", "1")
    assert processes() == 4
