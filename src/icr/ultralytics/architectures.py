# SPDX-License-Identifier: AGPL-3.0-only
"""The detectors that Ultralytics' framework trains here but that are not its own: how each is built and stored."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from icr import checkpoints
from icr.errors import InputError


@dataclass(frozen=True)
class Architecture:
    """A detector that is none of Ultralytics' own.

    Attributes:
        name: what ``--model`` takes.
        module: where `build(name, nc) -> model` is found, imported on first use. The model keeps its class names in
            `names` and its body and head in `model`, as Ultralytics' models do.
        trainer: what trains it: `detection` (boxes and scores at every place of a grid) or `detr` (queries, matched).
        training_only: beginnings of the names of weights that released files leave out; a model that has any offers
            `strip()`, which drops them.
        enlarge_tiny: whether the assigner enlarges tiny boxes unless it is told otherwise.
    """

    name: str
    module: str
    trainer: str = "detection"
    training_only: tuple[str, ...] = ()
    enlarge_tiny: bool = False

    def build(self, nc: int) -> Any:
        """Build the model for `nc` classes, with new weights, ready to be trained."""
        return importlib.import_module(self.module).build(self.name, nc)


_PGI = ("aux.", "aux_head.")

ARCHITECTURES = {
    each.name: each
    for each in (
        Architecture("yolov9-t", "icr.ultralytics.yolov9.model", training_only=_PGI),
        Architecture("yolov9-s", "icr.ultralytics.yolov9.model", training_only=_PGI),
        Architecture("yolov9-m", "icr.ultralytics.yolov9.model", training_only=_PGI),
        Architecture("yolov9", "icr.ultralytics.yolov9.model", training_only=_PGI),
        Architecture("yolov9-c", "icr.ultralytics.yolov9.model", training_only=_PGI),
        Architecture("uav-detr-r18", "icr.ultralytics.uav_detr.model", trainer="detr"),
        Architecture("uav-detr-r50", "icr.ultralytics.uav_detr.model", trainer="detr"),
    )
}


def find(model: Any) -> Architecture | None:
    """The architecture of that name; None for whatever Ultralytics knows by itself.

    Example:
        >>> find("yolov9-t").trainer
        'detection'
        >>> find("yolo11n") is None
        True
    """
    return ARCHITECTURES.get(model) if isinstance(model, str) else None


def build(name: Any, data: Mapping[str, Any], weights: Any = None) -> Any:
    """Build the architecture of that name for a data set.

    Args:
        data: Ultralytics' reading of `data.yaml`.
        weights: a model whose weights are taken over.

    Raises:
        InputError: there is no such architecture, or it takes no such pictures.
    """
    architecture = find(name)
    if architecture is None:
        raise InputError(f"{name} is none of the architectures of icr: {', '.join(ARCHITECTURES)}")
    if data["channels"] != 3:
        raise InputError(f"{architecture.name} takes pictures of 3 channels; the data has {data['channels']}")
    model = architecture.build(data["nc"])
    model.names = data["names"]
    if weights is not None:
        model.load(weights)
    return model


def of(model: str) -> Architecture | None:
    """The architecture that ``--model`` names, by its name or by a `.safetensors` file of its weights.

    Raises:
        InputError: there is no such file, or it is none of ours.
    """
    if not model.endswith(checkpoints.SUFFIX):
        return find(model)
    stored = checkpoints.read_header(Path(model))
    return _known(Path(model), stored)


def released(architecture: Architecture, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What of a model's state is released: all but what only training needs, and floats as float32."""
    return {
        name: tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
        for name, tensor in tensors.items()
        if not name.startswith(architecture.training_only or ("\0",))
    }


def write(path: Path, architecture: Architecture, model: nn.Module, settings: Mapping[str, Any]) -> None:
    """Store a model's weights as `.safetensors`, without what only training needs.

    Args:
        model: of this architecture; `names` are its classes.
        settings: what it was trained with, in plain JSON values; `imgsz` among them.
    """
    names: Any = model.names
    checkpoint = checkpoints.Checkpoint(
        engine="ultralytics",
        model=architecture.name,
        names=[str(name) for _, name in sorted(names.items())],
        imgsz=int(settings["imgsz"]),
        settings=dict(settings),
        tensors=released(architecture, model.state_dict()),
    )
    checkpoints.write(path, checkpoint)


def read(path: Path) -> Any:
    """Build the model of a `.safetensors` file, in float32 on the CPU, without what only training needs.

    Returns:
        The model; `args` are the settings that it was trained with, `architecture` is its name.

    Raises:
        InputError: the file is none of ours, of another engine or version, or does not fit its architecture.
    """
    stored = checkpoints.read(path)
    architecture = _known(path, stored)
    model = architecture.build(len(stored.names))
    if architecture.training_only:
        model.strip()
    try:
        model.load_state_dict(stored.tensors)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise InputError(f"{path} does not fit {stored.model}; was it made by another version? ({why})") from None
    model.names = dict(enumerate(stored.names))
    model.args = {**stored.settings, "imgsz": stored.imgsz}
    return model.float()


def _known(path: Path, stored: checkpoints.Checkpoint) -> Architecture:
    architecture = find(stored.model)
    if stored.engine != "ultralytics" or architecture is None:
        raise InputError(
            f"{path} holds {stored.model!r} of the engine {stored.engine!r}; this engine has {', '.join(ARCHITECTURES)}"
        )
    return architecture
