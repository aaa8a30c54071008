"""What `icr models` tells of each detector; the counts were measured by `benchmarks/models.py` and are stored."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from icr.detectors import DETECTORS, Detector

FILE = Path(__file__).with_name("models.json")


@dataclass(frozen=True)
class Model:
    """One detector.

    Attributes:
        name: what ``--model`` takes.
        engine: what trains it.
        licence: of the engine.
        installed: whether the engine is installed here.
        parameters: of the network as it is trained, for two classes, YOLOv9's auxiliary branch included.
        parameters_fused: with batch norms and branches merged; None where the engine has no such form.
        gflops: of one picture of 640 px in inference, fused where that exists; twice the multiply-adds.
        paper: the row of the paper's Table 2, None if it has none.
        paper_parameters: what that row says, in millions.
        presets: those that fit, the first one first.
    """

    name: str
    engine: str
    licence: str
    installed: bool
    parameters: int | None
    parameters_fused: int | None
    gflops: float | None
    paper: str | None
    paper_parameters: float | None
    presets: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """One entry of `icr models --json`."""
        return asdict(self)


def models(with_presets: bool = True) -> list[Model]:
    """Every detector of the registry, those of the paper first, in its order.

    Example:
        >>> [each.paper_parameters for each in models() if each.name == "yolo11n"]
        [2.5]
    """
    counts = json.loads(FILE.read_text(encoding="utf-8"))
    rows = _paper_rows()
    order = {row: place for place, row in enumerate(rows)}
    detectors = sorted(DETECTORS.values(), key=lambda each: order.get(each.paper or "", len(order)))
    return [_told(each, counts.get(each.name, {}), rows, with_presets) for each in detectors]


def _told(detector: Detector, counts: dict[str, Any], rows: dict[str, float], with_presets: bool) -> Model:
    from icr import presets

    fitting = [each for each in presets.NAMES if presets.read(each).fits(detector)] if with_presets else []
    return Model(
        name=detector.name,
        engine=detector.engine,
        licence=detector.licence,
        installed=find_spec(detector.engine) is not None,
        parameters=counts.get("parameters"),
        parameters_fused=counts.get("parameters_fused"),
        gflops=counts.get("gflops"),
        paper=detector.paper,
        paper_parameters=rows.get(detector.paper or ""),
        presets=tuple(fitting),
    )


@cache
def _paper_rows() -> dict[str, float]:
    """Millions of parameters by row of Table 2, as the registry names the rows: `YOLOv9-T`, `RT-DETRv2 R18`."""
    text = resources.files("icr.paper").joinpath("table2.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {" ".join(filter(None, (row["model"], row["backbone"]))): float(row["params_m"]) for row in rows}


def as_table(told: Sequence[Model]) -> str:
    """The same for a person: one line a detector."""
    head = ("name", "engine", "licence", "parameters", "fused", "GFLOPs", "the paper's row")
    body = [
        (
            each.name,
            each.engine + ("" if each.installed else " (not installed)"),
            each.licence,
            _number(each.parameters),
            _number(each.parameters_fused),
            "-" if each.gflops is None else f"{each.gflops:.1f}",
            f"{each.paper}, {each.paper_parameters} M" if each.paper else "",
        )
        for each in told
    ]
    widths = [max(len(row[column]) for row in (head, *body)) for column in range(len(head))]
    right = {3, 4, 5}
    lines = [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *body)
    ]
    return "\n".join(lines)


def _number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
