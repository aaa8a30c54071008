"""What a run writes epoch by epoch: `results.csv` and `curve.csv`, whole or not at all, and shortened on a resume."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icr.writing import whole

CURVE = "curve.csv"


class Table:
    """A CSV file of rows by epoch.

    Args:
        path: of the file.
        until: the last epoch whose rows are kept, where the file is there already; those after it come again.

    Attributes:
        rows: each row's values, by column; texts where they were read from the file.
    """

    def __init__(self, path: Path, until: int = 0) -> None:
        self.path = path
        self.rows: list[Mapping[str, Any]] = []
        if until and path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["epoch"]) <= until]

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Add rows, and write the file anew."""
        self.rows.extend(rows)
        written = io.StringIO()
        columns = list(dict.fromkeys(key for row in self.rows for key in row))
        writer = csv.DictWriter(written, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        with whole(self.path) as part:
            part.write_text(written.getvalue(), encoding="utf-8")

    @property
    def epochs(self) -> int:
        """The last epoch of which there is a row; 0: none."""
        return max((int(row["epoch"]) for row in self.rows), default=0)


def curve_rows(epoch: int, names: Sequence[str], classes: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """The rows of `curve.csv` for an epoch, from COCO's figures by class.

    Example:
        >>> curve_rows(1, ["plate"], [{"AP": 0.25, "AP50": 0.5}])
        [{'epoch': 1, 'class': 'plate', 'AP': 0.25, 'AP50': 0.5}]
    """
    return [
        {"epoch": epoch, "class": name, "AP": figures["AP"], "AP50": figures["AP50"]}
        for name, figures in zip(names, classes, strict=True)
    ]


def mean_ap(rows: Sequence[Mapping[str, Any]], classes: Sequence[str] | None = None) -> float:
    """Mean AP of the rows of one epoch, over those classes that have a value (COCO's -1: none); -1 where none has.

    Example:
        >>> mean_ap([{"class": "plate", "AP": 0.2}, {"class": "bus", "AP": -1.0}, {"class": "car", "AP": 0.4}])
        0.30000000000000004
    """
    wanted = [float(row["AP"]) for row in rows if classes is None or row["class"] in classes]
    known = [value for value in wanted if value >= 0]
    return sum(known) / len(known) if known else -1.0


def best_so_far(table: Table, classes: Sequence[str] | None) -> float:
    """The highest mean AP of the epochs in a curve; minus infinity where it is empty."""
    by_epoch: dict[int, list[Mapping[str, Any]]] = {}
    for row in table.rows:
        by_epoch.setdefault(int(row["epoch"]), []).append(row)
    return max((mean_ap(rows, classes) for rows in by_epoch.values()), default=float("-inf"))
