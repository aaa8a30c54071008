# SPDX-License-Identifier: AGPL-3.0-only
"""What the training of a detector of the RT-DETR kind has beyond Ultralytics' settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from icr.errors import InputError, nearest

TERMS = ("main", "auxiliary", "encoder", "denoising")
"""Where the box loss is computed: last decoder layer, the layers before it, the encoder's queries, denoising groups."""

_WARM_UP = 2000


@dataclass(frozen=True)
class DetrSettings:
    """Settings of `--set` that Ultralytics does not have.

    Attributes:
        icr_terms: the box losses that ICR acts in.
        vfl_alpha, vfl_gamma: of the class loss. RT-DETR's and UAV-DETR's authors have 0.75 and 2, Ultralytics for its
            RT-DETR 0.25 and 1.5.
        giou_gain: weight of the IoU term, whatever its base; L1 has 5, the class loss 1.
        clip: greatest norm of the gradient; Ultralytics has 10.
        warmup_iterations: steps over which the rate rises; None: 2,000, or a tenth of a shorter run. It takes the
            place of `warmup_epochs`.
    """

    icr_terms: tuple[str, ...] = TERMS
    vfl_alpha: float = 0.75
    vfl_gamma: float = 2.0
    giou_gain: float = 2.0
    clip: float = 0.1
    warmup_iterations: int | None = None

    def warm_up(self, steps: int) -> int:
        """The steps of warm-up in a run of so many steps.

        Example:
            >>> DetrSettings().warm_up(500), DetrSettings().warm_up(100_000)
            (50, 2000)
        """
        return min(_WARM_UP, steps // 10) if self.warmup_iterations is None else self.warmup_iterations


KEYS = tuple(each.name for each in fields(DetrSettings))


def settle(given: Mapping[str, Any], defaults: DetrSettings) -> DetrSettings:
    """Read those of the given settings that are ours, over the defaults.

    Raises:
        InputError: a value cannot be used.

    Example:
        >>> settle({"clip": 1, "icr_terms": ["denoising", "main"], "lr0": 0.1}, DetrSettings()).icr_terms
        ('main', 'denoising')
    """
    own = {key: value for key, value in given.items() if key in KEYS}
    for key, value in own.items():
        own[key] = _terms(value) if key == "icr_terms" else _number(key, value)
    return replace(defaults, **own)


def _terms(value: Any) -> tuple[str, ...]:
    asked = [value] if isinstance(value, str) else value
    unknown = [each for each in asked if each not in TERMS] if isinstance(asked, (list, tuple)) else [asked]
    if unknown or not asked:
        raise InputError(
            f"--set icr_terms={value}: expected one or more of {', '.join(TERMS)}, such as '[main, auxiliary]'"
            + (nearest(str(unknown[0]), TERMS) if unknown else "")
        )
    return tuple(each for each in TERMS if each in asked)


def _number(key: str, value: Any) -> float:
    whole = key == "warmup_iterations"
    try:
        number = float(value)  # YAML takes 1e-4 for a text
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not 0 <= number < math.inf or (whole and number != int(number)):
        raise InputError(f"--set {key}={value}: expected a {'whole ' if whole else ''}number of at least 0")
    return int(number) if whole else number
