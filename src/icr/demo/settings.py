"""How large the demo is. Network and schedule were chosen on the baseline alone; ICR gets the same."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from icr.data.synth import CLOSE, SceneSettings

SCENES = replace(
    CLOSE,
    plates=(1, 3),
    mean_plates=1.8,
    plate_width=28.0,
    plate_limits=(14.0, 64.0),
    lures=0.4,
    hidden=0.1,
)
"""Close scenes with more vehicles, farther away: easy enough for minutes, hard enough to leave plates to find."""

SCHEDULE = {
    "optimizer": "AdamW",
    "lr0": 0.003,
    "lrf": 0.02,
    "cos_lr": True,
    "momentum": 0.9,
    "warmup_epochs": 1.0,
    "warmup_bias_lr": 0.01,
    # By default Ultralytics gathers gradients over 64 pictures for an update: too few updates in so short a training.
    "nbs": 8,
    "mosaic": 0.0,
    "close_mosaic": 0,
    "scale": 0.2,
    "plots": False,
    "save_period": 1,
}
"""Engine settings of both trainings; `save_period` keeps each epoch for the curve."""


@dataclass(frozen=True)
class DemoSettings:
    """The size of everything the demo makes.

    Attributes:
        scenes: what the generated pictures hold.
        counts: pictures of each split.
        imgsz, epochs, batch, schedule: of both trainings.
        pictures: how many test pictures the page shows.
        resamples: bootstrap draws behind the intervals.
        starts: random start boxes behind the mean trajectory.
    """

    scenes: SceneSettings = SCENES
    counts: dict[str, int] = field(default_factory=lambda: {"train": 480, "val": 60, "test": 120})
    imgsz: int = 192
    epochs: int = 10
    batch: int = 8
    schedule: dict[str, Any] = field(default_factory=lambda: dict(SCHEDULE))
    pictures: int = 6
    resamples: int = 1000
    starts: int = 1000

    def record(self) -> dict[str, Any]:
        """What must be the same for a killed demo to go on."""
        return asdict(self)

    def compare_command(self, data: Path, network: Path, out: Path, seeds: int = 5) -> str:
        """The command that trains both ways as the demo does, with several seeds, and gives a verdict.

        Args:
            data, network: as the command should name them.
            out: the folder for its runs.
            seeds: how many.
        """
        shared = {key: value for key, value in self.schedule.items() if key != "save_period"}
        options = [f"--set {shlex.quote(f'{key}={_yaml(value)}')}" for key, value in shared.items()]
        rows = [" ".join(options[first : first + 4]) for first in range(0, len(options), 4)]
        lines = [
            f"icr compare {shlex.quote(str(data))} --model {shlex.quote(str(network))} --seeds {seeds}",
            f"--imgsz {self.imgsz} --epochs {self.epochs} --batch {self.batch} --device cpu",
            *rows,
            f"--out {shlex.quote(str(out))}",
        ]
        return " \\\n  ".join(lines)


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
