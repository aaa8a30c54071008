"""The ways of boxes as a moving picture, a panel for each loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from icr.lab.losses import LabLoss
from icr.lab.trajectory import Trajectory
from icr.writing import whole

_INK, _VEHICLE, _BOX, _PAPER = (17, 17, 17), (120, 128, 138), (209, 100, 46), (255, 255, 255)
_PANEL, _MARGIN, _TITLE = 260, 12, 20


def write_animation(
    path: Path,
    found: Mapping[str, Trajectory],
    losses: Sequence[LabLoss],
    target: Tensor,
    parent: Tensor,
    *,
    boxes: int = 40,
    frames: int = 50,
) -> None:
    """Write a GIF of some boxes on their way, all losses at the same step; early steps, where most happens, are slow.

    Args:
        path: the `.gif` file.
        found: for the name of each loss, the ways of the same start boxes.
        target, parent: ``(4,)``, xyxy in pixels.
        boxes: how many of the boxes, evenly spread.
        frames: pictures of the animation.
    """
    from PIL import Image

    some = next(iter(found.values())).boxes
    chosen = torch.linspace(0, some.shape[1] - 1, min(boxes, some.shape[1])).long()
    last = len(some) - 1
    steps = sorted({round(last * (frame / (frames - 1)) ** 1.5) for frame in range(frames)})
    view = torch.cat((some[0, chosen], parent.unsqueeze(0)))
    corner, scale = _fit(view)
    pictures: list[Image.Image] = []
    for step in steps:
        shown = Image.new("RGB", ((_PANEL + _MARGIN) * len(losses) + _MARGIN, _PANEL + _TITLE + 2 * _MARGIN), _PAPER)
        for place, one in enumerate(losses):
            panel = _panel(found[one.name].boxes[step, chosen], target, parent, corner, scale)
            shown.paste(panel, (_MARGIN + place * (_PANEL + _MARGIN), _MARGIN + _TITLE))
            _write(shown, (_MARGIN + place * (_PANEL + _MARGIN), 8), f"{one.name}   step {step}")
        pictures.append(shown.quantize(16, dither=Image.Dither.NONE))
    durations = [80] * (len(pictures) - 1) + [1500]
    with whole(path) as part:
        pictures[0].save(
            part, format="GIF", save_all=True, append_images=pictures[1:], duration=durations, loop=0, optimize=True
        )


def _fit(boxes: Tensor) -> tuple[Tensor, float]:
    low, high = boxes[:, :2].min(0).values, boxes[:, 2:].max(0).values
    return low - 4, (_PANEL - 2) / float((high - low + 8).max())


def _panel(boxes: Tensor, target: Tensor, parent: Tensor, corner: Tensor, scale: float) -> object:
    from PIL import Image, ImageDraw

    twice = 2  # drawn large and made small, for smooth lines
    panel = Image.new("RGB", (_PANEL * twice, _PANEL * twice), (247, 248, 249))
    draw = ImageDraw.Draw(panel)
    for group, colour, width in ((parent.unsqueeze(0), _VEHICLE, 5), (boxes, _BOX, 3), (target.unsqueeze(0), _INK, 5)):
        for left, top, right, bottom in ((group - corner.repeat(2)) * scale * twice).tolist():
            draw.rectangle((left, top, max(right, left), max(bottom, top)), outline=colour, width=width)
    return panel.resize((_PANEL, _PANEL), Image.Resampling.LANCZOS)


def _write(picture: object, at: tuple[int, int], text: str) -> None:
    from PIL import ImageDraw, ImageFont

    ImageDraw.Draw(picture).text(at, text, fill=_INK, font=ImageFont.load_default(13))  # type: ignore[arg-type]
