"""Relations: declaring, reading, resolving, matching."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from icr.errors import InputError
from icr.relations import (
    ALIKE,
    Declared,
    Relation,
    ResolvedRelation,
    ambiguous,
    declared,
    match_parents,
    read,
    resolve,
)

PLATE_IN_CAR = (ResolvedRelation(0, (1,)),)
CHAIN = (ResolvedRelation(2, (0,)), ResolvedRelation(0, (1,)))
PLATE_IN_ANY = (ResolvedRelation(0, (1, 3)),)


class TestDeclaring:
    def test_parse_one_and_several_parents(self) -> None:
        assert Relation.parse("plate:vehicle") == Relation("plate", "vehicle", 2.5)
        assert Relation.parse(" plate : car, bus ,truck") == Relation("plate", ("car", "bus", "truck"))

    def test_a_list_of_parents_is_kept_as_a_tuple_so_that_the_relation_is_hashable(self) -> None:
        assert hash(Relation("plate", ["car", "bus"])) == hash(Relation("plate", ("car", "bus")))

    @pytest.mark.parametrize("text", ["", "plate", "plate:", ":car", "plate:car,,bus", ":", "plate:car,"])
    def test_other_texts_are_refused(self, text: str) -> None:
        with pytest.raises(InputError, match=r"expected child:parent"):
            Relation.parse(text)

    @pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf, "2", True])
    def test_weights_are_finite_and_not_negative(self, weight: float) -> None:
        with pytest.raises(InputError, match="expected a finite number of 0 or more"):
            Relation("plate", "car", weight)

    @pytest.mark.parametrize("parent", [None, 1.5, True, (), ["car", None]])
    def test_classes_are_names_or_indices(self, parent: object) -> None:
        with pytest.raises(InputError, match="expected"):
            Relation("plate", parent)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "given", ["plate:car", ["plate:car"], Relation("plate", "car"), (Relation("plate", "car"),)]
    )
    def test_one_or_several_as_texts_or_relations(self, given: Declared) -> None:
        assert declared(given) == (Relation("plate", "car"),)
        assert resolve(given, ["plate", "car"]) == PLATE_IN_CAR

    @pytest.mark.parametrize("given", [3, [3], None, {"child": "plate", "parent": "car"}, [("plate", "car")]])
    def test_anything_else_is_refused_in_one_line(self, given: Any) -> None:
        with pytest.raises(InputError, match="expected 'plate:vehicle' or ") as refused:
            resolve(given, ["plate", "car"])
        assert "\n" not in str(refused.value)


class TestReading:
    def test_every_form_of_the_block(self) -> None:
        block = [
            {"child": "digit", "parent": "plate", "weight": 1},
            {"child": "plate", "parent": ["car", "bus"]},
            "helmet:rider",
            {"child": 0, "parent": 1},
        ]
        assert read(block, "data.yaml") == (
            Relation("digit", "plate", 1),
            Relation("plate", ("car", "bus")),
            Relation("helmet", "rider"),
            Relation(0, 1),
        )
        assert read(None, "data.yaml") == read([], "data.yaml") == ()

    @pytest.mark.parametrize(
        ("block", "told"),
        [
            ({"child": "plate", "parent": "car"}, "relations is a mapping; expected a list"),
            ("plate:car", "relations is str 'plate:car'; expected a list"),
            ([{"child": "plate", "parnt": "car"}], r"relations\[0\]: unknown key 'parnt'.*did you mean 'parent'"),
            ([{"child": "plate"}], r"relations\[0\]: parent is missing"),
            (["plate:car", {"parent": "car"}], r"relations\[1\]: child is missing"),
            ([7], r"relations\[0\]: found int 7"),
            ([{"child": "plate", "parent": "car", "weight": "heavy"}], r"relations\[0\]: the weight .* 'heavy'"),
            ([{"child": "plate", "parent": []}], r"relations\[0\]: a relation has no parent class"),
        ],
    )
    def test_an_error_is_one_line_that_names_file_and_entry(self, block: object, told: str) -> None:
        with pytest.raises(InputError, match=told) as caught:
            read(block, "some/data.yaml")
        assert str(caught.value).startswith("some/data.yaml: ")
        assert "\n" not in str(caught.value)


class TestResolving:
    def test_names_as_a_list_or_as_a_map(self) -> None:
        relation = Relation("plate", ("car", "bus"), 1.5)
        assert resolve([relation], ["plate", "car", "bus"]) == (ResolvedRelation(0, (1, 2), 1.5),)
        assert resolve([relation], {3: "plate", 7: "car", 5: "bus"}) == (ResolvedRelation(3, (7, 5), 1.5),)

    def test_indices_and_digits(self) -> None:
        assert resolve([Relation(0, 1)], ["plate", "car"]) == (ResolvedRelation(0, (1,)),)
        assert resolve([Relation.parse("0:1")], ["plate", "car"]) == (ResolvedRelation(0, (1,)),)
        # A class that is itself called "1" is meant before the index 1.
        assert resolve([Relation.parse("car:1")], ["1", "car"]) == (ResolvedRelation(1, (0,)),)

    def test_a_chain(self) -> None:
        relations = [Relation("digit", "plate"), Relation("plate", "car")]
        assert resolve(relations, ["plate", "car", "digit"]) == CHAIN

    def test_a_parent_named_twice_counts_once(self) -> None:
        assert resolve([Relation("plate", ("car", "car"))], ["plate", "car"]) == PLATE_IN_CAR

    @pytest.mark.parametrize(
        ("relations", "told"),
        [
            (["plate:vehicel"], r"no class 'vehicel'; the classes are 0 plate, 1 vehicle.*did you mean 'vehicle'\?"),
            (["plate:9"], "no class of index 9; the classes are 0 plate, 1 vehicle"),
            (["plate:vehicle", "plate:digit"], "child of two relations; .* plate:vehicle,digit"),
            (["plate:vehicle,plate"], "'plate' cannot be its own parent"),
            (["plate:vehicle", "vehicle:plate"], "round in a circle"),
            (["plate:vehicle", "digit:plate", "vehicle:digit"], "round in a circle"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, relations: list[str], told: str) -> None:
        with pytest.raises(InputError, match=told) as caught:
            resolve([Relation.parse(text) for text in relations], ["plate", "vehicle", "digit"])
        assert "\n" not in str(caught.value)

    def test_a_name_that_two_classes_bear_is_refused(self) -> None:
        with pytest.raises(InputError, match="2 classes are named 'car'"):
            resolve([Relation("plate", "car")], ["plate", "car", "car"])

    def test_a_thousand_classes_make_no_thousand_word_error(self) -> None:
        with pytest.raises(InputError, match=r"… \(1000 in all\)") as caught:
            resolve([Relation("plate", "car")], [f"class{index}" for index in range(1000)])
        assert len(str(caught.value)) < 2000


def _match(boxes: list[list[float]], labels: list[int], relations: tuple[ResolvedRelation, ...]) -> list[int]:
    return match_parents(torch.tensor(boxes), torch.tensor(labels), relations).tolist()


CAR = [100.0, 100, 260, 220]


class TestMatchingByHand:
    def test_a_plate_within_a_car(self) -> None:
        assert _match([[165, 185, 195, 195], CAR], [0, 1], PLATE_IN_CAR) == [1, -1]

    def test_exactly_half_inside_counts(self) -> None:
        # 30 wide, 15 of it left of x = 260: containment 0.5.
        assert _match([[245, 150, 275, 160], CAR], [0, 1], PLATE_IN_CAR) == [1, -1]

    def test_less_than_half_inside_is_an_orphan(self) -> None:
        assert _match([[245.1, 150, 275.1, 160], CAR], [0, 1], PLATE_IN_CAR) == [-1, -1]

    def test_the_parent_that_holds_most_wins_over_a_smaller_one(self) -> None:
        # The small car holds 20 of 30 columns, the large one all of them.
        assert _match([[165, 185, 195, 195], [100, 180, 185, 200], [0, 0, 400, 400]], [0, 1, 1], PLATE_IN_CAR)[0] == 2

    def test_of_equals_the_smallest_wins(self) -> None:
        boxes = [[165.0, 185, 195, 195], [0, 0, 400, 400], CAR, [50, 50, 300, 300]]
        assert _match(boxes, [0, 1, 1, 1], PLATE_IN_CAR) == [2, -1, -1, -1]
        assert ambiguous(torch.tensor(boxes), torch.tensor([0, 1, 1, 1]), PLATE_IN_CAR).tolist() == [True] + 3 * [False]

    def test_a_thousandth_less_is_as_good(self) -> None:
        # 1,000 columns; the small car misses half a column, so it holds 0.9995 of the plate.
        plate, small, large = [0.0, 0, 1000, 10], [0.5, 0, 1000, 20], [0.0, 0, 1000, 30]
        assert _match([plate, small, large], [0, 1, 1], PLATE_IN_CAR)[0] == 1
        # Two columns less is 0.998, and no longer alike.
        assert _match([plate, [2.0, 0, 1000, 20], large], [0, 1, 1], PLATE_IN_CAR)[0] == 2

    def test_two_halves_are_ambiguous(self) -> None:
        boxes = torch.tensor([[0.0, 0, 10, 10], [-20, 0, 5, 10], [5, 0, 20, 10]])
        labels = torch.tensor([0, 1, 1])
        assert ambiguous(boxes, labels, PLATE_IN_CAR).tolist() == [True, False, False]
        assert match_parents(boxes, labels, PLATE_IN_CAR)[0] == 2

    def test_several_parent_classes(self) -> None:
        boxes = [[165.0, 185, 195, 195], CAR, [150, 150, 210, 210], [160, 180, 200, 200]]
        # Class 3 is allowed and smaller than the car; class 4 holds the plate but is no parent class.
        assert _match(boxes, [0, 1, 3, 4], PLATE_IN_ANY) == [2, -1, -1, -1]

    def test_a_chain(self) -> None:
        boxes = [[165.0, 185, 195, 195], CAR, [170, 187, 174, 193]]
        assert _match(boxes, [0, 1, 2], CHAIN) == [1, -1, 0]

    def test_boxes_of_another_picture_are_no_parents(self) -> None:
        boxes = torch.tensor([[[165.0, 185, 195, 195], [0, 0, 0, 0]], [CAR, [0, 0, 0, 0]]])
        assert match_parents(boxes, torch.tensor([[0, -1], [1, -1]]), PLATE_IN_CAR).tolist() == [[-1, -1], [-1, -1]]

    def test_a_picture_without_parents_and_one_without_boxes(self) -> None:
        assert _match([[0, 0, 4, 4], [0, 0, 8, 8]], [0, 0], PLATE_IN_CAR) == [-1, -1]
        assert match_parents(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), PLATE_IN_CAR).shape == (0,)
        assert match_parents(torch.zeros(3, 0, 4), torch.zeros(3, 0, dtype=torch.long), PLATE_IN_CAR).shape == (3, 0)
        assert match_parents(torch.zeros(0, 5, 4), torch.zeros(0, 5, dtype=torch.long), PLATE_IN_CAR).shape == (0, 5)
        assert ambiguous(torch.zeros(3, 0, 4), torch.zeros(3, 0, dtype=torch.long), PLATE_IN_CAR).shape == (3, 0)

    def test_no_relations_no_parents(self) -> None:
        assert _match([[165, 185, 195, 195], CAR], [0, 1], ()) == [-1, -1]

    @pytest.mark.parametrize(
        "child",
        [
            [170, 190, 170, 190],
            [170, 190, 180, 190],
            [180, 190, 170, 200],
            [math.nan, 0, 1, 1],
            [math.inf, 0, math.inf, 1],
        ],
    )
    def test_a_child_of_no_size_has_no_parent(self, child: list[float]) -> None:
        assert _match([child, CAR], [0, 1], PLATE_IN_CAR) == [-1, -1]

    def test_half_precision_boxes_and_numbers_of_a_megapixel_picture(self) -> None:
        boxes = torch.tensor([[1e6 - 20, 1e6 - 20, 1e6 - 10, 1e6 - 10], [0, 0, 1e6, 1e6]])
        assert match_parents(boxes, torch.tensor([0, 1]), PLATE_IN_CAR).tolist() == [1, -1]
        half = torch.tensor([[165.0, 185, 195, 195], CAR], dtype=torch.float16)
        assert match_parents(half, torch.tensor([0, 1]), PLATE_IN_CAR).tolist() == [1, -1]

    def test_a_parent_of_an_area_beyond_float32(self) -> None:
        assert _match([[165, 185, 195, 195], [-1e30, -1e30, 1e30, 1e30]], [0, 1], PLATE_IN_CAR) == [1, -1]

    def test_shapes_that_do_not_fit_are_named(self) -> None:
        with pytest.raises(ValueError, match=r"boxes \(2, 4\) and labels \(3,\)"):
            match_parents(torch.zeros(2, 4), torch.zeros(3), PLATE_IN_CAR)

    def test_unresolved_names_are_refused_and_indices_are_not(self) -> None:
        boxes, labels = torch.tensor([[165.0, 185, 195, 195], CAR]), torch.tensor([0, 1])
        assert match_parents(boxes, labels, [Relation(0, 1)]).tolist() == [1, -1]
        with pytest.raises(InputError, match=r"icr\.relations\.resolve"):
            match_parents(boxes, labels, [Relation("plate", "car")])


def _naive(
    boxes: list[list[float]], labels: list[int], relations: tuple[ResolvedRelation, ...]
) -> tuple[list[int], list[bool]]:
    """The rule in plain words and loops."""
    parents, doubts = [], []
    for child, label in zip(boxes, labels, strict=True):
        allowed = {each for relation in relations if relation.child == label for each in relation.parents}
        area = max(child[2] - child[0], 0.0) * max(child[3] - child[1], 0.0)
        held = []
        for index, (box, other) in enumerate(zip(boxes, labels, strict=True)):
            width = max(min(child[2], box[2]) - max(child[0], box[0]), 0.0)
            height = max(min(child[3], box[3]) - max(child[1], box[1]), 0.0)
            if other in allowed and area > 0 and width * height / area >= 0.5:
                held.append((width * height / area, (box[2] - box[0]) * (box[3] - box[1]), index))
        best = max((share for share, _, _ in held), default=0.0)
        alike = [(size, index) for share, size, index in held if share >= best - ALIKE]
        parents.append(min(alike)[1] if alike else -1)
        doubts.append(len(alike) > 1)
    return parents, doubts


_scene = st.lists(
    st.tuples(
        st.tuples(st.integers(0, 24), st.integers(0, 24), st.integers(-1, 24), st.integers(-1, 24)), st.integers(0, 4)
    ),
    max_size=12,
)


def _unpack(scene: list[tuple[tuple[int, int, int, int], int]]) -> tuple[list[list[float]], list[int]]:
    return [[float(x), float(y), float(x + w), float(y + h)] for (x, y, w, h), _ in scene], [each for _, each in scene]


_relations = st.sampled_from([PLATE_IN_CAR, CHAIN, PLATE_IN_ANY, ()])


class TestMatchingAgainstLoops:
    @given(_scene, _relations)
    @settings(max_examples=300, deadline=None)
    def test_one_picture(self, scene, relations) -> None:  # type: ignore[no-untyped-def]
        boxes, labels = _unpack(scene)
        tensor = torch.tensor(boxes, dtype=torch.float64).reshape(-1, 4)
        parents, doubts = _naive(boxes, labels, relations)
        assert match_parents(tensor, torch.tensor(labels, dtype=torch.long), relations).tolist() == parents
        assert ambiguous(tensor, torch.tensor(labels, dtype=torch.long), relations).tolist() == doubts

    @given(st.lists(_scene, min_size=1, max_size=4), _relations, st.integers(0, 3))
    @settings(max_examples=100, deadline=None)
    def test_padding_changes_nothing(self, scenes, relations, extra) -> None:  # type: ignore[no-untyped-def]
        longest = max(map(len, scenes)) + extra
        boxes, labels = torch.zeros(len(scenes), longest, 4), torch.full((len(scenes), longest), -1)
        for row, scene in enumerate(scenes):
            single = _unpack(scene)
            boxes[row, : len(scene)] = torch.tensor(single[0]).reshape(-1, 4)
            labels[row, : len(scene)] = torch.tensor(single[1])
        batched, doubts = match_parents(boxes, labels, relations), ambiguous(boxes, labels, relations)
        assert batched.dtype == torch.int64
        for row, scene in enumerate(scenes):
            own = boxes[row, : len(scene)], labels[row, : len(scene)], relations
            assert batched[row, : len(scene)].tolist() == match_parents(*own).tolist()
            assert batched[row, len(scene) :].tolist() == [-1] * (longest - len(scene))
            assert doubts[row, : len(scene)].tolist() == ambiguous(*own).tolist()
            assert not doubts[row, len(scene) :].any()

    @given(_scene, st.integers(-50, 50), st.sampled_from([0.25, 2.0, 8.0]))
    @settings(max_examples=100, deadline=None)
    def test_shift_and_scale_change_nothing(self, scene, shift, scale) -> None:  # type: ignore[no-untyped-def]
        boxes, labels = _unpack(scene)
        tensor, classes = torch.tensor(boxes).reshape(-1, 4), torch.tensor(labels, dtype=torch.long)
        moved = match_parents((tensor + shift) * scale, classes, CHAIN)
        assert moved.tolist() == match_parents(tensor, classes, CHAIN).tolist()


def test_one_relation_needs_no_list() -> None:
    boxes = torch.tensor([[165.0, 185, 195, 195], [100, 100, 260, 220]])
    labels = torch.tensor([0, 1])
    assert match_parents(boxes, labels, PLATE_IN_CAR[0]).tolist() == [1, -1]
    assert match_parents(boxes, labels, Relation(0, 1)).tolist() == [1, -1]
    assert not ambiguous(boxes, labels, PLATE_IN_CAR[0]).any()
    with pytest.raises(InputError, match="resolve first"):
        match_parents(boxes, labels, ["plate:car"])  # type: ignore[list-item]


def test_it_compiles_as_one_graph_for_any_number_of_boxes() -> None:
    compiled = torch.compile(match_parents, fullgraph=True, dynamic=True, backend="eager")
    generator = torch.Generator().manual_seed(0)
    for count in (3, 7, 12):
        corner = torch.rand(2, count, 2, generator=generator) * 20
        boxes = torch.cat([corner, corner + torch.rand(2, count, 2, generator=generator) * 20], -1)
        labels = torch.randint(-1, 2, (2, count), generator=generator)
        assert compiled(boxes, labels, PLATE_IN_CAR).equal(match_parents(boxes, labels, PLATE_IN_CAR))


@pytest.mark.slow
def test_compiled_code_finds_the_same_parents() -> None:
    compiled = torch.compile(match_parents, fullgraph=True, dynamic=True)
    generator = torch.Generator().manual_seed(0)
    for count in (4, 9, 30):
        corner = torch.rand(3, count, 2, generator=generator) * 20
        boxes = torch.cat([corner, corner + torch.rand(3, count, 2, generator=generator) * 20], -1)
        labels = torch.randint(-1, 3, (3, count), generator=generator)
        assert compiled(boxes, labels, CHAIN).equal(match_parents(boxes, labels, CHAIN))


def test_no_value_is_read_back_from_the_device() -> None:
    """Meta tensors hold no values, so anything that needed one on the host would raise."""
    boxes, labels = torch.zeros(2, 5, 4, device="meta"), torch.zeros(2, 5, dtype=torch.long, device="meta")
    assert match_parents(boxes, labels, CHAIN).shape == (2, 5)
    assert ambiguous(boxes, labels, CHAIN).shape == (2, 5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_it_neither_synchronises_nor_differs() -> None:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(8, 60, 2, generator=generator) * 200
    boxes = torch.cat([corner, corner + torch.rand(8, 60, 2, generator=generator) * 100], -1)
    labels = torch.randint(-1, 3, (8, 60), generator=generator)
    moved = boxes.cuda(), labels.cuda()
    match_parents(*moved, CHAIN)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = match_parents(*moved, CHAIN)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert found.cpu().equal(match_parents(boxes, labels, CHAIN))
