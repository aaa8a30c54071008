"""Values of a settings file, each of the kind that was expected; else an `InputError` of one line that says where."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from icr.errors import InputError, nearest

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


def refuse_unknown(found: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    """Refuse the first key that is not known, with the nearest one."""
    for key in found:
        if key not in known:
            raise InputError(f"{where}: unknown key {key!r}; known are {', '.join(known)}{nearest(str(key), known)}")


def mapping(value: Any, where: str) -> dict[str, Any]:
    """A mapping, its keys as texts."""
    if not isinstance(value, dict):
        raise InputError(f"{where} is {kind_of(value)}; expected a mapping")
    return {str(key): each for key, each in value.items()}


def entries(value: Any, where: str, least: int = 1) -> list[Any]:
    """The entries of a list, or the one value that stands in its place."""
    if not isinstance(value, (list, tuple)):
        return [value]
    if len(value) < least:
        raise InputError(f"{where} is empty; expected at least one entry")
    return list(value)


def texts(value: Any, where: str, least: int = 1) -> tuple[str, ...]:
    """A list of names, each once.

    Example:
        >>> texts(["icr", "sum"], "arms"), texts("icr", "arms")
        (('icr', 'sum'), ('icr',))
    """
    found = entries(value, where, least)
    for each in found:
        if not isinstance(each, str):
            raise InputError(f"{where}: {each!r} is no name; expected a list of names")
    _refuse_twice(found, where)
    return tuple(found)


def folder_name(value: Any, where: str) -> str:
    """A name that can be that of a folder."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InputError(f"{where}: {value!r} cannot name a folder; expected letters, digits, and . _ + - after them")
    return value


def numbers(value: Any, where: str) -> tuple[float, ...]:
    """A list of numbers of at least 0, each once.

    Example:
        >>> numbers([1, 2.5], "weights")
        (1.0, 2.5)
    """
    found = entries(value, where)
    for each in found:
        if isinstance(each, bool) or not isinstance(each, (int, float)) or not 0 <= each < float("inf"):
            raise InputError(f"{where}: {each!r}; expected numbers of at least 0")
    _refuse_twice(found, where)
    return tuple(float(each) for each in found)


def whole(value: Any, least: int, where: str) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{where} is {value!r}; expected a whole number of at least {least}")
    return value


def kind_of(value: Any) -> str:
    """What a value is, in words.

    Example:
        >>> kind_of(None), kind_of([1])
        ('nothing', 'a list')
    """
    return "nothing" if value is None else f"a {type(value).__name__}"


def _refuse_twice(found: Iterable[Any], where: str) -> None:
    seen = set()
    for each in found:
        if each in seen:
            raise InputError(f"{where} names {each} twice")
        seen.add(each)
