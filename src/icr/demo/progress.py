"""Where the demo stands, said on stderr: a bar when a person watches, a line now and then otherwise."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

_ENOUGH = 0.02
"""Share of the whole that must be done before the time left is guessed."""


class Progress:
    """Steps with a guess of the time left.

    Args:
        nominal: the steps in order, each with the seconds it takes on some machine; only their ratios matter.
        stream: where to write.
        lines_every: seconds between lines of one step when no bar is shown; the last line of a step is always written.
    """

    def __init__(self, nominal: Mapping[str, float], stream: TextIO, lines_every: float = 5.0) -> None:
        self._nominal = dict(nominal)
        self._stream = stream
        self._every = lines_every
        self._step = ""
        self._share = self._given = 0.0
        self._began = self._said = 0.0
        self._spent = self._spent_nominal = 0.0
        self._bar: Any = _bar(stream) if stream.isatty() else None
        self._task: Any = None

    def begin(self, step: str, share: float = 0.0) -> None:
        """Enter a step; the one before is over.

        Args:
            step: its name.
            share: how much of it a run before has done already, 0..1; it tells nothing of the pace of this one.
        """
        self._end()
        self._step, self._share, self._given = step, share, share
        self._began, self._said = time.monotonic(), 0.0
        if self._bar is not None:
            self._task = self._bar.add_task(self._title(), total=1.0, note="")
        else:
            self._write(self._title())

    def skip(self, step: str, why: str) -> None:
        """Pass over a step that a run before has done."""
        self._end()
        self._step, self._share, self._began = step, 0.0, time.monotonic()
        self._nominal[step] = 0.0
        self._write(f"{self._title()}: {why}")

    def update(self, done: float, total: float, note: str) -> None:
        """Say how far the step is.

        Args:
            done, total: in any unit.
            note: in words, such as ``epoch 3 of 10``.
        """
        self._share = done / total if total else 1.0
        left = self._left()
        note = f"{note}, about {said(left)} left in all" if left is not None else note
        if self._bar is not None:
            self._bar.update(self._task, completed=self._share, note=note)
        elif done >= total or time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            self._write(f"{self._title()}: {note}")

    def close(self) -> None:
        """End the last step and take the bar away."""
        self._end()
        if self._bar is not None:
            self._bar.stop()

    def _end(self) -> None:
        nominal = self._nominal.get(self._step, 0.0)
        if nominal:
            self._spent += time.monotonic() - self._began
            self._spent_nominal += nominal * (1 - self._given)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=1.0, note=f"{said(time.monotonic() - self._began)}")
            self._task = None
        self._step = ""

    def _left(self) -> float | None:
        here = self._nominal.get(self._step, 0.0)
        known = self._spent_nominal + here * (self._share - self._given)
        # The first moments of a demo (processes starting) say nothing of its pace.
        if known < _ENOUGH * sum(self._nominal.values()):
            return None
        names = list(self._nominal)
        after = sum(self._nominal[name] for name in names[names.index(self._step) + 1 :])
        pace = (self._spent + time.monotonic() - self._began) / known
        return pace * (after + here * (1 - self._share))

    def _title(self) -> str:
        names = list(self._nominal)
        return f"[{names.index(self._step) + 1}/{len(names)}] {self._step}"

    def _write(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False)
        else:
            print(text, file=self._stream, flush=True)


def said(seconds: float) -> str:
    """A length of time in words.

    Example:
        >>> said(8), said(75), said(400)
        ('10 s', '80 s', '7 min')
    """
    if seconds < 100:
        return f"{max(10, round(seconds / 10) * 10)} s"
    return f"{round(seconds / 60)} min"


def _bar(stream: TextIO) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[note]}"))
    bar = Bar(*columns, console=Console(file=stream))
    bar.start()
    return bar


@contextmanager
def chatter_into(log: Path) -> Iterator[TextIO]:
    """Send what is written to stdout and stderr, by Python or by C code, into a file.

    Args:
        log: appended to.

    Yields:
        A stream to the stderr of before.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with log.open("ab") as opened, os.fdopen(os.dup(2), "w", encoding="utf-8") as stream:
        os.dup2(opened.fileno(), 1)
        os.dup2(opened.fileno(), 2)
        try:
            yield stream
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for place, before in enumerate(kept, 1):
                os.dup2(before, place)
                os.close(before)
