"""Runs a small grid with a training that only pretends, as `icr bench run` does, in a process that may be killed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from pretended_training import TRAIN
from small_grids import small_grid

from icr.bench.runner import run

if __name__ == "__main__":
    nothing = mock.Mock(return_value=SimpleNamespace(check_overrides_of=lambda model, overrides: None))
    with mock.patch("icr.bench.checking.engine", nothing), mock.patch("icr.bench.runner.engine", nothing):
        run(small_grid(arms=["baseline", "icr", "matched"], seeds=1), Path(sys.argv[1]), train=TRAIN)
