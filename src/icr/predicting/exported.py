"""What an exported file says of itself: how a picture goes in, and how boxes come out. Needs nothing installed."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass

from icr.errors import InputError

LAYOUTS = ("anchors", "end2end", "queries", "logits")
FITS = ("letterbox", "stretch", "stretch-smooth")


@dataclass(frozen=True)
class Description:
    """How an exported detector is to be used; stored as the metadata of the ONNX file.

    Attributes:
        engine: what trained it.
        model: the detector's name.
        names: class names; a label is an index into them.
        imgsz: side of the square input that it was trained at, pixels.
        layout: of the outputs, all in pixels of the network's input unless it says otherwise.
            `anchors`: (B, 4 + classes, N), centre, width, height, a score for each class; needs suppression.
            `end2end`: (B, N, 6), xyxy, score, class.
            `queries`: (B, N, 6), centre, width, height as shares of the input, score, class.
            `logits`: (B, N, classes) before the sigmoid, and (B, N, 4) centre, width, height as shares of the input.
        fit: of a picture to the input. `letterbox`: scaled with its shape kept, padded with grey 114 to whole strides.
            `stretch`: scaled to the square. `stretch-smooth`: the same with an antialiasing filter.
            Always bilinear, RGB, 0..1.
        stride: the input's sides are multiples of it.
        relations: each child with its parents, as trained with; the graph does not depend on them.
    """

    engine: str
    model: str
    names: list[str]
    imgsz: int
    layout: str
    fit: str
    stride: int = 32
    relations: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def metadata(self) -> dict[str, str]:
        """The same as ONNX metadata. Names, size, stride and task are written as Ultralytics reads them."""
        return {
            "names": repr(dict(enumerate(self.names))),
            "imgsz": repr([self.imgsz, self.imgsz]),
            "stride": str(self.stride),
            "task": "detect",
            "batch": "1",
            "channels": "3",
            "engine": self.engine,
            "model": self.model,
            "layout": self.layout,
            "fit": self.fit,
            "end2end": str(self.layout == "end2end"),
            "relations": json.dumps(self.relations, ensure_ascii=False),
        }


def describe(metadata: Mapping[str, str], where: str) -> Description:
    """Read the metadata of an exported file.

    Args:
        where: the file, for the message.

    Raises:
        InputError: `icr export` did not write it.

    Example:
        >>> made = Description("ultralytics", "yolo11n", ["plate"], 640, "anchors", "letterbox")
        >>> describe(made.metadata(), "x.onnx") == made
        True
    """
    try:
        names, size = ast.literal_eval(metadata["names"]), ast.literal_eval(metadata["imgsz"])
        found = Description(
            engine=metadata["engine"],
            model=metadata["model"],
            names=[str(names[index]) for index in range(len(names))],
            imgsz=int(size[0]),
            layout=metadata["layout"],
            fit=metadata["fit"],
            stride=int(metadata["stride"]),
            relations=tuple((child, tuple(parents)) for child, parents in json.loads(metadata["relations"])),
        )
    except (KeyError, ValueError, SyntaxError, TypeError, IndexError):
        found = None
    if found is None or found.layout not in LAYOUTS or found.fit not in FITS:
        raise InputError(
            f"{where} does not say how its boxes are to be read; expected a file made by icr export WEIGHTS"
        )
    return found
