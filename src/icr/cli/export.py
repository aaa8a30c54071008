"""`icr export`: a trained detector as an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icr.cli.options import Trust


def export(
    weights: Annotated[Path, typer.Argument(help="Trained weights, such as runs/NAME/weights/best.pt.")],
    format: Annotated[str, typer.Option(help="onnx.")] = "onnx",
    out: Annotated[Path | None, typer.Option(help="A new file. Default: beside the weights, under their name.")] = None,
    imgsz: Annotated[int | None, typer.Option(help="Side of the input, pixels. Default: as trained.")] = None,
    trust: Trust = False,
    json: Annotated[bool, typer.Option("--json", help="Print what was written as one JSON object.")] = False,
) -> None:
    """Export a trained detector; the file needs onnxruntime alone, in icr predict and icr eval too.

    Nothing of the loss is in it: the graph is the same as of a detector that was trained without ICR.

    Example: icr export runs/plates/weights/best.pt --format onnx --out plates.onnx
    """
    from icr.cli.output import answer, answer_json, chatter_on_stderr, say

    with chatter_on_stderr():
        from icr import exporting
        from icr.predicting.onnx import load

        file = exporting.export(weights, format=format, out=out, imgsz=imgsz, trust=trust, say=say)
        told = load(file).description
    if json:
        answer_json(
            {
                "file": str(file),
                "format": format,
                "bytes": file.stat().st_size,
                "engine": told.engine,
                "model": told.model,
                "names": told.names,
                "imgsz": told.imgsz,
                "layout": told.layout,
            }
        )
    else:
        answer(str(file))
