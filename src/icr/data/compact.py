"""What is held of every picture of a large set: its path and a number or two, in few bytes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias, overload

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]

_BLOCK = 256
_BETWEEN = "\0\0"


class Paths(Sequence[str]):
    """Paths as bytes, packed by the hundreds: those of one folder are nearly alike, and take about ten bytes each.

    A path may be followed by a zero byte and what else a reader needs to find its labels.

    Example:
        >>> paths = Paths(f"/d/images/{number:06}.jpg" for number in range(1000))
        >>> len(paths), paths[700], paths[998:]
        (1000, '/d/images/000700.jpg', ['/d/images/000998.jpg', '/d/images/000999.jpg'])
    """

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._packed: list[bytes] = []
        self._last: list[str] = []
        self._unpacked: tuple[int, list[str]] = -1, []
        for each in paths:
            self.append(each)

    def append(self, path: str) -> None:
        """Add a path at the end."""
        self._last.append(path)
        if len(self._last) == _BLOCK:
            self._packed.append(zlib.compress(_BETWEEN.join(self._last).encode("utf-8", "surrogatepass"), 1))
            self._last = []

    def __len__(self) -> int:
        return len(self._packed) * _BLOCK + len(self._last)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[at] for at in range(len(self))[place]]
        block, at = divmod(range(len(self))[place], _BLOCK)
        return self._block(block)[at]

    def __iter__(self) -> Iterator[str]:
        for block in range(len(self._packed)):
            yield from self._block(block)
        yield from self._last

    def _block(self, number: int) -> list[str]:
        if number == len(self._packed):
            return self._last
        if self._unpacked[0] != number:
            text = zlib.decompress(self._packed[number]).decode("utf-8", "surrogatepass")
            self._unpacked = number, text.split(_BETWEEN)
        return self._unpacked[1]


def repeated(numbers: npt.NDArray[np.generic]) -> Ints:
    """The places of numbers that stand in an array more than once, in order.

    Example:
        >>> repeated(np.array([7, 3, 5, 7, 3, 9]))
        array([0, 1, 3, 4])
    """
    order = np.argsort(numbers)
    ordered = numbers[order]
    same = ordered[1:] == ordered[:-1]
    there = np.zeros(len(numbers), np.bool_)
    there[order[1:][same]] = there[order[:-1][same]] = True
    return np.flatnonzero(there)


def hashes(texts: Iterable[str], count: int) -> Ints:
    """A number for each of so many texts; two of a billion texts are hardly ever of one number."""
    return np.fromiter(map(hash, texts), np.int64, count)


def stand_again(texts: Sequence[str]) -> dict[int, int]:
    """The places of texts that stand earlier, too, each with the first place of its text, in order.

    Example:
        >>> stand_again(["a", "b", "a", "c", "b", "a"])
        {2: 0, 4: 1, 5: 0}
    """
    first: dict[str, int] = {}
    places = repeated(hashes(texts, len(texts))).tolist()
    return {place: earlier for place in places if (earlier := first.setdefault(texts[place], place)) != place}
