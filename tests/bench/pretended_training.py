"""A training that only pretends: leaves what a run leaves, the same for the same settings, and fails where told to."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from icr import resumption, runs
from icr.data.formats import read
from icr.metrics.stored import write_compressed
from icr.predictions import Predictions
from icr.relations import choose

TRAIN = "pretended_training:train"

FAULTS = "PRETENDED_FAULTS"
"""Of the environment: `{"icr/seed1": "raise"}` in JSON; `raise` or `kill`."""

PAUSE = "PRETENDED_PAUSE"
"""Of the environment: seconds that an epoch takes."""


INEXACT = "PRETENDED_INEXACT"
"""Of the environment: a run that goes on does so inexactly."""


def train(data: Path, *, relation=(), out: Path, resume=False, say=print, **settings: Any) -> None:
    """Pretend to train; a run that was killed goes on after its last epoch, inexactly where told to."""
    if resume and runs.read_record(out).get("trained"):
        runs.write_json(out / runs.METRICS, {"split": "test", "luck": _luck(settings)})
        return
    if resume:
        resumption.note(out, 1, [INEXACT] if os.environ.get(INEXACT) else [])
    elif out.exists():
        raise FileExistsError(f"{out} is there already")
    dataset = read(data)
    relations = choose(relation, dataset).relations
    if settings["weight"] is not None:
        relations = tuple(replace(each, weight=settings["weight"]) for each in relations)
    out.mkdir(parents=True, exist_ok=True)
    named = [{"child": r.child, "parent": r.parent, "weight": r.weight} for r in relations]
    device = settings.pop("device")
    record = {**settings, "relations": named, "data": str(data), "data_fingerprint": runs.fingerprint(dataset)}
    runs.write_json(out / runs.RECORD, {**record, "device": device, "trained": False})
    fault = json.loads(os.environ.get(FAULTS, "{}")).get(f"{settings['arm']}/seed{settings['seed']}")
    rows = ["epoch,train/icr_pairs,train/icr_containment,train/icr_factor"]
    curve = ["epoch,class,AP,AP50"]
    for epoch in range(1, settings["epochs"] + 1):
        time.sleep(float(os.environ.get(PAUSE, "0")))
        rows.append(f"{epoch},8,{1 - 0.2 / epoch:.5f},{1 + 0.5 / epoch:.5f}")
        curve += [f"{epoch},{name},{_luck(settings) / 2:.5f},{_luck(settings):.5f}" for name in dataset.names]
        (out / "results.csv").write_text("\n".join(rows) + "\n")
        if fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    if fault == "raise":
        raise RuntimeError("the GPU fell\noff the bus")
    (out / "curve.csv").write_text("\n".join(curve) + "\n")
    found = [_found(sample, place, _luck(settings)) for place, sample in enumerate(dataset.splits["test"])]
    write_compressed(out / "predictions-test.json.gz", dataset, "test", found)
    runs.write_json(out / runs.RECORD, {**record, "device": device, "trained": True})
    runs.write_json(out / runs.METRICS, {"split": "test", "luck": _luck(settings)})


def _luck(settings: dict[str, Any]) -> float:
    """A number of the settings alone, 0.3..0.7."""
    kept = {key: value for key, value in settings.items() if key not in ("device", "model")}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True, default=list).encode()).digest()
    return 0.3 + 0.4 * digest[0] / 255


def _found(sample: Any, place: int, share: float) -> Predictions:
    chance = np.random.default_rng(place)
    kept = chance.random(len(sample.labels)) < share
    return Predictions(sample.boxes[kept], np.full(int(kept.sum()), 0.9), sample.labels[kept])
