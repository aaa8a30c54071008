"""From files of the two runs to what the page shows: pictures with boxes, curves by epoch, the way of a box."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch

import icr
from icr.data.dataset import Sample
from icr.demo.overlays import CHILD, FOUND, iou
from icr.demo.report import Box, Curve, Marks, Picture, Way
from icr.lab.trajectory import PLATE, VEHICLE, random_starts, simulate
from icr.predictions import Predictions
from icr.relations import ResolvedRelation, match_parents

SCORE = 0.25
"""Predictions below it are not drawn, as they do not count for pairs."""

START: Box = (200.0, 230.0, 230.0, 242.0)
"""Where the box of the page's drawing starts: below the vehicle, about as large as the plate."""

STEPS, RATE, STRIDE = 1600, 8.0, 4
"""Far smaller steps than the simulation's own 200 of rate 200, in which a single box overshoots wildly; every fourth
position is kept."""

APART = 0.05
"""Difference of IoU from which one end counts as better than another."""


def chosen(samples: Sequence[Sample], number: int) -> list[int]:
    """Pick pictures evenly spaced over a split, without looking at any result.

    Example:
        >>> chosen([None] * 120, 6)  # type: ignore[list-item]
        [0, 21, 40, 61, 80, 101]
    """
    # Even and odd pictures are days and nights, so every other place is moved on by one.
    places = (place * len(samples) // number for place in range(number))
    return [place + (turn % 2 == 1 and place % 2 == 0) for turn, place in enumerate(places)]


def picture(
    sample: Sample,
    parents: Sequence[int],
    light: str,
    baseline: Predictions,
    icr: Predictions,
    relations: Sequence[ResolvedRelation],
) -> Picture:
    """One test picture with its labels and what each detector found in it.

    Args:
        sample: the picture.
        parents: index of each labelled box's parent, -1 for none.
        light: ``day`` or ``night``.
        baseline, icr: predictions, of which those of score 0.25 and more are drawn.
        relations: to join predicted plates to predicted vehicles.
    """
    truth = Marks(_boxes(sample.boxes), [int(label) for label in sample.labels], [int(each) for each in parents])
    found = [_marks(each, relations) for each in (baseline, icr)]
    plates = [box for box, label in zip(truth.boxes, truth.labels, strict=True) if label == CHILD]
    counts = [sum(_is_found(plate, marks) for plate in plates) for marks in found]
    many = f"{len(plates)} plate{'' if len(plates) == 1 else 's'}"
    said = f"{sample.image.stem}, by {light}, {many}: {counts[0]} found without ICR, {counts[1]} with it."
    return Picture(
        sample.image.name, said, sample.image.read_bytes(), sample.width, sample.height, truth, found[0], found[1]
    )


def _is_found(plate: Box, marks: Marks) -> bool:
    return any(
        label == CHILD and iou(plate, box) >= FOUND for box, label in zip(marks.boxes, marks.labels, strict=True)
    )


def _marks(predictions: Predictions, relations: Sequence[ResolvedRelation]) -> Marks:
    kept = predictions.scores >= SCORE
    boxes, labels = predictions.boxes[kept], predictions.labels[kept]
    parents = match_parents(torch.as_tensor(boxes), torch.as_tensor(labels), relations)
    return Marks(_boxes(boxes), labels.tolist(), parents.tolist(), predictions.scores[kept].tolist())


def _boxes(boxes: np.ndarray) -> list[Box]:
    return [cast(Box, tuple(float(value) for value in box)) for box in boxes]


def read_results(path: Path) -> dict[str, list[float]]:
    """Read a run's `results.csv`: each column by name; what is no number is NaN."""
    with path.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.reader(opened))
    names = [name.strip() for name in rows[0]]
    return {name: [_number(row[place]) for row in rows[1:]] for place, name in enumerate(names)}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def curves(
    baseline: dict[str, list[float]],
    icr: dict[str, list[float]],
    baseline_ap50: Sequence[float],
    icr_ap50: Sequence[float],
) -> list[Curve]:
    """The curves of the page.

    Args:
        baseline, icr: columns of each run's `results.csv`.
        baseline_ap50, icr_ap50: plate AP50 on the validation pictures after each epoch.
    """

    def by_epoch(columns: dict[str, list[float]], name: str) -> list[tuple[float, float]]:
        return list(zip(columns["epoch"], columns.get(name, ()), strict=False))

    containment = _column(icr, "icr_containment")
    factor = _column(icr, "icr_factor")
    return [
        Curve(
            "Plate AP50 on the validation pictures",
            "After each epoch. These pictures choose the checkpoint that is kept; the table above rests on others.",
            list(zip(baseline["epoch"], baseline_ap50, strict=False)),
            list(zip(icr["epoch"], icr_ap50, strict=False)),
            (0.0, 1.0),
        ),
        Curve(
            "Box loss in training",
            "Not to be compared in height: ICR multiplies the loss of plates that stick out of their vehicle.",
            by_epoch(baseline, "train/box_loss"),
            by_epoch(icr, "train/box_loss"),
        ),
        Curve(
            "Mean containment R, with ICR",
            "How much of the predicted plate lies in its vehicle. At 1 there is nothing left for ICR to act on.",
            [],
            by_epoch(icr, containment),
        ),
        Curve(
            "Mean factor 1 + λ(1 − R), with ICR",
            "By how much ICR multiplied the plates’ box loss. At 1 it is the plain loss.",
            [],
            by_epoch(icr, factor),
        ),
    ]


def _column(columns: dict[str, list[float]], name: str) -> str:
    """The name of a training column, with whatever prefix the engine gives it."""
    found = [column for column in columns if column.endswith(name) and not column.startswith("val")]
    if not found:
        raise KeyError(f"results.csv has no column {name}; it has {', '.join(columns)}")
    return found[0]


def way(starts: int) -> Way:
    """Move one box, and many, by the gradient of CIoU and of ICR-CIoU.

    Args:
        starts: how many random start boxes the means are over.
    """
    vehicle, plate = torch.tensor(VEHICLE), torch.tensor(PLATE)
    begin = torch.cat([torch.tensor([START]), random_starts(starts)])

    def plain(pred: torch.Tensor, target: torch.Tensor, parent: torch.Tensor) -> torch.Tensor:
        return icr.box_loss(pred, target)

    losses: tuple[Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor], ...] = (plain, icr.icr_loss)
    first, second = (simulate(begin, plate, vehicle, loss, steps=STEPS, rate=RATE) for loss in losses)
    ahead = second.iou[-1, 1:] - first.iou[-1, 1:]
    return Way(
        parent=VEHICLE,
        target=PLATE,
        stride=STRIDE,
        baseline=_boxes(first.boxes[::STRIDE, 0].numpy()),
        icr=_boxes(second.boxes[::STRIDE, 0].numpy()),
        baseline_iou=first.iou[::STRIDE, 0].tolist(),
        icr_iou=second.iou[::STRIDE, 0].tolist(),
        starts=starts,
        baseline_mean=first.iou[::STRIDE, 1:].mean(dim=1).tolist(),
        icr_mean=second.iou[::STRIDE, 1:].mean(dim=1).tolist(),
        better=(ahead > APART).double().mean().item(),
        worse=(ahead < -APART).double().mean().item(),
    )


def parameters(detector: object) -> int:
    """How many weights a loaded detector has."""
    model = getattr(detector, "model", None)
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"a {type(detector).__name__} has no PyTorch model to count the weights of")
    return sum(weight.numel() for weight in model.parameters())
