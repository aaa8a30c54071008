"""Published sets with files spoilt at random: findings, or one line of error, and never a traceback."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from skimmed import read_both_ways  # noqa: F401 (a fixture)
from test_published_sets import SETS

from icr.data import formats
from icr.data.check import check
from icr.data.findings import KINDS
from icr.errors import InputError

pytestmark = pytest.mark.usefixtures("read_both_ways")

LABELS = (".txt", ".xml", ".zip", ".json")


def spoil(data: bytes, draw: random.Random) -> bytes:
    """Cut, double, flip or blank a part of a file."""
    if not data:
        return b"\xff\x00"
    start = draw.randrange(len(data))
    end = min(len(data), start + draw.randrange(1, 40))
    way = draw.randrange(6)
    if way == 0:
        return data[:start]
    if way == 1:
        return data[:end] + data[start:end] * draw.randrange(1, 5) + data[end:]
    if way == 2:
        return data[:start] + bytes(draw.randrange(256) for _ in range(end - start)) + data[end:]
    if way == 3:
        return data[:start] + draw.choice([b"nan", b"-1e999", b"\n", b"9" * 400, b"<!DOCTYPE a>", b"[[[["]) + data[end:]
    if way == 4:
        return data[:start] + data[end:]
    return data.decode("utf-8", "replace").encode(draw.choice(["utf-16", "gb18030", "utf-8-sig"]))


@pytest.mark.parametrize("format", SETS)
@pytest.mark.parametrize("seed", [0, 1, 16])
def test_spoilt_at_random(format: str, seed: int, tmp_path: Path) -> None:
    draw = random.Random(f"{format}{seed}")
    sound = SETS[format](tmp_path / "sound")
    for turn in range(12):
        root = tmp_path / f"spoilt {turn}"
        shutil.copytree(sound, root)
        files = sorted(each for each in root.rglob("*") if each.is_file())
        labels = [each for each in files if each.suffix in LABELS]
        for each in {draw.choice(labels), draw.choice(files)}:
            each.write_bytes(spoil(each.read_bytes(), draw))
        try:
            dataset = formats.read(root, format=format)
        except InputError as error:
            assert "\n" not in str(error)
            continue
        for each in check(dataset, dataset.relations):
            assert KINDS[each.id].severity == each.severity
            assert "\n" not in each.message and each.file
        for samples in dataset.splits.values():
            for sample in samples:
                assert len(sample.boxes) == len(sample.labels) == len(sample.parents)
                assert (sample.parents < len(sample.boxes)).all()
                assert not sample.box_attributes or len(sample.box_attributes) == len(sample.boxes)
