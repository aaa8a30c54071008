"""What interruptions did to a run: `resumed.json` in its folder, for whoever compares it with others.

A run that goes on exactly is no different from one that was never broken off. One that cannot (its batches are drawn
anew, or its numbers were rounded) was treated differently, and has no place in a pair without a word about it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from icr import runs

RESUMED = "resumed.json"


def note(run: Path, epoch: int, reasons: list[str]) -> None:
    """Add to a run's record that it was taken up again.

    Args:
        run: its folder.
        epoch: epochs that were over by then.
        reasons: why it could not go on exactly; empty when it did.
    """
    runs.write_json(run / RESUMED, {"resumed": [*resumed(run), {"after_epoch": epoch, "inexact": reasons}]})


def resumed(run: Path) -> list[dict[str, Any]]:
    """Each time that a run was taken up again: `after_epoch`, and `inexact`, the reasons why it could not be exact."""
    try:
        found = json.loads((run / RESUMED).read_text(encoding="utf-8"))["resumed"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError):
        return [{"after_epoch": 0, "inexact": [f"{RESUMED} cannot be read"]}]
    return list(found) if isinstance(found, list) else [{"after_epoch": 0, "inexact": ["by an earlier version"]}]


def reasons(run: Path) -> list[str]:
    """Why a run is not what it would have been without an interruption, each reason once; empty if it is."""
    return list(dict.fromkeys(reason for each in resumed(run) for reason in each["inexact"]))


def is_exact(run: Path) -> bool:
    """Whether a run is what it would have been without an interruption: never broken off, or always gone on exactly."""
    return not reasons(run)
