"""A run is a folder: what was asked (`run.json`), what happened (`results.csv`), what came out (`weights/`)."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr.errors import InputError
from icr.writing import whole

if TYPE_CHECKING:
    from icr.data.dataset import Dataset

RECORD = "run.json"
METRICS = "metrics.json"
LOG = "results.csv"
"""One row for each epoch that is over."""

_PACKAGES = ("icr-loss", "torch", "torchvision", "ultralytics", "transformers", "numpy", "hotcoco")


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a kill leaves the old file or the new one, never a half of either."""
    with whole(path) as part:
        part.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_record(run: Path) -> dict[str, Any]:
    """Read a run's `run.json`.

    Raises:
        InputError: there is none, or it is not readable.
    """
    path = run / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{run} is not a run: it holds no {RECORD}; name a folder made by icr train") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); it should be the JSON that icr train wrote") from error
    if not isinstance(record, dict):
        raise InputError(f"{path} holds a {type(record).__name__}, not the JSON object that icr train wrote")
    return record


def of_weights(weights: Path) -> Path | None:
    """The run that a weights file belongs to (`<run>/weights/best.pt`), None when it stands alone."""
    run = weights.resolve().parent.parent
    return run if weights.resolve().parent.name == "weights" and (run / RECORD).is_file() else None


def weights_of(run: Path, which: str = "best") -> Path | None:
    """The weights that a run left, whatever its engine stores them as; None when it left none.

    Args:
        which: `best` (on the validation split) or `last` (of the last epoch).
    """
    found = (run / "weights" / f"{which}{suffix}" for suffix in (".pt", ".safetensors"))
    return next((path for path in found if path.is_file()), None)


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 over what a data set says (names, splits, pictures, boxes, classes, pairs), however it is stored."""
    digest = hashlib.sha256(json.dumps(dataset.names).encode())
    for split, samples in dataset.splits.items():
        for sample in samples:
            digest.update(f"\n{split} {sample.image.name} {sample.width} {sample.height}\n".encode())
            for array in (sample.boxes, sample.labels, sample.parents):
                digest.update(array.tobytes())
    return digest.hexdigest()


def surroundings() -> dict[str, Any]:
    """Versions, hardware and commit: what a figure was made with."""
    return {
        "versions": {"python": platform.python_version(), **package_versions()},
        "hardware": hardware(),
        "git_commit": _git_commit(),
    }


def package_versions() -> dict[str, str]:
    """The installed versions of the packages that bear on a result."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """The processor, its cores and the GPUs that PyTorch sees."""
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {"cpu": _cpu_name(), "cores": os.cpu_count(), "gpus": gpus, "system": platform.platform()}


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _git_commit() -> str | None:
    """The commit of the working folder, marked when it holds changes; None outside a repository."""
    try:
        asked = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--match="]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def first_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Name the first setting in which two records differ, None when they agree.

    Example:
        >>> first_difference({"epochs": 3, "seed": 0}, {"epochs": 5, "seed": 0})
        'epochs was 3 and is now 5'
    """
    for key in {**before, **now}:
        if before.get(key) != now.get(key):
            return f"{key} was {before.get(key)} and is now {now.get(key)}"
    return None
