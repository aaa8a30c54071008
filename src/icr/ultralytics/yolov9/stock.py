# SPDX-License-Identifier: AGPL-3.0-only
"""A trained YOLOv9 as a `.pt` of plain Ultralytics, which has no grouped head: the same outputs from a dense one."""

from __future__ import annotations

import copy
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from ultralytics import __version__
from ultralytics.nn.tasks import DetectionModel

from icr.errors import InputError
from icr.ultralytics import architectures
from icr.ultralytics.yolov9.model import SIZES, YOLOv9, activate, main_plan


def write(weights: Path, out: Path) -> None:
    """Write the trained weights of a YOLOv9 so that Ultralytics loads them without this package.

    Args:
        weights: `.safetensors` of one of the sizes.
        out: the new file, ending in `.pt`.

    Raises:
        InputError: the weights are of another architecture, or `out` exists or is no `.pt`.

    Example:
        >>> write(Path("run/weights/best.safetensors"), Path("best.pt"))  # doctest: +SKIP
    """
    if out.suffix != ".pt":
        raise InputError(f"{out}: Ultralytics reads its weights from .pt files; name one")
    if out.exists():
        raise InputError(f"{out} exists; nothing is written over")
    architecture = architectures.of(str(weights))
    if architecture is None or architecture.name not in SIZES:
        what = weights.suffix if architecture is None else architecture.name
        raise InputError(f"{weights} holds {what}; expected .safetensors of {', '.join(SIZES)}")
    model = architectures.read(weights)
    trained: dict[str, Any] = {**model.args.get("args", {}), "imgsz": model.args["imgsz"], "task": "detect"}
    checkpoint = {
        "epoch": -1,
        "model": as_stock(model),
        "train_args": trained,
        "date": datetime.now(timezone.utc).isoformat(),
        "version": __version__,
        "license": "AGPL-3.0 (https://ultralytics.com/license)",
    }
    part = out.with_name(f"{out.name}.part")
    torch.save(checkpoint, part)
    part.replace(out)


def as_stock(model: YOLOv9) -> DetectionModel:
    """Rewrite the main branch in Ultralytics' own classes, in float32 on the CPU.

    The grouped convolutions become dense ones whose weights are zero outside the groups: more weights, the same
    outputs up to the order of additions. The class branch is taken over as wide as it is; it is wider than the plan
    says for size T with more than 32 classes, and as the plan says otherwise.

    Args:
        model: not fused; with its auxiliary branch or stripped. It stays as it is.
    """
    name, source = model.architecture, copy.deepcopy(model.model).cpu().float()
    ours: Any = source[-1]
    stock = DetectionModel(main_plan(name, ours.nc), ch=3, verbose=False)
    if SIZES[name].plain:
        activate(stock, nn.ReLU)
    head: Any = stock.model[-1]
    head.cv3 = ours.cv3
    wanted = stock.model.state_dict()
    found = {key: dense(tensor, wanted[key].shape) for key, tensor in source.state_dict().items()}
    stock.model.load_state_dict(found)
    stock.names = dict(model.names)
    return stock


def dense(weight: Tensor, shape: torch.Size) -> Tensor:
    """Write a grouped convolution's weight as a dense one's; any other tensor stays as it is.

    Args:
        weight: (out, in / groups, height, width), or of the given shape already.
        shape: of the dense weight, (out, in, height, width).

    Example:
        >>> dense(torch.ones(2, 1, 1, 1), torch.Size([2, 2, 1, 1])).flatten()
        tensor([1., 0., 0., 1.])
    """
    if weight.shape == shape:
        return weight
    whole = weight.new_zeros(shape)
    width = weight.shape[1]
    groups = shape[1] // width
    # chunks are views, so that what is written to them stands in the whole
    for group, (rows, values) in enumerate(zip(whole.chunk(groups), weight.chunk(groups), strict=True)):
        rows[:, group * width : (group + 1) * width] = values
    return whole
