"""How the demo was made, in words for the foot of its page."""

from __future__ import annotations

import os
from typing import Any

from icr import runs
from icr.demo.settings import DemoSettings


def facts(
    seed: int, settings: DemoSettings, seconds: dict[str, float], parameters: int, resumed: bool
) -> list[tuple[str, str]]:
    """Name and value of everything that a reader needs to judge or repeat the demo.

    Args:
        seed: of the data, the weights and the order of training.
        settings: sizes.
        seconds: time each step took, by name.
        parameters: number of weights of the network.
        resumed: a training was killed and went on, so that `seconds` lacks what it had spent before.
    """
    around: dict[str, Any] = runs.surroundings()
    scenes, counts = settings.scenes, settings.counts
    spent = " and ".join(
        f"{seconds[name] / 60:.1f} minutes {words}" for name, words in (("baseline", "without"), ("icr", "with ICR"))
    )
    lost = "; not counting what a killed training had spent" if resumed else ""
    return [
        (
            "Pictures",
            f"generated road scenes by day and night, {scenes.size[0]} × {scenes.size[1]} pixels, no photograph: "
            f"{counts['train']} to train on, {counts['val']} to choose the checkpoint, {counts['test']} for the table",
        ),
        ("Network", f"a YOLO with strides 4, 8 and 16 and {parameters:,} parameters, from the same random weights"),
        (
            "Training",
            f"{settings.epochs} epochs at {settings.imgsz} pixels, batch {settings.batch}, "
            f"{settings.schedule.get('optimizer')}; chosen by looking at the run without ICR alone",
        ),
        ("The only difference", "box loss CIoU in the one, CIoU · (1 + 2.5 · (1 − R)) in the other"),
        ("Seed", f"{seed}, of the pictures, the weights and the order of training"),
        ("Time", f"{spent}, on {os.cpu_count()} cores of {around['hardware']['cpu']}{lost}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in around["versions"].items())),
        ("Beside this page", "the data, both runs with weights, results.csv and metrics.json, and the trainings’ log"),
    ]
