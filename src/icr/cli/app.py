"""The entry point: registers the commands, and turns errors into one line and an exit status."""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> None:
    """Run `icr` and exit: 0 done, 1 a check failed, 2 wrong usage or bad input, 3 interrupted with work saved."""
    if find_spec("typer") is None:
        print("icr: the command needs more than the loss; install it: pip install 'icr-loss[cli]'", file=sys.stderr)
        sys.exit(2)
    from icr.cli.commands import run

    sys.exit(run(sys.argv[1:]))
