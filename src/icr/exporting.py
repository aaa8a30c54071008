"""A trained detector as an ONNX file: its inference alone, with what is needed to use it in the file's metadata."""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr import detectors, runs
from icr.errors import InputError, nearest
from icr.predicting.exported import Description
from icr.predictions import check_imgsz
from icr.writing import refuse_existing, whole

if TYPE_CHECKING:
    from torch import nn

FORMATS = ("onnx",)
OPSET = 18
INPUT = "images"
_OUTPUTS = {"logits": ("logits", "pred_boxes")}
_PACKAGES = ("onnx", "onnxruntime")


@dataclass(frozen=True)
class Exportable:
    """A detector as its engine hands it over.

    Attributes:
        module: in evaluation mode on the CPU: (B, 3, H, W) float32, RGB, 0..1 -> the outputs of its layout.
        description: goes into the file.
        free_size: whether height and width may be any multiple of the stride; else they are `imgsz` for good.
    """

    module: nn.Module
    description: Description
    free_size: bool


def export(
    weights: Path,
    *,
    format: str = "onnx",
    out: Path | None = None,
    imgsz: int | None = None,
    trust: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Write a trained detector as an ONNX file; the work behind `icr export`.

    Args:
        weights: what `icr train` left, or a folder that Transformers saved.
        format: `onnx`.
        out: a new file; None: beside the weights, under their name.
        imgsz: side of the input in pixels, a multiple of 32; None: as trained.
        trust: see `icr.detectors.load`.
        say: called with what a person should know.

    Returns:
        The file. Its metadata holds class names, input size, engine and layout; see `icr.predicting.exported`.

    Raises:
        InputError: the weights, the size or the file's name cannot be used, or a package is missing.
    """
    if format not in FORMATS:
        raise InputError(f"--format {format}: expected one of {', '.join(FORMATS)}{nearest(format, FORMATS)}")
    if imgsz is not None:
        check_imgsz(imgsz)
    detectors.check_weights(weights)
    if weights.suffix == ".onnx":
        raise InputError(f"{weights} is exported already; name the weights that it was made from")
    target = out or (weights / "model.onnx" if weights.is_dir() else weights.with_suffix(".onnx"))
    if target.suffix != ".onnx":
        raise InputError(f"--out {target}: expected a file that ends in .onnx, by which icr predict knows it")
    refuse_existing(target, "--out")
    absent = [name for name in _PACKAGES if find_spec(name) is None]
    if absent:
        raise InputError(
            f"exporting needs {', '.join(absent)}; install it with: pip install 'icr-loss[cli,onnx]' (and the engine)"
        )
    made = _exportable(weights, imgsz, trust)
    made = replace(made, description=replace(made.description, relations=_relations(weights)))
    write(made, target)
    told = made.description
    sizes = "any multiple of 32 px" if made.free_size else f"{told.imgsz} px alone"
    say(f"{weights}: {told.model}, classes {', '.join(told.names)}; input {told.imgsz} px ({sizes}), any batch")
    return target


def _exportable(weights: Path, imgsz: int | None, trust: bool) -> Exportable:
    name = detectors.engine_of(weights)
    detectors.engine(name)  # says what to install where it is absent
    made: Exportable = importlib.import_module(f"icr.{name}.exporting").exportable(weights, imgsz, trust)
    return made


def _relations(weights: Path) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Those of the run that the weights belong to."""
    run = runs.of_weights(weights)
    entries = runs.read_record(run).get("relations", []) if run else []
    return tuple((each["child"], tuple(_listed(each["parent"]))) for each in entries)


def _listed(parent: Any) -> list[str]:
    return parent if isinstance(parent, list) else [parent]


def write(made: Exportable, target: Path) -> None:
    """Write the graph and its description; a kill leaves no half of a file.

    Raises:
        InputError: the network cannot be run at that size.
    """
    import onnx
    import torch

    side = made.description.imgsz
    # Several pictures, or an exporter might take a batch of one for granted.
    example = torch.zeros(2, 3, side, side)
    outputs = _OUTPUTS.get(made.description.layout, ("output0",))
    settings: dict[str, Any] = {"input_names": [INPUT], "output_names": list(outputs), "opset_version": OPSET}
    settings["dynamic_axes"] = _free_axes(made, outputs)
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        settings["dynamo"] = False  # by tracing: the other way needs sizes that are fixed for good
    try:
        with whole(target) as part, warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            made.module.eval()(example)  # what cannot be run is told by the network itself
            torch.onnx.export(made.module, (example,), str(part), **settings)
            graph = onnx.load(str(part))
            onnx.helper.set_model_props(graph, made.description.metadata())
            onnx.save(graph, str(part))
            _try_out(part)
    except (RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(
            f"{made.description.model} cannot be exported at {side} px: {why}; is --imgsz large enough for it?"
        ) from error


def _free_axes(made: Exportable, outputs: tuple[str, ...]) -> dict[str, dict[int, str]]:
    axes = {name: {0: "batch"} for name in (INPUT, *outputs)}
    if made.free_size:
        axes[INPUT] |= {2: "height", 3: "width"}
        if made.description.layout == "anchors":
            axes[outputs[0]][2] = "anchors"
    return axes


def _try_out(target: Path) -> None:
    """Run the file once: an operator that onnxruntime lacks shows here and not on a user's machine."""
    import numpy as np

    from icr.predicting.onnx import load

    predictor = load(target)
    try:
        list(predictor.predict([np.zeros((48, 64, 3), np.uint8)]))
    except Exception as error:  # onnxruntime has an exception of its own for each kind of fault
        raise RuntimeError(f"onnxruntime cannot run what was exported ({error})") from error
