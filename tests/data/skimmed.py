"""Reading both ways: whatever a test reads is skimmed too, twice, and must come to the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from icr.data import formats, parsing, remembered
from icr.data.dataset import Dataset, Sample
from icr.errors import InputError


def told(sample: Sample) -> tuple[object, ...]:
    """All there is to a sample, fit for comparing."""
    arrays = (sample.boxes, sample.labels, sample.parents, sample.lines)
    plain = (sample.image, sample.width, sample.height, sample.label_file)
    said = (repr(sample.attributes), repr(sample.box_attributes))  # what is no number is not equal to itself
    return *plain, *said, *((each.dtype, each.shape, each.tolist()) for each in arrays)


def same(one: Dataset, other: Dataset) -> None:
    assert (one.names, one.relations, one.findings) == (other.names, other.relations, other.findings)
    assert (one.format, one.category_ids, one.attributes) == (other.format, other.category_ids, other.attributes)
    assert list(one.splits) == list(other.splits)
    for split, samples in one.splits.items():
        assert len(samples) == len(other.splits[split])
        assert list(map(told, samples)) == list(map(told, other.splits[split]))


@pytest.fixture
def read_both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Hold each reading against two skimmings, of which the second parses nothing; tells the formats that can skim."""
    stock = formats.read
    skimmed: list[str] = []
    monkeypatch.setattr(remembered, "_SETTLED", -1)  # files of this moment are kept, too

    def never(picture: Path) -> Any:
        raise AssertionError(f"{picture} is parsed though it is known")

    def read(
        source: Path | str, *, format: str | None = None, splits: Sequence[str] | None = None, skim: bool = False
    ) -> Dataset:
        if skim:
            return stock(source, format=format, splits=splits, skim=True)
        try:
            whole = stock(source, format=format, splits=splits)
        except InputError as error:
            with pytest.raises(InputError) as raised:
                stock(source, format=format, splits=splits, skim=True)
            assert str(raised.value) == str(error)
            raise
        first = stock(source, format=format, splits=splits, skim=True)
        same(whole, first)
        if any(
            isinstance(each, (remembered.StoredSamples, remembered.JoinedSamples)) for each in first.splits.values()
        ):
            skimmed.append(whole.format)
            with monkeypatch.context() as patch:
                patch.setattr(parsing, "_packed", lambda parse, picture: never(Path(picture)))
                same(whole, stock(source, format=format, splits=splits, skim=True))
        return whole

    monkeypatch.setattr(formats, "read", read)
    if getattr(request.module, "read", None) is stock:
        monkeypatch.setattr(request.module, "read", read)
    return skimmed
