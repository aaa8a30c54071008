"""A training step of any detector, with the ICR loss or with the engine's own, on a made-up batch of road scenes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from icr.detectors import DETECTORS, own_base
from icr.relations import ResolvedRelation

RELATIONS = (ResolvedRelation(0, (1,), 2.5),)
NAMES = ["plate", "vehicle"]
PARENT = "parent"
"""Row of each box's parent in the batch, -1 for none."""
PRECISIONS = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}

Step = Callable[[], None]


def scene(chance: np.random.Generator, vehicles: int) -> list[tuple[int, float, float, float, float]]:
    """Rows (class, cx, cy, w, h) of a road scene: vehicles, each with a plate, as shares of the picture's sides."""
    rows: list[tuple[int, float, float, float, float]] = []
    for _ in range(vehicles):
        width, height = chance.uniform(0.1, 0.35, 2)
        x, y = chance.uniform(width / 2, 1 - width / 2), chance.uniform(height / 2, 1 - height / 2)
        plate = width * chance.uniform(0.15, 0.3)
        plate_x = x + chance.uniform(-0.3, 0.3) * (width - plate)
        rows += [(0, plate_x, y + 0.25 * height, plate, plate / 3), (1, x, y, width, height)]
    return rows


def batch(size: int, imgsz: int, seed: int, device: torch.device) -> dict[str, Any]:
    """A batch as mosaic makes it, in Ultralytics' form: about twelve vehicles with their plates in each picture."""
    chance = np.random.default_rng(seed)
    pictures = [scene(chance, int(chance.integers(8, 17))) for _ in range(size)]
    rows = torch.tensor([row for picture in pictures for row in picture], dtype=torch.float32)
    index = torch.arange(len(rows))
    made = {
        "img": torch.rand(size, 3, imgsz, imgsz, generator=torch.Generator().manual_seed(seed)),
        "batch_idx": torch.tensor([float(at) for at, picture in enumerate(pictures) for _ in picture]),
        "cls": rows[:, :1],
        "bboxes": rows[:, 1:],
        PARENT: torch.where(rows[:, 0] == 0, index + 1, -1),
    }
    return {key: value.to(device) for key, value in made.items()}


def pairs(data: dict[str, Any]) -> int:
    return int((data[PARENT] >= 0).sum())


def steppers(
    kinds: tuple[bool, ...], model: str, data: dict[str, Any], seed: int, precision: str = "fp32"
) -> list[Step]:
    """A function for each kind (True: with ICR) that takes one training step: forward, loss, backward, optimiser.

    All of them work on the same weights in the same memory, since two copies of a network differ by several per cent
    in speed for where they lie alone.
    """
    torch.manual_seed(seed)
    make = _transformers if DETECTORS[model].engine == "transformers" else _ultralytics
    made = [make(model, with_icr, data) for with_icr in kinds]
    networks = [network.to(data["img"].device).train() for network, _ in made]
    for network in networks[1:]:
        _share(networks[0], network)
    optimizer = torch.optim.SGD(networks[0].parameters(), lr=1e-3, momentum=0.9)
    kind = data["img"].device.type
    scaler = torch.amp.GradScaler(kind, enabled=precision == "fp16")
    losses = [loss for _, loss in made]
    return [_stepper(*each, optimizer, scaler, precision) for each in zip(networks, losses, strict=True)]


def _share(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Let a network hold the very parameters and buffers of another of the same structure."""
    for ours, theirs in zip(source.modules(), target.modules(), strict=True):
        for name, value in [*ours.named_parameters(recurse=False), *ours.named_buffers(recurse=False)]:
            setattr(theirs, name, value)


def _stepper(
    network: torch.nn.Module,
    loss: Callable[[Any], torch.Tensor],
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    precision: str,
) -> Step:
    kind, dtype = next(network.parameters()).device.type, PRECISIONS[precision]

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast(kind, dtype) if dtype else nullcontext():
            value = loss(network)
        scaler.scale(value).backward()
        scaler.step(optimizer)
        scaler.update()
        if kind == "cuda":
            torch.cuda.synchronize()

    return step


def _ultralytics(model: str, with_icr: bool, data: dict[str, Any]) -> tuple[Any, Callable[[Any], torch.Tensor]]:
    from ultralytics.cfg import get_cfg

    from icr.ultralytics import architectures
    from icr.ultralytics import dataset as carried
    from icr.ultralytics.building import build
    from icr.ultralytics.detr.model import related as related_detr
    from icr.ultralytics.detr.settings import DetrSettings
    from icr.ultralytics.loss import related
    from icr.ultralytics.settings import BoxLoss

    data[carried.PARENT] = data[PARENT]
    network = build(model, len(NAMES))
    network.names, network.args = dict(enumerate(NAMES)), get_cfg()
    box = BoxLoss(own_base(DETECTORS[model]), "product", RELATIONS) if with_icr else None
    architecture = architectures.find(model)
    if model.startswith("rtdetr") or (architecture is not None and architecture.trainer == "detr"):
        related_detr(network, box, DetrSettings())
    elif architecture is not None:
        network.icr, network.enlarge_tiny = box, architecture.enlarge_tiny
    elif box is not None:
        related(network, box)
    return network, lambda network: network(data)[0].sum()


def _transformers(model: str, with_icr: bool, data: dict[str, Any]) -> tuple[Any, Callable[[Any], torch.Tensor]]:
    from icr.transformers import build, loss_function

    network = build(model, NAMES, imgsz=data["img"].shape[-1])
    if with_icr:
        network.loss_function = loss_function(network, "plate:vehicle", size=tuple(data["img"].shape[-2:]))
    labels = []
    for picture in range(len(data["img"])):
        rows = (data["batch_idx"] == picture).nonzero()[:, 0]
        parents = data[PARENT][rows]
        label = {"class_labels": data["cls"][rows, 0].long(), "boxes": data["bboxes"][rows]}
        labels.append({**label, "parent": torch.where(parents >= 0, parents - rows[0], -1)})
    return network, lambda network: network(pixel_values=data["img"], labels=labels).loss
