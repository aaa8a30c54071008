"""A place for small grids where no engine is needed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def without_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever engine a model has, it is there, and cannot continue exactly."""
    for module in ("checking", "runner"):
        monkeypatch.setattr(f"icr.bench.{module}.engine", lambda name: SimpleNamespace())
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
