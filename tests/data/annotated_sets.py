"""Data sets as annotation tools can hold them, for round trips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Sample
from icr.relations import Relation

SIZES = {"a.png": (64, 48), "b 二.png": (37, 91)}

_texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "Zs", "S")), min_size=1, max_size=9)
_values = st.one_of(
    st.tuples(st.just("text"), _texts),
    st.tuples(st.just("flag"), st.booleans()),
    st.tuples(st.just("rows"), st.integers(-5, 5)),
    st.tuples(st.just("score"), st.floats(0, 1)),
    st.tuples(st.just("occluded"), st.just(True)),
)


@st.composite
def annotated_samples(draw: st.DrawFn, image: Path, classes: int) -> Sample:
    """A picture's boxes in a forest of pairs of any classes, some stated to be alone, some not stated."""
    width, height = SIZES[image.name]
    count = draw(st.integers(0, 6))
    boxes = []
    for _ in range(count):
        w, h = draw(st.floats(1, width)), draw(st.floats(1, height))
        x, y = draw(st.floats(0, width - w)), draw(st.floats(0, height - h))
        boxes.append([x, y, x + w, y + h])
    parents = [draw(st.sampled_from([NO_PARENT, UNSTATED, *range(row)])) for row in range(count)]
    extras = [dict(draw(st.lists(_values, max_size=3))) for _ in range(count)]
    return Sample(
        image,
        width,
        height,
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array([draw(st.integers(0, classes - 1)) for _ in range(count)], np.int64),
        np.array(parents, np.int64),
        image,
        attributes=draw(st.sampled_from([{}, {"light": "night", "video": 3}])),
        box_attributes=extras if any(extras) else [],
    )


@st.composite
def annotated_datasets(draw: st.DrawFn, root: Path) -> Dataset:
    """A data set over the pictures of a folder, with a relation, a chain of two, or none."""
    names = draw(st.lists(_texts, min_size=3, max_size=4, unique=True))
    splits = draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=1, max_size=3, unique=True))
    relations = draw(
        st.sampled_from(
            [
                (),
                (Relation(names[0], names[1], 1.5),),
                (Relation(names[0], (names[1], names[2])),),
                (Relation(names[0], names[1]), Relation(names[1], names[2])),
            ]
        )
    )
    return Dataset(
        root,
        "test",
        names,
        {
            split: [draw(annotated_samples(root / split / name, len(names))) for name in SIZES]
            for split in sorted(splits, key=["train", "val", "test"].index)
        },
        relations,
        category_ids=draw(st.sampled_from([[], list(range(3, 3 + len(names)))])),
    )


def assert_same_set(one: Dataset, other: Dataset) -> None:
    """Assert that two data sets say the same; of boxes that are nobody's child, no parent and none stated is one."""
    assert (one.names, one.relations, one.category_ids) == (other.names, other.relations, other.category_ids)
    assert [each for each in other.findings if each.severity == "error"] == []
    assert list(one.splits) == list(other.splits)
    samples = [sample for split in one.splits.values() for sample in split]
    stated = {
        int(sample.labels[child]) for sample in samples for child, parent in enumerate(sample.parents) if parent >= 0
    }
    children = stated | {one.names.index(str(relation.child)) for relation in one.relations}
    for split, expected in one.splits.items():
        by_name = {sample.image.name: sample for sample in other.splits[split]}
        assert len(by_name) == len(expected)
        for sample in expected:
            found = by_name[sample.image.name]
            np.testing.assert_allclose(found.boxes, sample.boxes, rtol=1e-12, atol=1e-9)
            assert found.labels.tolist() == sample.labels.tolist()
            assert found.attributes == sample.attributes
            nothing = [{}] * len(sample.labels)
            assert (found.box_attributes or nothing) == (sample.box_attributes or nothing)
            for label, got, meant in zip(sample.labels.tolist(), found.parents, sample.parents, strict=True):
                assert got == meant or (label not in children and got < 0 and meant < 0)
