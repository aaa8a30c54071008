"""The page on detectors names tests, presets and counts: they are there, and as it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from icr.models import models
from icr.presets import NAMES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "detectors.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="the pages are not beside the tests")


def test_every_test_that_is_named_is_there() -> None:
    files = {file.name: file for file in Path(__file__).parent.rglob("test_*.py")}
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) > 15
    for file, function in named:
        assert f"def {function}(" in files[file].read_text(encoding="utf-8"), f"{file}::{function}"


def test_the_table_is_that_of_the_command() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for each in models(with_presets=False):
        if each.paper:
            fused = f"{each.parameters_fused:,}" if each.parameters_fused else "–"
            row = f"| {each.paper} | {each.paper_parameters} M | `{each.name}` | {each.engine.title()}, {each.licence} "
            assert f"{row}| {each.parameters:,} | {fused} | {each.gflops} |" in text, each.name
    assert f"all {len(models(with_presets=False))} with" in text


def test_every_preset_is_told_and_linked() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for name in NAMES:
        assert f"[`{name}`](../src/icr/presets/{name}.yaml)" in text
