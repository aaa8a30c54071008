"""A dozen generated pictures and a tiny detector."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

# This folder is not called `transformers`: lying on the path, it would pass for that package where it is not installed.
if find_spec("transformers") is None or find_spec("torchvision") is None:
    collect_ignore_glob = ["*.py"]
else:
    from tiny_pictures import SIZE, TINY, write_pictures

    from icr.relations import Relation
    from icr.training import TrainSettings


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `data.yaml` of 8 pictures for training and 4 for validation."""
    return write_pictures(tmp_path_factory.mktemp("pictures"), {"train": 8, "val": 4})


@pytest.fixture
def asked(pictures: Path, tmp_path: Path) -> Callable[..., Any]:
    """Settings of a short training into a folder of that name."""

    def settings(name: str = "run", overrides: dict[str, Any] | None = None, **others: Any) -> TrainSettings:
        out = tmp_path / name
        out.mkdir(exist_ok=True)
        asked = {"base": "giou", "imgsz": SIZE, "epochs": 2, "batch": 4, "workers": 0, **others}
        return TrainSettings(
            others.pop("model", "rtdetrv2-r18"),
            asked.pop("data_yaml", pictures),
            asked.pop("relations", (Relation("plate", "vehicle"),)),
            out,
            overrides={**TINY, "lr": 1e-3, **(overrides or {})},
            **{key: value for key, value in asked.items() if key != "model"},
        )

    return settings
