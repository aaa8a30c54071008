"""The examples of docs/interchange.md run as they stand, in a folder that holds a small data set."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from icr.data import formats

PAGE = Path(__file__).resolve().parents[2] / "docs" / "interchange.md"
LIBRARIES = {"supervision": "supervision", "Hugging Face datasets": "datasets", "FiftyOne": "fiftyone"}


def _examples() -> list[Any]:
    """Each example of the page with the library of its section."""
    found = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title = section.split("\n", 1)[0]
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", section, re.DOTALL), 1):
            found.append(pytest.param(LIBRARIES[title], code, id=f"{title} {number}"))
    return found


@pytest.fixture
def plates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "plates"
    for kind in ("images", "labels", "pairs"):
        (folder / kind / "train").mkdir(parents=True)
    Image.new("RGB", (200, 140), "grey").save(folder / "images/train/a.jpg")
    (folder / "labels/train/a.txt").write_text("1 0.45 0.5 0.5 0.6\n0 0.425 0.63 0.15 0.12\n")
    (folder / "pairs/train/a.txt").write_text("1 0\n")
    (folder / "data.yaml").write_text(
        "train: images/train\nnames: [plate, vehicle]\nrelations: [{child: plate, parent: vehicle}]\n"
    )
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(("library", "code"), _examples())
def test_the_example_runs_and_keeps_pairs(library: str, code: str, plates: Path) -> None:
    pytest.importorskip(library)
    space: dict[str, Any] = {}
    exec(code, space)
    before = formats.read(plates).splits["train"][0]
    written = [each for each in Path().iterdir() if (each / "data.yaml").is_file() and each.name != plates.name]
    if written:
        again = formats.read(written[0])
        assert again.splits["train"][0].parents.tolist() == before.parents.tolist()
        assert np.allclose(again.splits["train"][0].boxes, before.boxes, atol=1e-3)
        assert again.relations == formats.read(plates).relations
    elif "again" in space:
        assert space["again"].parents.tolist() == [-1, 0]
    else:
        assert space["back_parents"].tolist() == [1, -1]


def test_the_page_has_an_example_for_each_library() -> None:
    assert {each.values[0] for each in _examples()} >= {"supervision", "datasets"}
