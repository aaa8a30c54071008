"""The layout of SVMLP: YOLO whose rows carry the pairs by their order, plate then vehicle."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_sets import YAML, yolo_set

from icr.data import formats
from icr.data.check import check

ORDERED = f"{YAML}pairs: order\n".replace("car", "vehicle")
# Two pairs whose vehicles overlap, so that geometry alone could not tell them apart.
PAIRS = ["0 0.5 0.5 0.1 0.05", "1 0.5 0.5 0.6 0.5", "0 0.52 0.5 0.1 0.05", "1 0.5 0.5 0.7 0.6"]


def test_the_order_is_the_pair(tmp_path: Path) -> None:
    dataset = formats.read(yolo_set(tmp_path, {"a": PAIRS}, yaml=ORDERED))
    assert dataset.splits["train"][0].parents.tolist() == [1, -1, 3, -1]
    assert check(dataset) == []


@pytest.mark.parametrize(
    ("rows", "line", "parents"),
    [
        ([*PAIRS[:2], PAIRS[2]], 3, [1, -1, -2]),  # the last plate has lost its vehicle
        ([PAIRS[1], *PAIRS[2:]], 1, [-2, 2, -1]),  # the first vehicle has lost its plate
        ([PAIRS[0], "", PAIRS[2], PAIRS[3]], 1, [-2, 2, -1]),  # a lost line does not shift the pairs after it
        ([*PAIRS[:2], PAIRS[3], PAIRS[2]], 3, [1, -1, -2, -2]),  # a pair stands the wrong way round
    ],
)
def test_a_broken_order_is_a_finding_with_its_line(
    rows: list[str], line: int, parents: list[int], tmp_path: Path
) -> None:
    dataset = formats.read(yolo_set(tmp_path, {"a": rows}, yaml=ORDERED))
    broken = [each for each in dataset.findings if each.id == "pairs.order"]
    assert broken[0].line == line and broken[0].severity == "error"
    assert broken[0].file.endswith("labels/train/a.txt")
    assert dataset.splits["train"][0].parents.tolist() == parents


def test_order_counts_only_where_it_is_declared(tmp_path: Path) -> None:
    dataset = formats.read(yolo_set(tmp_path, {"a": PAIRS}))
    assert (dataset.splits["train"][0].parents == -2).all()
