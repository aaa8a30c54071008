"""Paths of large sets, packed: the same texts, whatever they hold, and which of them stand twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from icr.data.compact import Paths, stand_again

# what a path can be: no zero byte and not empty, but halves of characters for bytes that are no UTF-8
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=()), min_size=1, max_size=8)
NAMED = st.tuples(TEXTS, TEXTS).map("\0".join)


@given(st.lists(TEXTS | NAMED, max_size=40), st.integers(1, 30))
def test_paths_are_those_put_in(texts: list[str], times: int) -> None:
    texts = texts * times
    paths = Paths(texts)
    assert len(paths) == len(texts) and list(paths) == texts and paths[:] == texts
    assert [paths[at] for at in range(len(texts))] == texts
    assert paths[1::7] == texts[1::7] and (not texts or paths[-1] == texts[-1])


@given(st.lists(TEXTS, max_size=40))
def test_what_stands_again(texts: list[str]) -> None:
    assert stand_again(texts) == {
        place: texts.index(text) for place, text in enumerate(texts) if texts.index(text) != place
    }
