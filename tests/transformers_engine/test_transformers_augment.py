"""Pairs are kept through every augmentation: property tests over boxes and chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("torchvision")
pytest.importorskip("transformers")

from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_pictures import write_pictures

from icr.data.formats import read
from icr.relations import resolve
from icr.transformers.augment import NONE, Strengths, augment, transforms
from icr.transformers.data import Collate, PairedPictures, Shuffled, sizes_around

ALWAYS = Strengths(1.0, 1.0, 1.0, 0.5)


@st.composite
def scenes(draw):
    """A picture's size and boxes: every odd box is a child of the box before it, lying inside it."""
    width, height = draw(st.integers(40, 120)), draw(st.integers(40, 120))
    boxes, parents = [], []
    for _ in range(draw(st.integers(0, 4))):
        x, y = draw(st.integers(0, width - 30)), draw(st.integers(0, height - 30))
        boxes.append([x, y, x + draw(st.integers(16, 30)), y + draw(st.integers(16, 30))])
        parents.append(-1)
        left, top = draw(st.integers(0, 8)), draw(st.integers(0, 8))
        boxes.append([x + left, y + top, x + left + draw(st.integers(2, 8)), y + top + draw(st.integers(2, 8))])
        parents.append(len(boxes) - 2)
    return (height, width), np.array(boxes, float).reshape(-1, 4), np.array(parents, np.int64)


def sent_through(scene, strengths, seed, size=64):
    shape, boxes, parents = scene
    picture = np.full((*shape, 3), 128, np.uint8)
    labels = np.arange(len(boxes)) % 2
    return augment(picture, boxes, labels, parents, transforms(strengths, size), seed)


@settings(max_examples=80, deadline=None)
@given(scenes(), st.integers(0, 2**31 - 1), st.sampled_from([ALWAYS, Strengths(), Strengths(0, 1.0, 0, 0), NONE]))
def test_each_child_keeps_its_own_parent_or_has_none(scene, seed, strengths):
    parents = scene[2]
    done = sent_through(scene, strengths, seed)
    assert len(done.rows) == len(done.boxes) == len(done.labels) == len(done.parents)
    assert torch.equal(done.labels, done.rows % 2)
    there = set(done.rows.tolist())
    for place, row in enumerate(done.rows.tolist()):
        before, now = int(parents[row]), int(done.parents[place])
        if before in there and before >= 0:
            assert int(done.rows[now]) == before
        else:
            assert now == -1


@settings(max_examples=80, deadline=None)
@given(scenes(), st.integers(0, 2**31 - 1))
def test_boxes_stay_inside_the_picture_and_a_child_inside_its_parent(scene, seed):
    """Every step moves and cuts child and parent alike, so a child that lay inside still does."""
    done = sent_through(scene, ALWAYS, seed)
    first, last = done.boxes[:, :2] - done.boxes[:, 2:] / 2, done.boxes[:, :2] + done.boxes[:, 2:] / 2
    assert bool((first >= -1e-5).all()) and bool((last <= 1 + 1e-5).all())
    assert bool((done.boxes[:, 2:] * 64 >= 1 - 1e-4).all())
    for child, parent in enumerate(done.parents.tolist()):
        if parent >= 0:
            assert bool((first[child] >= first[parent] - 1e-5).all() and (last[child] <= last[parent] + 1e-5).all())


def test_a_child_whose_parent_is_cut_away_has_none():
    """A parent as wide as the picture is lost when its middle lies outside the crop, though its child is seen."""
    boxes, parents = np.array([[0.0, 0, 120, 120], [2, 2, 30, 30]]), np.array([-1, 0])
    found = [sent_through(((120, 120), boxes, parents), Strengths(0, 0, 1.0, 0), seed) for seed in range(300)]
    orphans = [done for done in found if done.rows.tolist() == [1]]
    assert orphans and all(done.parents.tolist() == [-1] for done in orphans)


def test_a_parent_that_is_cut_off_is_its_part_inside():
    boxes, parents = np.array([[0.0, 0, 120, 120], [50, 50, 70, 70]]), np.array([-1, 0])
    found = [sent_through(((120, 120), boxes, parents), Strengths(0, 0, 1.0, 0), seed) for seed in range(100)]
    pairs = [done for done in found if done.rows.tolist() == [0, 1]]
    assert pairs and all(done.boxes[0].tolist() == pytest.approx([0.5, 0.5, 1, 1]) for done in pairs)
    assert any(done.boxes[1, 2] > 20 / 120 + 0.01 for done in pairs)


def test_without_augmentation_boxes_are_those_of_the_labels():
    shape, boxes = (50, 100), np.array([[10.0, 10, 30, 20]])
    done = sent_through((shape, boxes, np.array([-1])), NONE, 0)
    assert done.boxes[0].tolist() == pytest.approx([0.2, 0.3, 0.2, 0.2])
    assert done.pixels.shape == (3, 64, 64) and float(done.pixels.max()) == pytest.approx(128 / 255)


def test_the_same_seed_draws_the_same_and_the_global_chance_is_left_alone():
    scene = ((80, 80), np.array([[10.0, 10, 50, 50]]), np.array([-1]))
    state = torch.get_rng_state()
    one, other, third = (sent_through(scene, ALWAYS, seed) for seed in (3, 3, 4))
    assert torch.equal(one.pixels, other.pixels) and torch.equal(one.boxes, other.boxes)
    assert not torch.equal(one.pixels, third.pixels)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.fixture(scope="module")
def paired(pictures):
    dataset = read(pictures)
    samples, relations = dataset.splits["train"], resolve(dataset.relations, dataset.names)

    def make(**others):
        return PairedPictures(samples, relations, size=96, **others)

    return make


def test_a_batch_has_what_the_models_take(paired):
    data = paired(strengths=ALWAYS)
    batch = Collate()([data[0], data[1]])
    assert batch["pixel_values"].shape == (2, 3, 96, 96) and batch["pixel_values"].dtype == torch.float32
    for label in batch["labels"]:
        assert label.keys() == {"class_labels", "boxes", "parent", "size"} and label["size"].tolist() == [96, 96]
        assert len(label["class_labels"]) == len(label["boxes"]) == len(label["parent"])
        children = label["parent"] >= 0
        assert bool((label["class_labels"][children] == 0).all())
        assert bool((label["class_labels"][label["parent"][children]] == 1).all())


def test_pairs_are_those_of_the_data(paired):
    data = paired()
    assert sum(int((parents >= 0).sum()) for parents in data.parents) > 0
    for index in range(len(data)):
        assert data[index].picture.parents.tolist() == data.parents[index].tolist()


def test_what_is_drawn_depends_on_seed_epoch_and_picture_alone(paired):
    one, other = paired(strengths=ALWAYS, seed=1), paired(strengths=ALWAYS, seed=1)
    _ = other[3], other[2]
    assert torch.equal(one[(5, 0)].picture.pixels, other[(5, 0)].picture.pixels)
    assert not torch.equal(one[(5, 0)].picture.pixels, one[(6, 0)].picture.pixels)
    assert not torch.equal(one[(5, 0)].picture.pixels, paired(strengths=ALWAYS, seed=2)[(5, 0)].picture.pixels)


def test_the_last_epochs_have_the_mirror_alone(paired):
    data, plain = paired(strengths=Strengths(1, 1, 1, 0), strong_until=2), paired()
    assert not torch.equal(data[(1, 0)].picture.pixels, plain[0].picture.pixels)
    assert torch.equal(data[(2, 0)].picture.pixels, plain[0].picture.pixels)


def test_the_order_changes_from_epoch_to_epoch_and_holds_each_picture_once(paired):
    data = paired()
    first = list(Shuffled(data))
    data.epoch = 1
    second = list(Shuffled(data))
    assert sorted(index for _, index in first) == sorted(index for _, index in second) == list(range(len(data)))
    assert [index for _, index in first] != [index for _, index in second]
    assert {epoch for epoch, _ in second} == {1}


def test_batches_differ_in_size_while_the_augmentation_is_strong(paired):
    data, collate = paired(strong_until=20), Collate(sizes_around(96))
    sides = {collate([data[(epoch, 0)]])["pixel_values"].shape[-1] for epoch in range(20)}
    assert sides == {64, 96, 128}
    assert collate([data[(20, 0)]])["pixel_values"].shape[-1] == 96
    assert sizes_around(640)[0] == 480 and sizes_around(640)[-1] == 800 and sizes_around(640).count(640) == 3


def test_pictures_without_boxes_are_taken(tmp_path):
    dataset = read(write_pictures(tmp_path, {"train": 2, "val": 1}, empty=True))
    data = PairedPictures(dataset.splits["train"], resolve(dataset.relations, dataset.names), strengths=ALWAYS, size=64)
    batch = Collate()([data[0], data[1]])
    assert [len(label["boxes"]) for label in batch["labels"]] == [0, 0]
