"""Prediction with an exported detector by onnxruntime alone: no engine, no framework that trained it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from icr.drawing.pictures import pixels_of
from icr.errors import InputError
from icr.predicting.boxes_out import DECODERS, Floats
from icr.predicting.exported import Description, describe
from icr.predictions import Picture, Predictions, check_imgsz, of_one_shape

_GREY = 114
INSTALL = "pip install 'icr-loss[cli,onnx]'"


class OnnxPredictor:
    """An exported detector.

    Attributes:
        description: what the file says of itself.
        names: class names; a label is an index into them.
        imgsz: the size that the detector was trained at.
    """

    def __init__(self, session: Any, where: str) -> None:
        self.description = describe(session.get_modelmeta().custom_metadata_map, where)
        self.names, self.imgsz = self.description.names, self.description.imgsz
        self._session, self._where = session, where
        (self._input,) = session.get_inputs()
        self._side = self._input.shape[2]

    def record(self) -> dict[str, Any]:
        """What the file says of the training, as `run.json` would."""
        relations = [{"child": child, "parent": list(parents)} for child, parents in self.description.relations]
        return {"relations": relations, "where": Path(self._where).name}

    def predict(
        self,
        images: Sequence[Path | Picture],
        *,
        imgsz: int | None = None,
        conf: float = 0.001,
        iou: float = 0.7,
        max_det: int = 300,
        batch: int = 16,
    ) -> Iterator[Predictions]:
        """Find objects in pictures (paths, or RGB arrays of (height, width, 3)), in order, lazily.

        Neighbours of the same shape share a batch, so that the result for one does not depend on the others.

        Args:
            imgsz: None means the size that the detector was trained at.
            iou: threshold of non-maximum suppression; only detectors with anchors have it.

        Raises:
            InputError: a file is no picture, or the file takes no pictures of that size.
        """
        size = self._size(imgsz)
        decode = DECODERS[self.description.layout]
        for pictures in of_one_shape(map(pixels_of, images), batch):
            place = _placed(pictures[0], size, self.description)
            network = np.stack([_fitted(picture, place, self.description) for picture in pictures])
            outputs = self._session.run(None, {self._input.name: network})
            for boxes, scores, labels in decode(outputs, place.network, conf, iou, max_det):
                yield Predictions(place.back(boxes), scores, labels)

    def _size(self, imgsz: int | None) -> int:
        fixed = self._side if isinstance(self._side, int) else None
        if imgsz is not None and fixed and imgsz != fixed:
            raise InputError(
                f"--imgsz {imgsz}: {self._where} was exported for {fixed} px alone; leave --imgsz out, or export anew "
                f"with icr export WEIGHTS --imgsz {imgsz}"
            )
        stride = self.description.stride
        if imgsz is not None:
            check_imgsz(imgsz)
        return fixed or -(-(imgsz or self.imgsz) // stride) * stride


def load(weights: Path, device: str = "cpu") -> OnnxPredictor:
    """Load a file that `icr export` made.

    Args:
        weights: the `.onnx` file.
        device: `cpu`, or the index of a GPU; where onnxruntime cannot use it, the processor, and the log says so.

    Raises:
        InputError: onnxruntime is not installed, or the file is not such a one.
    """
    if find_spec("onnxruntime") is None:
        raise InputError(f"{weights}: onnxruntime is not installed; install it with: {INSTALL}")
    import onnxruntime

    providers: list[Any] = ["CPUExecutionProvider"]
    if device != "cpu":
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(device.split(",")[0])}))
        else:
            logging.getLogger("icr").warning(
                "onnxruntime here cannot use a GPU (onnxruntime-gpu can): the processor is used"
            )
    try:
        session = onnxruntime.InferenceSession(str(weights), providers=providers)
    except Exception as error:  # onnxruntime has an exception of its own for each kind of fault
        why = " ".join(str(error).split())[:200]
        raise InputError(f"{weights} is no ONNX file that onnxruntime can run: {why}") from None
    return OnnxPredictor(session, str(weights))


@dataclass(frozen=True)
class _Placement:
    """Where a picture lies in the network's input; sizes are (height, width)."""

    picture: tuple[int, int]
    scaled: tuple[int, int]
    network: tuple[int, int]

    @property
    def corner(self) -> tuple[int, int]:
        """Top and left edge of the picture; the odd pixel of the padding goes below and to the right."""
        top, left = (round((all_ - own) / 2 - 0.1) for all_, own in zip(self.network, self.scaled, strict=True))
        return top, left

    def back(self, boxes: Floats) -> Floats:
        """Boxes of the network's input in pixels of the picture, cut off at its edges."""
        top, left = self.corner
        scale = np.array([own / side for own, side in zip(self.scaled, self.picture, strict=True)])[[1, 0, 1, 0]]
        back: Floats = np.clip((boxes - [left, top, left, top]) / scale, 0, np.array(self.picture)[[1, 0, 1, 0]])
        return back


def _placed(picture: Picture, size: int, told: Description) -> _Placement:
    height, width = picture.shape[:2]
    if told.fit != "letterbox":
        return _Placement((height, width), (size, size), (size, size))
    scale = min(size / height, size / width)
    own = max(round(height * scale), 1), max(round(width * scale), 1)
    network = size - (size - own[0]) // told.stride * told.stride, size - (size - own[1]) // told.stride * told.stride
    return _Placement((height, width), own, network)


def _fitted(picture: Picture, place: _Placement, told: Description) -> npt.NDArray[np.float32]:
    """A picture as the network takes it: (3, height, width), 0..1."""
    scaled = _scaled(picture, place.scaled, smooth=told.fit == "stretch-smooth")
    (top, left), (height, width) = place.corner, place.scaled
    canvas = np.full((3, *place.network), _GREY, np.uint8)
    canvas[:, top : top + height, left : left + width] = scaled
    shares: npt.NDArray[np.float32] = canvas.astype(np.float32) / np.float32(255)
    return shares


def _scaled(picture: Picture, size: tuple[int, int], smooth: bool = False) -> Picture:
    """(height, width, 3) -> (3, *size), bilinear, as OpenCV scales; `smooth`: with an antialiasing filter."""
    if picture.shape[:2] == size:
        return np.ascontiguousarray(picture.transpose(2, 0, 1))
    planes = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    resized = torch.nn.functional.interpolate(planes, size, mode="bilinear", align_corners=False, antialias=smooth)
    rounded: Picture = resized[0].round().clamp(0, 255).to(torch.uint8).numpy()
    return rounded
