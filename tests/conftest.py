"""Fixtures that several rooms share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest
import torch

collect_ignore_glob = ["conftest.py", "*/conftest.py"]
"""Several files of that name cannot be collected for doctests; pytest loads them all the same."""

# The same examples every time, however slow the machine: --hypothesis-profile=default draws new ones.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def oid_car_plate() -> Path:
    """The folder of 200 real photographs; the repository does not hold it: a test that needs it skips without it."""
    folder = Path(os.environ.get("ICR_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / "oid-car-plate"
    if not folder.is_dir():
        pytest.skip(
            f"the real photographs are absent: {folder} (ICR_TEST_DATA names the folder that holds oid-car-plate)"
        )
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The networks of the tests are too small for more."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder for each test: nothing is remembered in the one of whoever runs them."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("ICR_CACHE", str(folder))
    return folder
