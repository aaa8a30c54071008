"""Labels spoiled on purpose: four ways, at the share that was asked for, with the clean ones kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from icr.data.formats import read
from icr.data.synth import CLOSE, generate
from icr.data.synth.noise import FAULTS, spoil
from icr.errors import InputError

TINY = replace(CLOSE, size=(192, 144), plate_width=18.0, plate_limits=(11.0, 40.0), plates=(2, 2), mean_plates=2)
LABELS = np.array([0, 1, 0, 1])
BOXES = np.array([[20.0, 20, 30, 24], [10, 10, 40, 30], [70, 60, 90, 66], [60, 40, 99, 80]])
PAIRS = ((0, 1), (2, 3))


def many(share: float) -> list:
    return [spoil(LABELS, BOXES, PAIRS, (100, 100), share, np.random.default_rng([9, seed])) for seed in range(800)]


def test_all_four_faults_come_at_the_share_asked_for() -> None:
    faults = [spoiling.fault for done in many(0.3) for spoiling in done.spoilings]
    assert len(faults) / 1600 == pytest.approx(0.3, abs=0.04)
    for fault in FAULTS:
        assert faults.count(fault) / len(faults) == pytest.approx(0.25, abs=0.08)


def test_each_fault_does_what_it_says_and_leaves_the_rest() -> None:
    for done in many(0.3):
        faults = {spoiling.row: spoiling.fault for spoiling in done.spoilings}
        kept = [row for row in range(4) if faults.get(row) != "missing"]
        assert done.labels.tolist() == LABELS[kept].tolist()
        parents = {kept[child]: kept[parent] for child, parent in done.pairs}
        for row in kept:
            box, clean = done.boxes[kept.index(row)], BOXES[row]
            fault = faults.get(row)
            extent, own = box[2:] - box[:2], clean[2:] - clean[:2]
            assert (box[:2] >= 0).all() and (box[2:] <= 100).all()
            if fault == "undersized":
                assert (box[:2] > clean[:2]).all() and (box[2:] < clean[2:]).all()
            elif fault == "shifted":
                assert extent == pytest.approx(own)
                assert (np.abs(box - clean)[:2] >= 0.29 * own).any()
            else:
                assert box.tolist() == clean.tolist()
            if row in (0, 2):
                assert (parents[row] != dict(PAIRS)[row]) == (fault == "wrong_pair")


def test_a_child_whose_parent_row_is_gone_has_none() -> None:
    """A chain of helmet, rider and motorcycle, in which the rider is a child as well."""
    labels, boxes = np.array([0, 1, 2]), np.array([[40.0, 10, 50, 20], [30, 10, 60, 60], [20, 10, 70, 90]])
    seen = False
    for seed in range(200):
        done = spoil(labels, boxes, ((0, 1), (1, 2)), (100, 100), 0.5, np.random.default_rng(seed))
        faults = {spoiling.row: spoiling.fault for spoiling in done.spoilings}
        if faults.get(1) == "missing" and faults.get(0) != "missing":
            assert done.pairs == ((0, -1),)
            seen = True
    assert seen


def test_no_share_spoils_nothing() -> None:
    done = spoil(LABELS, BOXES, PAIRS, (100, 100), 0.0, np.random.default_rng(0))
    assert (done.boxes == BOXES).all() and done.pairs == PAIRS and not done.spoilings


def test_only_training_labels_are_spoiled_and_the_clean_ones_stay_beside(tmp_path: Path) -> None:
    generate(tmp_path / "clean", counts={"train": 6, "val": 2}, close=TINY, seed=4, workers=1)
    generate(tmp_path / "noisy", counts={"train": 6, "val": 2}, close=TINY, seed=4, workers=1, label_noise=0.8)
    manifest = json.loads((tmp_path / "noisy/manifest.json").read_text())
    spoiled = {entry["image"]: entry["spoiled"] for entry in manifest["images"] if entry.get("spoiled")}
    assert spoiled and all(image.startswith("images/train/") for image in spoiled)
    for file in sorted((tmp_path / "clean").rglob("*.txt")):
        kind, split, name = file.relative_to(tmp_path / "clean").parts
        noisy = tmp_path / "noisy" / kind / split / name
        if split == "train":
            assert (tmp_path / "noisy" / f"{kind}-clean" / split / name).read_bytes() == file.read_bytes()
        else:
            assert noisy.read_bytes() == file.read_bytes()
    changed = [
        file.name
        for file in (tmp_path / "clean/labels/train").iterdir()
        if file.read_bytes() != (tmp_path / "noisy/labels/train" / file.name).read_bytes()
        or (tmp_path / "clean/pairs/train" / file.name).read_bytes()
        != (tmp_path / "noisy/pairs/train" / file.name).read_bytes()
    ]
    assert {f"images/train/{Path(name).stem}.jpg" for name in changed} == set(spoiled)
    for file in (tmp_path / "clean/images/train").iterdir():
        assert (tmp_path / "noisy/images/train" / file.name).read_bytes() == file.read_bytes()
    dataset = read(tmp_path / "noisy")
    assert not [finding for finding in dataset.findings if finding.severity == "error"]


@pytest.mark.parametrize(("share", "counts"), [(1.5, {"train": 2}), (-0.1, {"train": 2}), (0.2, {"val": 2})])
def test_noise_that_cannot_be_made_is_refused(tmp_path: Path, share: float, counts: dict[str, int]) -> None:
    with pytest.raises(InputError, match="label noise is"):
        generate(tmp_path / "new", counts=counts, close=TINY, label_noise=share, workers=1)
