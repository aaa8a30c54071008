"""Run folders: records that survive a kill, and what identifies data and machine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from icr import runs
from icr.data.dataset import Dataset, Sample
from icr.errors import InputError


def dataset(root: Path, x: float = 10.0, parent: int = 1) -> Dataset:
    sample = Sample(
        image=root / "a.jpg",
        width=100,
        height=80,
        boxes=np.array([[x, 10, 20, 20], [0, 0, 50, 50]], float),
        labels=np.array([0, 1]),
        parents=np.array([parent, -1]),
    )
    return Dataset(source=root, format="yolo", names=["plate", "vehicle"], splits={"train": [sample]})


def test_fingerprint_depends_on_what_the_data_says_not_on_where_it_lies(tmp_path: Path) -> None:
    here = runs.fingerprint(dataset(tmp_path))
    assert here == runs.fingerprint(dataset(tmp_path / "elsewhere"))
    assert here != runs.fingerprint(dataset(tmp_path, x=11.0))
    assert here != runs.fingerprint(dataset(tmp_path, parent=-1))


def test_a_record_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    runs.write_json(path, {"epochs": 3})
    with pytest.raises(ValueError):
        runs.write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text()) == {"epochs": 3}


def test_weights_know_their_run(tmp_path: Path) -> None:
    weights = tmp_path / "run" / "weights" / "best.pt"
    weights.parent.mkdir(parents=True)
    weights.touch()
    assert runs.of_weights(weights) is None
    runs.write_json(tmp_path / "run" / "run.json", {})
    assert runs.of_weights(weights) == (tmp_path / "run").resolve()


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "holds no run.json"), ("{", "cannot be read"), ("[1]", "holds a list")],
)
def test_a_folder_that_is_no_run_is_refused_in_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=said):
        runs.read_record(tmp_path)


def test_surroundings_name_versions_and_hardware() -> None:
    found = runs.surroundings()
    assert found["versions"]["torch"] and found["hardware"]["cores"] >= 1
    json.dumps(found)


@pytest.mark.parametrize(
    ("there", "found"), [([], None), (["best.pt"], "best.pt"), (["best.safetensors"], "best.safetensors")]
)
def test_the_weights_of_a_run_are_found_whatever_they_are_stored_as(
    tmp_path: Path, there: list[str], found: str | None
) -> None:
    (tmp_path / "weights").mkdir()
    for name in there:
        (tmp_path / "weights" / name).touch()
    assert runs.weights_of(tmp_path) == (None if found is None else tmp_path / "weights" / found)
    assert runs.weights_of(tmp_path, "last") is None
