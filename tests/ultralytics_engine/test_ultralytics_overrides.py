"""`--set` with Ultralytics: what it can use is passed on, and nothing else comes as far as a training."""

from __future__ import annotations

from typing import Any

import pytest
from ultralytics.utils import DEFAULT_CFG_DICT

from icr.errors import InputError
from icr.ultralytics.overrides import _OURS, check_overrides, of_ultralytics


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("cache", "sometimes", "true, false, ram, disk$"),
        ("cache", "rma", "did you mean 'ram'"),
        ("cache", 1, "expected one of true, false"),
        ("compile", "always", "expected one of true, false, default, reduce-overhead"),
        ("split", "vall", "did you mean 'val'"),
        ("optimizer", "sgdd", "did you mean 'SGD'"),
        ("freeze", "backbone", "a number of layers"),
        ("freeze", True, "a number of layers"),
        ("fraction", 0, "fraction"),
        ("fraction", -0.5, "fraction"),
        ("fraction", 1.5, "fraction"),
        ("mosaic", 2, "between 0.0 and 1.0"),
        ("mosaic", True, "expected a number$"),
        ("close_mosaic", True, "expected a number$"),
        ("box", float("nan"), "expected a number$"),
        ("box", float("inf"), "expected a number$"),
        ("box", -1, "at least 0"),
        ("lr0", "fast", "lr0"),
        ("lr0", None, "lr0"),
        ("nbs", 0, "nbs"),
        ("patience", 2.5, "patience"),
        ("rect", "yes", "rect"),
        ("rect", 1, "rect"),
        ("amp", "fp8", "amp"),
        ("scale", [0.5], "scale"),
        ("quantize", 7, "quantize"),
    ],
)
def test_a_value_that_ultralytics_cannot_use_is_refused_in_one_line(key: str, value: Any, told: str) -> None:
    with pytest.raises(InputError, match=told) as refused:
        check_overrides({"lrf": 0.1, key: value})
    assert str(refused.value).startswith(f"--set {key}={value}: ") and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cache", "RAM"),
        ("cache", False),
        ("compile", "max-autotune"),
        ("fraction", 2),  # as many pictures
        ("fraction", [0.5, 1.0]),
        ("freeze", 10),
        ("freeze", [0, "23.cv2"]),
        ("patience", 20.0),
        ("lr0", "1e-4"),
        ("scale", [0.5, 2.0]),
        ("optimizer", "adamw"),
        ("amp", False),
        ("time", None),
    ],
)
def test_a_value_that_it_can_use_is_taken(key: str, value: Any) -> None:
    check_overrides({key: value})


def test_every_default_of_ultralytics_is_taken() -> None:
    check_overrides({key: value for key, value in DEFAULT_CFG_DICT.items() if key not in _OURS})


def test_numbers_that_yaml_takes_for_texts_reach_ultralytics_as_numbers() -> None:
    given = {"lr0": "1e-4", "patience": "1e2", "optimizer": "SGD", "clip": "1e-1"}
    passed = of_ultralytics(given, ("clip",))
    assert passed == {"lr0": 1e-4, "patience": 100.0, "optimizer": "SGD"}


def test_nothing_is_offered_where_nothing_is_near() -> None:
    with pytest.raises(InputError, match=r"no such setting$"):
        check_overrides({"photometric": 0.5})
