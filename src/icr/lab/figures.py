"""Pictures of the lab: ways of boxes, error by step, gradients and landscapes, each a Matplotlib figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from icr.lab.field import Field
from icr.lab.losses import LabLoss
from icr.lab.outcome import Outcome
from icr.lab.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HUES = ("#3b6fb6", "#d1642e", "#3c8f5a", "#8c5bb0", "#b8912a", "#c04a7a", "#4a9aa8")
_VEHICLE, _PLATE = "#5b6570", "#111111"


def ways(
    found: Mapping[str, Trajectory], losses: Sequence[LabLoss], target: Tensor, parent: Tensor, shown: int = 24
) -> Figure:
    """The ways of the centres of some boxes, a panel for each loss; a ring where a box starts, a box where it ends.

    Args:
        found: for the name of each loss, the ways of the same start boxes.
        losses: in the order of the panels.
        target, parent: ``(4,)``, xyxy in pixels.
        shown: how many of the boxes, evenly spread.
    """
    figure, panels = _panels(len(losses), _columns(losses))
    some = next(iter(found.values())).boxes
    chosen = torch.linspace(0, some.shape[1] - 1, min(shown, some.shape[1])).long()
    view = _view(torch.cat((some[0, chosen], parent.unsqueeze(0))))
    for axes, one in zip(panels, losses, strict=True):
        boxes = found[one.name].boxes[:, chosen]
        centres = (boxes[..., :2] + boxes[..., 2:]) / 2
        colour = _colour(one, losses)
        for box in range(boxes.shape[1]):
            axes.plot(*centres[:, box].T.tolist(), color=colour, linewidth=0.9, alpha=0.75)
            _rectangle(axes, boxes[-1, box], colour, linewidth=0.7, alpha=0.8)
        across, down = centres[0].T.tolist()
        axes.scatter(across, down, s=12, facecolors="white", edgecolors=colour, linewidths=0.9, zorder=3)
        _scene(axes, target, parent)
        _frame(axes, view, one.name)
    return figure


def curves(outcomes: Mapping[str, Outcome], losses: Sequence[LabLoss], starts: int) -> Figure:
    """Mean IoU and mean error by step, all losses in one pair of axes each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, (what, label) in zip(
        figure.subplots(1, 2), (("overlap", "mean IoU with the target"), ("error", "mean error, pixels")), strict=True
    ):
        for one in losses:
            line = getattr(outcomes[one.name], what)
            axes.plot(line.tolist(), color=_colour(one, losses), linestyle=_dash(one), linewidth=1.7, label=one.name)
        axes.set(xlabel="step", ylabel=label, xlim=(0, len(line) - 1), ylim=(0, None))
        _plain(axes)
    figure.axes[0].legend(frameon=False, fontsize=9)
    figure.suptitle(f"{starts:,} start boxes", fontsize=10, color="#555555")
    return figure


def gradients(fields: Mapping[str, Field], losses: Sequence[LabLoss], target: Tensor, parent: Tensor) -> Figure:
    """Strength of the gradient by the centre as colour, its direction as arrows, a panel for each loss."""
    from matplotlib.colors import LogNorm

    figure, panels = _panels(len(losses), _columns(losses))
    highest = max(float(field.strength.max()) for field in fields.values())
    for axes, one in zip(panels, losses, strict=True):
        field = fields[one.name]
        image = axes.pcolormesh(
            field.x.tolist(), field.y.tolist(), field.strength.clamp(min=highest / 1e3).tolist(),
            norm=LogNorm(highest / 1e3, highest), cmap="YlGnBu", shading="nearest", rasterized=True,
        )  # fmt: skip
        _arrows(axes, field)
        _scene(axes, target, parent)
        _frame(axes, _ends(field), one.name)
    figure.colorbar(image, ax=panels, label="size of the gradient, per pixel")
    return figure


def by_size(found: Mapping[str, tuple[Tensor, Tensor]], losses: Sequence[LabLoss], distance: float) -> Figure:
    """Size of the gradient by the size of the child, all losses in one pair of axes (the paper's Fig. 1)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for one in losses:
        sizes, strength = found[one.name]
        seen = strength.where(strength > 0, torch.nan)
        axes.plot(
            sizes.tolist(), seen.tolist(), color=_colour(one, losses), linestyle=_dash(one), linewidth=1.7,
            label=one.name,
        )  # fmt: skip
    least = min(float(line[line > 0].min()) for _, line in found.values() if bool((line > 0).any()))
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=f"width of the child, pixels (its box lies {distance:g} pixels off)",
        ylabel="size of the gradient by the centre, per pixel",
        ylim=(max(least, 1e-4) / 1.3, None),
    )
    marks = [4, 8, 16, 32, 64, 128]
    axes.set_xticks(marks, [str(mark) for mark in marks])
    axes.minorticks_off()
    _plain(axes)
    axes.legend(frameon=False, fontsize=9)
    return figure


def landscapes(fields: Mapping[str, Field], losses: Sequence[LabLoss], target: Tensor, parent: Tensor) -> Figure:
    """The loss over the centres of a box, a panel for each loss, all by one scale of colours."""
    figure, panels = _panels(len(losses), _columns(losses))
    lowest = min(float(field.loss.min()) for field in fields.values())
    highest = max(float(field.loss.max()) for field in fields.values())
    # finer where the loss is low: a penalty outside the parent must not hide what goes on inside
    steps = torch.linspace(0, 1, 19) ** 1.7
    levels = (lowest + max(highest - lowest, 1e-6) * steps).tolist()
    for axes, one in zip(panels, losses, strict=True):
        field = fields[one.name]
        across, down, value = field.x.tolist(), field.y.tolist(), field.loss.tolist()
        image = axes.contourf(across, down, value, levels=levels, cmap="magma_r")
        axes.contour(across, down, value, levels=levels, colors="white", linewidths=0.35, alpha=0.7)
        _scene(axes, target, parent)
        _frame(axes, _ends(field), one.name)
    figure.colorbar(image, ax=panels, label="loss, centre here", format="%.1f", ticks=levels[::3])
    return figure


def _panels(number: int, columns: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    columns = min(number, columns)
    rows = math.ceil(number / columns)
    figure = Figure(figsize=(3.7 * columns + 0.3, 3.3 * rows + 0.2), layout="constrained")
    panels = [axes for row in figure.subplots(rows, columns, squeeze=False) for axes in row]
    for axes in panels[number:]:
        axes.remove()
    return figure, panels[:number]


def _columns(losses: Sequence[LabLoss]) -> int:
    """As many panels in a row as one base has losses, so that kin stand side by side; two bases where that is short."""
    kin = sum(one.base == losses[0].base for one in losses)
    return kin if kin > 2 or len(losses) == kin else 2 * kin


def _colour(one: LabLoss, losses: Sequence[LabLoss]) -> str:
    """A base has a hue of its own; where there is only one base, its forms have."""
    bases = list(dict.fromkeys(each.base for each in losses))
    if len(bases) > 1:
        return _HUES[bases.index(one.base) % len(_HUES)]
    return _HUES[[each.name for each in losses].index(one.name) % len(_HUES)]


def _dash(one: LabLoss) -> str | tuple[int, tuple[int, ...]]:
    forms = {None: "--", "product": "-"}
    return forms.get(one.form, (0, (1, 1)))


def _rectangle(axes: Axes, box: Tensor, colour: str, **style: Any) -> None:
    from matplotlib.patches import Rectangle

    left, top, right, bottom = box.tolist()
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, **style))


def _halo(width: float) -> list[Any]:
    """Keeps a dark line apart from a dark ground."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground="white")]


def _scene(axes: Axes, target: Tensor, parent: Tensor) -> None:
    _rectangle(axes, parent, _VEHICLE, linewidth=1.6, zorder=4, path_effects=_halo(3.2))
    _rectangle(axes, target, _PLATE, linewidth=1.8, zorder=5, path_effects=_halo(3.4))


def _view(boxes: Tensor) -> tuple[float, float, float, float]:
    """What must be seen, with a margin: left, right, top, bottom."""
    left, top = boxes[:, :2].min(0).values.tolist()
    right, bottom = boxes[:, 2:].max(0).values.tolist()
    margin = 0.03 * max(right - left, bottom - top)
    return left - margin, right + margin, top - margin, bottom + margin


def _ends(field: Field) -> tuple[float, float, float, float]:
    return float(field.x[0]), float(field.x[-1]), float(field.y[0]), float(field.y[-1])


def _frame(axes: Axes, view: tuple[float, float, float, float], title: str) -> None:
    left, right, top, bottom = view
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
    axes.set_title(title, fontsize=11)
    axes.tick_params(labelsize=7, length=2)


def _arrows(axes: Axes, field: Field, across: int = 17) -> None:
    every = max(len(field.x) // across, 1)
    start = every // 2
    moves = torch.nn.functional.normalize(field.descent[start::every, start::every], dim=-1)
    axes.quiver(
        field.x[start::every].tolist(), field.y[start::every].tolist(), moves[..., 0].tolist(), moves[..., 1].tolist(),
        angles="xy", scale=24, width=0.004, color="#20242a", pivot="mid", alpha=0.8,
    )  # fmt: skip


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e4e6e8", linewidth=0.7)
    axes.set_axisbelow(True)
