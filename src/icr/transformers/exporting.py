"""A trained detector handed over for export: logits and boxes of its last layer, nothing of its loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from icr.exporting import Exportable
from icr.predicting.exported import Description
from icr.transformers.models import STRIDE
from icr.transformers.prediction import Scale, scale_of
from icr.transformers.weights import read


class Inference(nn.Module):
    """A detector from pictures (B, 3, H, W), RGB, 0..1, to logits (B, Q, C) and boxes (B, Q, 4), cxcywh as shares."""

    def __init__(self, network: nn.Module, scale: Scale) -> None:
        super().__init__()
        self.network = network
        self._scale = scale

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Run the detector."""
        found: Any = self.network(pixel_values=self._scale(pictures))
        return found.logits, found.pred_boxes


def exportable(weights: Path, imgsz: int | None = None, trust: bool = False) -> Exportable:
    """Read a detector and bring it into the form that is exported.

    Args:
        weights: `.safetensors` of this engine, or a folder that Transformers saved.
        imgsz: side of the input in pixels; None: as trained.
        trust: of no effect: nothing is unpickled here.

    Raises:
        InputError: as in `icr.transformers.weights.read`.
    """
    loaded = read(weights)
    scale = scale_of(weights)[0] if weights.is_dir() else Scale()
    return prepare(loaded.network, loaded.model, imgsz or loaded.imgsz or 640, scale)


def prepare(network: Any, name: str, imgsz: int, scale: Scale | None = None) -> Exportable:
    """Bring a network into the form that is exported."""
    names = [str(network.config.id2label[index]) for index in sorted(network.config.id2label)]
    module = Inference(network.float().eval().requires_grad_(False), scale or Scale())
    return Exportable(
        module,
        Description("transformers", name, names, imgsz, layout="logits", fit="stretch-smooth", stride=STRIDE),
        free_size=False,
    )
