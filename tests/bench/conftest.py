"""A place for small grids where no engine is needed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture
def without_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever engine a model has, it is there, takes any setting, and cannot continue exactly."""
    engine = SimpleNamespace(check_overrides_of=lambda model, overrides: None)
    for module in ("checking", "runner"):
        monkeypatch.setattr(f"icr.bench.{module}.engine", lambda name: engine)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
