# SPDX-License-Identifier: AGPL-3.0-only
"""A trained detector handed over for export: its inference alone, as Ultralytics' own exporter shapes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ultralytics.nn.modules.head import RTDETRDecoder

from icr.exporting import Exportable
from icr.predicting.exported import Description
from icr.ultralytics.weights import read


def exportable(weights: Path, imgsz: int | None = None, trust: bool = False) -> Exportable:
    """Read a detector and bring it into the form that is exported.

    Args:
        weights: a checkpoint of Ultralytics (`.pt`), or `.safetensors` of an architecture of ours.
        imgsz: side of the input in pixels; None: as trained.

    Raises:
        InputError: as in `icr.ultralytics.weights.read`.
    """
    model = read(weights, trust=trust)
    trained = getattr(model, "args", {}) or {}
    size = trained.get("imgsz") or 640
    side = imgsz or int(size if isinstance(size, int) else max(size))
    return prepare(model, _name(model, trained, weights), side)


def prepare(model: Any, name: str, imgsz: int) -> Exportable:
    """Bring a model into the form that is exported; the model is altered."""
    names = [str(each) for _, each in sorted(model.names.items())]
    model = model.float().fuse(verbose=False).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    head: Any = model.model[-1]
    head.export, head.format = True, "onnx"
    queries = isinstance(head, RTDETRDecoder)
    head.dynamic = not queries
    layout = "queries" if queries else "end2end" if getattr(model, "end2end", False) else "anchors"
    description = Description(
        engine="ultralytics",
        model=name,
        names=names,
        imgsz=imgsz,
        layout=layout,
        fit="stretch" if queries else "letterbox",
        stride=max(int(max(model.stride)), 32),
    )
    return Exportable(model, description, free_size=not queries)


def _name(model: Any, trained: dict[str, Any], weights: Path) -> str:
    """What the detector is called: its architecture, else the plan it was built from."""
    plan = getattr(model, "architecture", None) or (getattr(model, "yaml", None) or {}).get("yaml_file")
    return Path(str(plan or trained.get("model") or weights)).stem
