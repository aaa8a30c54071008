# SPDX-License-Identifier: AGPL-3.0-only
"""`curve.csv`: AP and AP50 of each class on val after each epoch, by Ultralytics' own validation."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

NAME = "curve.csv"
_COLUMNS = ("epoch", "class", "AP", "AP50")


def append(path: Path, epoch: int, metrics: Any) -> None:
    """Add the rows of an epoch; a class of which the validation pictures hold no box has none.

    Args:
        epoch: from 1.
        metrics: Ultralytics' `DetMetrics`, just processed.
    """
    box = metrics.box
    found = list(zip(box.ap_class_index, box.ap, box.ap50, strict=True)) if len(box.ap_class_index) else []
    new = not path.is_file()
    with path.open("a", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        if new:
            writer.writerow(_COLUMNS)
        writer.writerows([epoch, metrics.names[int(name)], f"{ap:.6f}", f"{ap50:.6f}"] for name, ap, ap50 in found)


def cut(path: Path, epoch: int, replaced: Callable[..., Any]) -> None:
    """Leave the rows of a table, `epoch` first, up to an epoch; half a row goes too.

    Args:
        epoch: from 1; the last to stay.
        replaced: gives a file to write that then takes the other's place.
    """
    if not path.is_file():
        return
    head, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True) or [""]
    kept = [row for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= epoch]
    with replaced(path) as part:
        part.write_text("".join([head, *kept]), encoding="utf-8")
