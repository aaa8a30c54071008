"""Pairs for sets that state none: assignment, doubts, decisions by hand."""

from __future__ import annotations

import dataclasses
from itertools import permutations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from icr.data import formats
from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.data.pairing import Candidate, Proposal, assign, declared, propose, shares_inside
from icr.errors import InputError
from icr.relations import HALF, Relation, ResolvedRelation, resolve

RELATIONS = (ResolvedRelation(0, (1, 2)),)
PLATE, OTHER_PLATE = [165.0, 185, 195, 195], [110.0, 185, 140, 195]
CAR, WIDER, FAR = [100.0, 100, 260, 220], [50.0, 50, 300, 300], [400.0, 400, 500, 500]


def dataset(*pictures: tuple[list[list[float]], list[int]], stated: list[list[int]] | None = None) -> Dataset:
    samples = []
    for number, (boxes, labels) in enumerate(pictures):
        parents = np.array(stated[number] if stated else [UNSTATED] * len(labels), np.int64)
        placed = np.array(boxes, np.float64).reshape(-1, 4)
        samples.append(Sample(Path(f"/d/{number}.jpg"), 640, 512, placed, np.array(labels, np.int64), parents))
    return Dataset(Path("d"), "yolo", ["plate", "car", "bus", "sign"], {"train": samples})


def parents(proposal: Proposal, picture: int = 0) -> list[int]:
    return list(proposal.dataset.splits["train"][picture].parents.tolist())


def test_many_to_one_leaves_the_doubtful_child_open() -> None:
    made = propose(dataset(([PLATE, OTHER_PLATE, CAR, WIDER, FAR, FAR], [0, 0, 1, 2, 0, 3])), RELATIONS)
    assert parents(made) == [UNSTATED, UNSTATED, NO_PARENT, NO_PARENT, NO_PARENT, NO_PARENT]
    first, second = made.doubts
    assert first.place == ("train", "0.jpg", 0) and second.place == ("train", "0.jpg", 1)
    assert first.candidates == (Candidate(2, 1.0), Candidate(3, 1.0)) and first.suggested == 2
    assert (made.pairs, made.orphans, made.kept, made.decided) == (0, 1, 0, 0)
    guessed = propose(dataset(([PLATE, CAR, WIDER], [0, 1, 2])), RELATIONS, guess=True)
    assert parents(guessed) == [1, NO_PARENT, NO_PARENT] and len(guessed.doubts) == 1


def test_the_set_is_left_as_it_was() -> None:
    before = dataset(([PLATE, CAR], [0, 1]))
    made = propose(before, RELATIONS)
    assert before.splits["train"][0].parents.tolist() == [UNSTATED, UNSTATED]
    assert parents(made) == [1, NO_PARENT] and made.pairs == 1


def test_one_to_one_pairs_what_geometry_alone_gets_wrong() -> None:
    # Both plates lie in the wider box, one of them in the smaller too: two plates would share it, or be in doubt.
    beside = [60.0, 60, 90, 70]
    made = propose(dataset(([PLATE, beside, CAR, WIDER], [0, 0, 1, 1])), RELATIONS, one_to_one=[0])
    assert parents(made)[:2] == [2, 3] and made.doubts == []


def test_one_to_one_doubts_only_what_could_be_otherwise() -> None:
    made = propose(dataset(([PLATE, OTHER_PLATE, CAR, WIDER], [0, 0, 1, 1])), RELATIONS, one_to_one=[0])
    assert parents(made)[:2] == [UNSTATED, UNSTATED]
    assert [each.place[2] for each in made.doubts] == [0, 1]
    assert {each.suggested for each in made.doubts} == {2, 3}


def test_two_plates_in_one_car() -> None:
    made = propose(dataset(([PLATE, OTHER_PLATE, CAR], [0, 0, 1])), RELATIONS, one_to_one=[0])
    assert sorted(each.suggested for each in made.doubts) == [NO_PARENT, 2]
    # One that sticks out has the weaker claim, which is no matter of doubt.
    out = [90.0, 185, 115, 195]
    made = propose(dataset(([PLATE, out, CAR], [0, 0, 1])), RELATIONS, one_to_one=[0])
    assert parents(made)[:2] == [2, NO_PARENT] and made.doubts == [] and made.orphans == 1


def test_children_go_where_such_children_usually_lie() -> None:
    """Two plates and two cars that overlap wholly: the middle of the lower half is where plates are."""
    usual = [([[x + 40.0, 80, x + 60, 90], [x, 0, x + 100.0, 100]], [0, 1]) for x in range(0, 400, 40)]
    left, right = [0.0, 0, 100, 100], [30.0, 0, 130, 100]
    in_left, in_right = [40.0, 80, 60, 90], [70.0, 80, 90, 90]
    for order in permutations([0, 1]):
        plates = [[in_left, in_right][place] for place in order]
        made = propose(dataset(([*plates, left, right], [0, 0, 1, 1]), *usual), RELATIONS, one_to_one=[0], guess=True)
        assert parents(made)[:2] == [2 + place for place in order]
        assert len(made.doubts) == 2


def test_what_the_data_states_stays_and_holds_its_parent() -> None:
    before = dataset(([PLATE, OTHER_PLATE, CAR], [0, 0, 1]), stated=[[2, UNSTATED, UNSTATED]])
    made = propose(before, RELATIONS, one_to_one=[0])
    assert parents(made)[:2] == [2, NO_PARENT] and made.kept == 1
    before = dataset(([PLATE, CAR], [0, 1]), stated=[[NO_PARENT, NO_PARENT]])
    assert parents(propose(before, RELATIONS)) == [NO_PARENT, NO_PARENT]


def test_decisions_come_first() -> None:
    before = dataset(([PLATE, OTHER_PLATE, CAR, WIDER], [0, 0, 1, 1]), stated=[[2, UNSTATED, UNSTATED, UNSTATED]])
    made = propose(before, RELATIONS, decisions={("train", "0.jpg", 0): 3, ("train", "0.jpg", 1): NO_PARENT})
    assert parents(made)[:2] == [3, NO_PARENT]
    assert (made.decided, made.kept, made.doubts) == (2, 0, [])
    one = propose(before, RELATIONS, one_to_one=[0], decisions={("train", "0.jpg", 0): 3})
    assert parents(one)[:2] == [3, 2], "the assignment takes what the decision leaves"


def test_decisions_that_contradict_one_to_one_are_refused() -> None:
    twice = {("train", "0.jpg", 0): 2, ("train", "0.jpg", 1): 2}
    before = dataset(([PLATE, OTHER_PLATE, CAR], [0, 0, 1]))
    assert parents(propose(before, RELATIONS, decisions=twice))[:2] == [2, 2]
    with pytest.raises(InputError, match=r"give box 2 of 0\.jpg \(train\) to the children 0 and 1"):
        propose(before, RELATIONS, one_to_one=[0], decisions=twice)


def test_a_chain_with_one_link_one_to_one() -> None:
    chain = (ResolvedRelation(0, (1,)), ResolvedRelation(1, (2,)))
    helmet, rider, second, bike = [10.0, 0, 20, 10], [0.0, 0, 40, 60], [30.0, 0, 70, 60], [0.0, 0, 100, 100]
    made = propose(dataset(([helmet, rider, second, bike], [0, 1, 1, 2])), chain, one_to_one=[0])
    assert parents(made) == [1, 3, 3, NO_PARENT]


def test_pictures_without_children_or_parents() -> None:
    made = propose(dataset(([], []), ([PLATE], [0]), ([CAR], [1])), RELATIONS, one_to_one=[0])
    assert [parents(made, picture) for picture in range(3)] == [[], [NO_PARENT], [NO_PARENT]]


def test_declared_relations_are_kept_beside_the_chosen() -> None:
    before = dataclasses.replace(dataset(), relations=(Relation("plate", "car"), Relation("sign", "bus")))
    assert declared(before, [Relation("plate", "bus")]) == (Relation("plate", "bus"), Relation("sign", "bus"))


matrices = st.tuples(st.integers(0, 5), st.integers(0, 5)).flatmap(
    lambda shape: arrays.arrays(np.float64, shape, elements=st.sampled_from([0.0, 0.3, 0.5, 0.7, 0.9995, 1.0]))
)


@settings(max_examples=200, deadline=None)
@given(matrices, st.integers(0, 9))
def test_assignment(shares: npt.NDArray[np.float64], seed: int) -> None:
    likeness = np.random.default_rng(seed).random(shares.shape)
    chosen, doubtful = assign(shares, likeness)
    taken = chosen[chosen >= 0]
    assert len(set(taken.tolist())) == len(taken), "no parent has two children"
    assert all(shares[child, parent] >= HALF for child, parent in enumerate(chosen) if parent >= 0)
    assert not doubtful[~(shares >= HALF).any(1)].any()
    best = naive_best(shares)
    found = sum(shares[child, parent] for child, parent in enumerate(chosen) if parent >= 0)
    assert best - 0.001 * len(shares) - 1e-9 <= found <= best + 1e-9


def naive_best(shares: npt.NDArray[np.float64]) -> float:
    """The largest sum of shares of at least a half over all assignments, by trying each."""
    if not len(shares):
        return 0.0
    rest = shares[1:]
    best = naive_best(rest)
    for parent in range(shares.shape[1]):
        if shares[0, parent] >= HALF:
            best = max(best, shares[0, parent] + naive_best(np.delete(rest, parent, 1)))
    return best


@st.composite
def crowds(draw: st.DrawFn) -> Dataset:
    corner = st.integers(0, 60)
    side = st.integers(1, 60)
    boxes, labels = [], []
    for _ in range(draw(st.integers(0, 9))):
        x, y, wide, high = draw(corner), draw(corner), draw(side), draw(side)
        boxes.append([float(x), float(y), float(x + wide), float(y + high)])
        labels.append(draw(st.sampled_from([0, 0, 1, 2, 3])))
    return dataset((boxes, labels))


@settings(max_examples=100, deadline=None)
@given(crowds(), st.booleans())
def test_no_parent_gets_two_children_and_each_pair_is_one(made: Dataset, guess: bool) -> None:
    result = propose(made, RELATIONS, one_to_one=[0], guess=guess)
    sample = result.dataset.splits["train"][0]
    found = sample.parents[sample.parents >= 0]
    assert len(set(found.tolist())) == len(found)
    for child in np.flatnonzero(sample.parents >= 0):
        assert sample.labels[child] == 0 and sample.labels[sample.parents[child]] in (1, 2)
        pair = sample.boxes[[child]], sample.boxes[sample.parents[[child]]]
        assert shares_inside(*pair)[0, 0] >= HALF
    is_child = sample.labels == 0
    undecided = 0 if guess else len(result.doubts)
    assert result.pairs + result.orphans + undecided == is_child.sum()
    assert int((sample.parents == UNSTATED).sum()) == undecided


def test_real_photographs(oid_car_plate: Path) -> None:
    before = formats.read(oid_car_plate)
    relations = resolve([Relation("carplate", "car")], before.names)
    many = propose(before, relations, guess=True)
    one = propose(before, relations, one_to_one=[relations[0].child], guess=True)
    assert many.pairs == 256 and many.orphans == 16, "as geometry says, children in doubt included"
    assert len(many.doubts) == 19
    assert one.pairs < many.pairs, "a car that holds several plates keeps one"
    for samples in one.dataset.splits.values():
        for sample in samples:
            found = sample.parents[sample.parents >= 0]
            assert len(set(found.tolist())) == len(found)
    # Two cars one before the other: geometry gives both plates to the smaller box.
    for name, ours, by_size in (("4e593c88022ff6b1.jpg", [3, 2], [3, 3]), ("aca8821ff0368720.jpg", [2, 3], [2, 2])):
        for made, expected in ((one, ours), (many, by_size)):
            sample = next(each for each in made.dataset.splits["train"] if each.image.name == name)
            assert sample.parents.tolist()[:2] == expected
