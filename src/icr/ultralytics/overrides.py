# SPDX-License-Identifier: AGPL-3.0-only
"""What `--set` may ask of Ultralytics: its own settings, each with a value that it can use."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ultralytics.cfg import CFG_FLOAT_KEYS, CFG_FRACTION_KEYS, CFG_INT_KEYS, check_cfg
from ultralytics.utils import DEFAULT_CFG_DICT

from icr.errors import InputError, nearest

_OURS = {
    **{key: f"--{key}" for key in ("model", "epochs", "imgsz", "batch", "device", "seed", "workers", "resume")},
    **dict.fromkeys(("project", "name", "exist_ok", "save_dir"), "--out"),
    "data": "the DATA argument",
    **dict.fromkeys(("task", "mode"), "the command"),
}

CHOICES: dict[str, tuple[bool | str, ...]] = {
    "optimizer": ("SGD", "MuSGD", "Adam", "Adamax", "AdamW", "NAdam", "RAdam", "RMSprop", "auto"),
    "cache": (True, False, "ram", "disk"),
    "split": ("val", "test", "train"),
    "compile": (True, False, "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
    "copy_paste_mode": ("flip", "mixup"),
}
"""Settings that Ultralytics looks at only once a training runs, or takes for off when it does not know the value."""

_ANY_CASE = ("optimizer", "cache")
_NUMBERS = CFG_FLOAT_KEYS | CFG_FRACTION_KEYS | CFG_INT_KEYS
_AT_LEAST_0 = ("box", "cls", "dfl", "warmup_epochs", "time")


def check_overrides(overrides: Mapping[str, Any], own: Sequence[str] = ("enlarge_tiny",)) -> None:
    """Refuse settings that Ultralytics does not know or cannot use, or that have a place of their own in the command.

    Args:
        overrides: as `--set` gives them.
        own: settings of ours that this kind of detector has, and that Ultralytics must not see.

    Raises:
        InputError: one line that names the key, and the nearest one or what its value may be.

    Example:
        >>> check_overrides({"lr": 0.01})
        Traceback (most recent call last):
        ...
        icr.errors.InputError: --set lr: Ultralytics has no such setting; did you mean 'lr0'?
        >>> check_overrides({"cache": "sometimes"})
        Traceback (most recent call last):
        ...
        icr.errors.InputError: --set cache=sometimes: expected one of true, false, ram, disk
    """
    for key, value in overrides.items():
        if key in _OURS:
            raise InputError(f"--set {key}: this is set by {_OURS[key]}")
        if key == "enlarge_tiny" and not isinstance(value, bool):
            raise InputError(f"--set {key}={value}: expected true or false")
        if key not in DEFAULT_CFG_DICT and key not in own:
            known = (*DEFAULT_CFG_DICT, *own)
            raise InputError(f"--set {key}: Ultralytics has no such setting{nearest(key, known)}")
    for key, value in of_ultralytics(overrides, own).items():
        _check_value(key, value)


def of_ultralytics(overrides: Mapping[str, Any], own: Sequence[str]) -> dict[str, Any]:
    """Those of the settings that are Ultralytics' own, as it takes them.

    Example:
        >>> of_ultralytics({"lr0": "1e-4", "clip": 1}, ["clip"])  # YAML takes 1e-4 for a text
        {'lr0': 0.0001}
    """
    return {key: _number(value) if key in _NUMBERS else value for key, value in overrides.items() if key not in own}


def _number(value: Any) -> Any:
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _check_value(key: str, value: Any) -> None:
    told = f"--set {key}={value}"
    if key in _NUMBERS and (isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value))):
        raise InputError(f"{told}: expected a number")
    if key in _AT_LEAST_0 and isinstance(value, (int, float)) and value < 0:
        raise InputError(f"{told}: expected a number of at least 0")
    if key in CHOICES:
        _check_choice(key, value)
    if key == "freeze" and not _are_layers(value):
        raise InputError(f"{told}: expected a number of layers, or a list of their indices, such as '[0, 1, 2]'")
    try:
        check_cfg({key: value})
    except (TypeError, ValueError) as error:
        raise InputError(f"{told}: {error}") from None


def _check_choice(key: str, value: Any) -> None:
    names = [each for each in CHOICES[key] if isinstance(each, str)]
    if isinstance(value, bool):
        fits = value in CHOICES[key]
    elif key in _ANY_CASE:
        fits = str(value).lower() in map(str.lower, names)
    else:
        fits = value in names
    if not fits:
        known = ", ".join(str(each).lower() if isinstance(each, bool) else each for each in CHOICES[key])
        raise InputError(f"--set {key}={value}: expected one of {known}{nearest(str(value), names)}")


def _are_layers(value: Any) -> bool:
    each_of = value if isinstance(value, list) else [0 if value is None else value]
    kinds: tuple[type, ...] = (int, str) if isinstance(value, list) else (int,)
    return all(isinstance(each, kinds) and not isinstance(each, bool) for each in each_of)
