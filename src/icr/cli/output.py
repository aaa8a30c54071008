"""Where a command's words go: the answer on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any


@contextmanager
def chatter_on_stderr() -> Iterator[None]:
    """Send to stderr whatever Python or C code writes to stdout meanwhile, so that stdout holds the answer alone."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def say(text: str) -> None:
    """Tell the person at the terminal something that is not the answer."""
    print(text, file=sys.stderr, flush=True)


def answer(text: str) -> None:
    """Print the answer, or a part of it, on stdout."""
    print(text, flush=True)


def answer_json(value: Any) -> None:
    """Print the one machine-readable object of a command run with ``--json``."""
    answer(json.dumps(value, ensure_ascii=False, allow_nan=False))
