"""A demo of seconds that learns nothing; run as a script it makes one: `python miniature.py OUT`."""

from __future__ import annotations

import sys
from pathlib import Path

from icr.demo.run import run
from icr.demo.settings import DemoSettings

MINIATURE = DemoSettings(
    counts={"train": 16, "val": 4, "test": 6}, imgsz=64, epochs=2, batch=8, pictures=2, resamples=20, starts=20
)

if __name__ == "__main__":
    run(Path(sys.argv[1]), settings=MINIATURE)
