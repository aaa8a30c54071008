"""Labels that slipped by one picture: what a picture tells, what a run of them tells, and when nothing is said."""

from __future__ import annotations

import dataclasses
import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from icr.data import cache, formats
from icr.data.check import check
from icr.data.dataset import Dataset, Finding, Sample
from icr.data.pictures import Question as Asked
from icr.data.pictures import decode_all
from icr.data.shifted import (
    BETTER,
    CELLS,
    CERTAIN,
    UNTOLD,
    WORSE,
    Edges,
    Placed,
    Question,
    Run,
    Votes,
    alike,
    cells,
    report,
)

SIZE = 96
LONG_AGO = (10**9, 10**9)
Box = tuple[int, int, int, int]


def drawn(boxes: Sequence[Box], seed: int = 0) -> Image.Image:
    """A noisy picture of 96 by 96 pixels with bright rectangles."""
    noise = np.random.default_rng(seed).integers(40, 90, (SIZE, SIZE), np.uint8)
    image = Image.fromarray(noise)
    pen = ImageDraw.Draw(image)
    for at, (left, top, right, bottom) in enumerate(boxes):
        pen.rectangle((left, top, right - 1, bottom - 1), fill=170 + 20 * at)
    return image


def placed(seed: int) -> list[Box]:
    """Two rectangles somewhere."""
    chance = np.random.default_rng(seed)
    low, sides = chance.integers(2, 48, (2, 2)), chance.integers(12, 45, (2, 2))
    return [(int(x), int(y), int(x + w), int(y + h)) for (x, y), (w, h) in zip(low, sides, strict=True)]


def sample_of(boxes: Sequence[Sequence[float]], width: int = SIZE, height: int = SIZE) -> Sample:
    count = len(boxes)
    made = np.array(boxes, np.float64).reshape(count, 4)
    return Sample(Path("a.png"), width, height, made, np.zeros(count, np.int64), np.full(count, -2))


def yolo(root: Path, labels: Sequence[Sequence[Box]], pictures: Sequence[Sequence[Box]]) -> Path:
    """A YOLO set whose pictures show some boxes and whose labels name others, picture by picture; written long ago."""
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
    (root / "data.yaml").write_text("train: images/train\nnames: [thing]\n")
    for at, (named, shown) in enumerate(zip(labels, pictures, strict=True)):
        image, label = root / f"images/train/{at:03}.png", root / f"labels/train/{at:03}.txt"
        drawn(shown, at).save(image)
        label.write_text("".join(row(box) for box in named))
        os.utime(image, LONG_AGO)
        os.utime(label, LONG_AGO)
    return root


def row(box: Box) -> str:
    left, top, right, bottom = (each / SIZE for each in box)
    return f"0 {(left + right) / 2:.6f} {(top + bottom) / 2:.6f} {right - left:.6f} {bottom - top:.6f}\n"


def told(findings: Sequence[Finding]) -> list[Finding]:
    return [each for each in findings if each.id == "labels.shifted"]


def test_the_fit_is_the_mean_logarithm_of_the_steps_at_the_four_sides() -> None:
    image = Image.fromarray(np.zeros((CELLS, CELLS), np.uint8))
    ImageDraw.Draw(image).rectangle((20, 30, 59, 69), fill=200)
    boxes = np.array([(20, 30, 60, 70), (21, 30, 60, 70), (20, 30, 60, 50), (2, 2, 9, 9)], np.uint8)
    step = math.log(201)
    # the right one; its left side one cell off (which leaves nothing there, and 39 of 39 cells above and below);
    # its lower side inside; elsewhere
    assert Edges(image).fit(boxes) == pytest.approx([step, 3 * step / 4, 3 * step / 4, 0])


def test_sides_at_the_edge_of_the_picture_are_taken_one_cell_further_in() -> None:
    image = Image.fromarray(np.tile(np.array([0, 10] + [10] * 94, np.uint8), (CELLS, 1)))
    whole = np.array([(0, 0, CELLS, CELLS)], np.uint8)
    assert Edges(image).fit(whole) == pytest.approx(math.log(11) / 4)


@given(st.lists(st.tuples(*[st.floats(-50, 150)] * 4), max_size=20), st.integers(0, 3000), st.integers(0, 3000))
def test_boxes_on_the_grid_lie_on_it_and_have_an_extent(
    boxes: list[tuple[float, ...]], width: int, height: int
) -> None:
    ordered = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in boxes]
    packed = np.frombuffer(cells(sample_of(ordered, width, height)), np.uint8).reshape(-1, 4)
    assert len(packed) <= len(boxes)
    assert (packed[:, :2] < packed[:, 2:]).all() and (packed <= CELLS).all()


BOXES = st.lists(
    st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 6), st.integers(1, 6)).map(
        lambda each: (each[0], each[1], each[0] + each[2], each[1] + each[3])
    ),
    min_size=1,
    max_size=5,
)


@given(BOXES, BOXES)
def test_alike_is_symmetric_and_one_for_the_same_boxes(one: list[Box], other: list[Box]) -> None:
    a, b = np.array(one, np.uint8), np.array(other, np.uint8)
    assert alike(a, b) == pytest.approx(alike(b, a)) and 0 <= alike(a, b) <= 1 + 1e-12
    assert alike(a, a) == pytest.approx(1)


@given(BOXES, BOXES, st.integers(0, 50))
@settings(max_examples=40, deadline=None)
def test_whose_boxes_are_whose_turns_the_vote(one: list[Box], other: list[Box], seed: int) -> None:
    a, b = (np.array(each, np.uint8).tobytes() for each in (one, other))
    luma = drawn(placed(seed), seed)
    forth, back = Question(b"", a, b).answer(luma)[1], Question(b"", b, a).answer(luma)[1]
    assert forth == 2 - back and Question(b, a, b"").answer(luma) == bytes((forth, UNTOLD))


def test_a_picture_votes_for_the_boxes_that_it_shows() -> None:
    shown, elsewhere = cells(sample_of(placed(1))), cells(sample_of(placed(2)))
    luma = drawn(placed(1))
    assert Question(elsewhere, shown, elsewhere).answer(luma) == bytes((WORSE, WORSE))
    assert Question(shown, elsewhere, b"").answer(luma) == bytes((BETTER, UNTOLD))
    moved = cells(sample_of([(a + 3, b, c + 3, d) for a, b, c, d in placed(1)]))
    assert Question(moved, shown, shown).answer(luma) == bytes((UNTOLD, UNTOLD))  # the next frame of a slow scene
    keys = {Question(*each).key for each in ((shown, elsewhere, b""), (b"", shown, elsewhere), (elsewhere, shown, b""))}
    assert len(keys) == 3


def test_neighbours_are_of_the_same_split_and_files_without_boxes_ask_nothing() -> None:
    every = Placed()
    for split, at in (("train", 1), ("train", 2), ("train", None), ("val", 3), ("val", 4)):
        every.add(split, sample_of(placed(at) if at else []))
    boxes = [cells(sample_of(placed(at))) for at in (1, 2, 3, 4)]
    assert every.question(0) == Question(b"", boxes[0], boxes[1])
    assert every.question(1) == Question(boxes[0], boxes[1], b"")
    assert every.question(2) is None
    assert every.question(3) == Question(b"", boxes[2], boxes[3])
    assert every.question(4) == Question(boxes[2], boxes[3], b"")


def counted(votes: Sequence[int], split: Sequence[str] | None = None, certain: float = CERTAIN) -> list[Run]:
    """The runs among votes for the boxes after."""
    every = Votes(certain)
    for at, vote in enumerate(votes):
        every.add(split[at] if split else "train", at, bytes((UNTOLD, vote)))
    return every.runs()


def test_a_long_run_is_found_with_its_ends_and_a_short_one_is_not() -> None:
    around = [WORSE] * 30
    votes = [*around, *[BETTER] * 20, UNTOLD, WORSE, *[BETTER] * 20, *around]
    (run,) = counted(votes)
    # the boxes after the picture at 30 are those of file 31, which belong to the picture before it
    assert (run.first, run.last, run.step, run.better, run.told) == (31, 72, -1, 40, 41)
    assert run.probability == pytest.approx(2 * 101 / (1.7**40 * 0.3))
    assert counted([*around, *[BETTER] * 25, *around]) == []
    assert counted([WORSE, BETTER] * 100) == counted([BETTER, BETTER, WORSE] * 25) == counted([UNTOLD] * 100) == []


def test_runs_do_not_reach_from_split_to_split_and_there_can_be_several() -> None:
    assert len(counted([BETTER] * 44, ["train"] * 44)) == 1
    assert counted([BETTER] * 44, ["train"] * 22 + ["val"] * 22) == []
    two = counted([BETTER] * 40 + [WORSE] * 60 + [BETTER] * 50)
    assert [(each.first, each.last) for each in two] == [(1, 40), (101, 150)]


def test_votes_for_the_boxes_before_are_labels_that_belong_one_further_on() -> None:
    every = Votes()
    for at in range(50):
        every.add("train", at, bytes((BETTER if at else UNTOLD, WORSE)))
    (run,) = every.runs()
    assert (run.first, run.last, run.step) == (0, 48, 1)


def test_the_probability_holds_where_either_vote_is_as_likely() -> None:
    chance = np.random.default_rng(0)
    least = [
        min((run.probability for run in counted(chance.choice([WORSE, BETTER], 60).tolist(), certain=0.5)), default=1)
        for _ in range(1500)
    ]
    for level in (0.3, 0.1, 0.03):
        assert np.mean(np.array(least) < level) <= level
    assert min(least) < 0.3  # it is no empty bound


def test_a_finding_names_both_ends_the_way_and_how_sure_it_is() -> None:
    run = Run(4, 45, -1, 40, 41, 3.2e-7)
    (finding,) = report([(run, "/d/images/004.jpg", "/d/images/045.jpg")])
    assert (finding.id, finding.severity, finding.file) == ("labels.shifted", "warning", "/d/images/004.jpg")
    assert "fit the picture before theirs: 40 of the 41 that can tell (p < 1e-6)" in finding.message
    assert finding.message.endswith("shift the labels from 004.jpg to 045.jpg back by one")
    (other,) = report([(dataclasses.replace(run, step=1), "/d/004.jpg", "/d/045.jpg")])
    assert "fit the picture after theirs" in other.message and other.message.endswith("on by one")


@pytest.mark.parametrize("step", [1, -1])
def test_labels_that_slipped_are_found_where_they_begin(tmp_path: Path, step: int) -> None:
    shown = [placed(at) for at in range(65)]
    labels = [shown[at if at < 20 else min(at - step, 64)] for at in range(65)]
    (finding,) = told(check(formats.read(yolo(tmp_path / "set", labels, shown))))
    first, last = (int(Path(finding.file).stem), int(finding.message.split(" to ")[1].split(".")[0]))
    assert abs(first - 20) <= 2 and abs(last - 64) <= 2
    assert f"fit the picture {'before' if step == 1 else 'after'} theirs" in finding.message


def test_nothing_is_said_of_right_labels_shuffled_ones_and_few(tmp_path: Path) -> None:
    shown = [placed(at) for at in range(60)]
    assert not told(check(formats.read(yolo(tmp_path / "right", shown, shown))))
    shuffled = [shown[at] for at in np.random.default_rng(1).permutation(60)]
    assert not told(check(formats.read(yolo(tmp_path / "shuffled", shuffled, shown))))
    assert not told(check(formats.read(yolo(tmp_path / "few", [*shown[1:15], shown[0]], shown[:15]))))


def test_nothing_is_said_of_a_slow_scene(tmp_path: Path) -> None:
    """A slip by one frame there moves the boxes by a few pixels, as drawing them loosely does."""
    shown: list[list[Box]] = [[(5 + at // 2, 30, 45 + at // 2, 60)] for at in range(80)]
    late = [shown[max(at - 1, 0)] for at in range(80)]
    loose: list[list[Box]] = [[(a - 3, b, c - 3, d + 4)] for ((a, b, c, d),) in shown]
    for name, labels in {"right": shown, "late": late, "loose": loose}.items():
        assert not told(check(formats.read(yolo(tmp_path / name, labels, shown))))


def test_a_second_check_says_the_same_and_decodes_only_whose_labels_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decodings: list[str] = []

    def watched(paths: Sequence[Path], questions: Sequence[Asked | None] | None = None) -> object:
        decodings.extend(path.stem for path in paths)
        return decode_all(paths, questions)

    monkeypatch.setattr(cache, "decode_all", watched)
    shown = [placed(at) for at in range(50)]
    root = yolo(tmp_path / "set", [shown[0], *shown[:-1]], shown)
    first = check(formats.read(root))
    assert len(told(first)) == 1 and len(decodings) == 50
    decodings.clear()
    assert check(formats.read(root, skim=True)) == first and decodings == []
    changed = root / "labels/train/010.txt"
    changed.write_text(row((3, 3, 20, 20)))
    os.utime(changed, LONG_AGO)
    assert len(told(check(formats.read(root)))) == 1
    assert decodings == ["009", "010", "011"]


def slipped(dataset: Dataset, start: int, step: int) -> Dataset:
    """The labels of each split from some picture on slipped by one, as shares of the pictures."""
    splits = {}
    for split, samples in dataset.splits.items():
        made = list(samples)
        for at in range(start, len(made)):
            of, to = samples[min(at - step, len(made) - 1)], samples[at]
            scale = np.array([to.width, to.height] * 2) / np.array([of.width, of.height] * 2)
            made[at] = dataclasses.replace(to, boxes=of.boxes * scale, labels=of.labels, parents=of.parents)
        splits[split] = made
    return dataclasses.replace(dataset, splits=splits)


def test_on_real_photographs(oid_car_plate: Path) -> None:
    dataset = formats.read(oid_car_plate)
    assert not told(check(dataset))
    for step, where in ((1, "before"), (-1, "after")):
        (finding,) = told(check(slipped(dataset, 90, step)))
        train = [str(each.image) for each in dataset.splits["train"]]
        assert f"fit the picture {where} theirs" in finding.message
        assert abs(train.index(finding.file) - 90) <= 3


@pytest.mark.slow
def test_on_generated_scenes_in_yolo_layout(tmp_path: Path) -> None:
    from icr.data.synth import generate

    generate(tmp_path / "set", counts={"train": 80}, size=(640, 360), seed=3)
    assert not told(check(formats.read(tmp_path / "set")))
    shutil.rmtree(tmp_path / "set" / "pairs")
    files = sorted((tmp_path / "set" / "labels" / "train").glob("*.txt"))
    rows = [file.read_text() for file in files]
    for file, text in zip(files[30:], rows[29:], strict=False):
        file.write_text(text)
    (finding,) = told(check(formats.read(tmp_path / "set")))
    assert "fit the picture before theirs" in finding.message
    assert abs(files.index(tmp_path / "set" / "labels" / "train" / f"{Path(finding.file).stem}.txt") - 30) <= 2
