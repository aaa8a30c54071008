"""JSON as others wrote it: a file of it, and the numbers in it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

from icr.data.dataset import Finding
from icr.data.findings import found
from icr.data.formats.text import read_settings_text, shown
from icr.errors import InputError


def load(file: Path, expected: str) -> Any:
    """What a JSON without which there is no data set holds.

    Args:
        file: where it is.
        expected: what it should be, for the message.

    Raises:
        InputError: it cannot be opened, is no UTF-8 text, or is no JSON.
    """
    text = read_settings_text(file)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{file}, line {error.lineno}: no readable JSON ({error.msg}); {expected}") from None
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits; nesting too deep
        raise InputError(f"{file}: no readable JSON ({type(error).__name__}); {expected}") from None


def is_whole(value: Any) -> TypeGuard[int]:
    """Whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def are_finite(values: Sequence[Any], called: str, file: Path, findings: list[Finding]) -> bool:
    """Whether all values are finite numbers; if not, that is a finding about what they are `called`."""
    if not all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in values):
        message = f"{called} holds {', '.join(map(shown, values))}; expected numbers"
        findings.append(found("labels.not_a_number", file, message))
        return False
    try:
        finite = all(map(math.isfinite, values))
    except OverflowError:  # a whole number too large for a float
        finite = False
    if not finite:
        findings.append(found("labels.not_finite", file, f"{called} has a number that is not finite"))
    return finite


def described(value: Any) -> str:
    """A value where a list was expected, for a message.

    Example:
        >>> described([1, 2, 3]), described("left")
        ('a list of 3', "'left'")
    """
    return f"a list of {len(value)}" if isinstance(value, list) else shown(value)
