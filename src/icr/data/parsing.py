"""Pictures with their labels parsed here or, where there are many, in other processes as well."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import TypeAlias

from icr.data.dataset import Finding, Sample
from icr.data.packing import pack

Parse: TypeAlias = Callable[[str], tuple["Sample | None", list[Finding]]]
"""A picture's path to its sample, None where it cannot be used, and to what was found; can be sent to another process.

The path may be followed by a zero byte and what else the reader needs to find the labels."""

_WORTH_PROCESSES = 4_000
"""Fewer new pictures are parsed sooner than other processes are ready."""

_PART = 50
_MOST = 8

_given: list[Parse] = []
"""In a process that parses: the one function that it was begun with."""


class Parser:
    """Parses here, or, once enough has been new, in other processes as well.

    Args:
        parse: reads a picture; sent to each process once.
    """

    def __init__(self, parse: Parse) -> None:
        self._parse, self._done = parse, 0
        self._pool: ProcessPoolExecutor | None = None
        self._alone = (os.cpu_count() or 1) < 2 or parent_process() is not None

    def __enter__(self) -> Parser:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def parse(self, pictures: Sequence[str]) -> Iterator[bytes]:
        """What each picture became, packed, in order; parsed from now on where there are processes, else when asked."""
        self._done += len(pictures)
        if self._pool is None and self._done > _WORTH_PROCESSES and not self._alone:
            # forking a process that has threads (PyTorch's, a progress bar's) can hang it
            context = get_context("spawn")
            cores = min(os.cpu_count() or 1, _MOST)
            self._pool = ProcessPoolExecutor(cores, context, initializer=_begin, initargs=(self._parse,))
        if self._pool is None or self._alone or len(pictures) < _PART:
            return (_packed(self._parse, each) for each in pictures)
        parts = [pictures[start : start + _PART] for start in range(0, len(pictures), _PART)]
        try:
            return self._collected([(part, self._pool.submit(_packed_part, part)) for part in parts])
        except BrokenProcessPool:
            self._alone = True
            return (_packed(self._parse, each) for each in pictures)

    def _collected(self, begun: list[tuple[Sequence[str], Future[list[bytes]]]]) -> Iterator[bytes]:
        for part, future in begun:
            try:
                yield from future.result()
            except BrokenProcessPool:  # a script without a main guard, or one killed for memory
                self._alone = True
                yield from (_packed(self._parse, each) for each in part)


def _begin(parse: Parse) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent alone answers Ctrl-C, without a traceback from each
    _given.append(parse)


def _packed_part(pictures: Sequence[str]) -> list[bytes]:
    return [_packed(_given[0], each) for each in pictures]


def _packed(parse: Parse, picture: str) -> bytes:
    return pack(*parse(picture))
