"""Trackers of trainings (TensorBoard, MLflow, Weights & Biases, …), by the callbacks that Transformers has for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.integrations import get_available_reporting_integrations, get_reporting_integration_callbacks

from icr.errors import InputError
from icr.transformers.settings import NO_TRACKER


def check_tracker(name: str) -> None:
    """Refuse a tracker that is not installed, before anything is trained.

    Raises:
        InputError: what to install.

    Example:
        >>> check_tracker("none")
    """
    if name != NO_TRACKER and name not in get_available_reporting_integrations():
        raise InputError(f"--set report_to={name}: {name} is not installed; pip install {name}, or leave it out")


def tracker(name: str, out: Path) -> list[TrainerCallback]:
    """The callback that hands a run on; TensorBoard's files lie in the run folder, in `tensorboard/`."""
    if name == NO_TRACKER:
        return []
    (kind,) = get_reporting_integration_callbacks([name])
    callback: TrainerCallback = kind()
    if name == "tensorboard":
        callback.logging_dir = str(out / "tensorboard")  # type: ignore[attr-defined]
    return [callback]


def logged(row: Mapping[str, Any], curve: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """An epoch's figures under the names that Transformers' callbacks sort into `train/` and `eval/`.

    Args:
        row: the epoch's row of `results.csv`.
        curve: its rows of `curve.csv`; classes without a value (-1) are left out.

    Example:
        >>> row = {"epoch": 1, "train/loss": 3.5, "val/AP": 0.25, "lr": 0.1}
        >>> logged(row, [{"epoch": 1, "class": "plate", "AP": 0.25, "AP50": -1}])
        {'loss': 3.5, 'eval_AP': 0.25, 'lr': 0.1, 'eval_plate_AP': 0.25}
    """
    told = {key.removeprefix("train/").replace("val/", "eval_"): value for key, value in row.items() if key != "epoch"}
    for each in curve:
        told |= {f"eval_{each['class']}_{figure}": each[figure] for figure in ("AP", "AP50") if each[figure] >= 0}
    return told
