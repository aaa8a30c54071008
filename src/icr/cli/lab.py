"""`icr lab …`: what a loss does to one box."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icr.cli.options import Json, at_least
from icr.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure
    from torch import Tensor

    from icr.lab.losses import LabLoss

app = typer.Typer(name="lab", help="What a loss does to one box.", no_args_is_help=True)

Base = Annotated[
    list[str] | None,
    typer.Option(help="A box loss (iou, giou, diou, ciou, …), or FILE.py:FUNCTION; may be repeated. Default: ciou."),
]
Form = Annotated[
    list[str] | None, typer.Option(help="product, sum, step, power or a control; may be repeated. Default: product.")
]
Weight = Annotated[float, typer.Option(help="λ of the ICR loss.")]
Child = Annotated[str | None, typer.Option("--child", help="The target, x1,y1,x2,y2 in pixels.")]
Parent = Annotated[str | None, typer.Option("--parent", help="The box of its parent, likewise.")]
Out = Annotated[Path | None, typer.Option(help="Draw into this folder; new, or empty.")]


@app.command("trajectory")
def trajectory(
    base: Base = None,
    form: Form = None,
    weight: Weight = 2.5,
    starts: Annotated[
        str, typer.Option(help="random (all over the parent), or grid (distances, sizes, aspect ratios).")
    ] = "random",
    number: Annotated[int, typer.Option(help="How many random starts.")] = 2000,
    steps: Annotated[int, typer.Option(help="Steps of descent.")] = 200,
    rate: Annotated[float, typer.Option(help="px² of step per unit of gradient.")] = 200.0,
    parameters: Annotated[
        str, typer.Option(help="What descends: corners (as in a YOLO), or centre, width and height (as in a DETR).")
    ] = "corners",
    child: Child = None,
    parent: Parent = None,
    seed: Annotated[int, typer.Option(help="Of the random starts.")] = 0,
    out: Out = None,
    json: Json = False,
) -> None:
    """Let thousands of boxes descend a loss, alone and with ICR (the paper's Figs. 2, 5 and 7).

    Example: icr lab trajectory --base iou --base giou --base diou --base ciou --out figures
    """
    from icr.cli.output import answer, answer_json, progress, say
    from icr.lab.losses import lab_losses
    from icr.lab.outcome import measure
    from icr.lab.report import LEGEND, table
    from icr.lab.starts import grid_starts
    from icr.lab.trajectory import PARAMETERS, random_starts, simulate

    at_least(1, number=number, steps=steps)
    for name, given, known in (("starts", starts, ("random", "grid")), ("parameters", parameters, tuple(PARAMETERS))):
        if given not in known:
            raise InputError(f"--{name} {given}: expected {' or '.join(known)}")
    _check(weight, rate=rate)
    losses = lab_losses(base or ("ciou",), form or ("product",), weight, seed)
    target, vehicle = _scene(child, parent)
    begin = random_starts(number, seed) if starts == "random" else grid_starts(target)
    with _folder(out) as folder:
        found = {}
        with progress("descending") as tell:
            for done, one in enumerate(losses):
                found[one.name] = simulate(begin, target, vehicle, one.loss, steps, rate, parameters)
                tell(done + 1, len(losses))
        outcomes = {name: measure(way, target) for name, way in found.items()}
        if folder is not None:
            from icr.lab.animation import write_animation
            from icr.lab.figures import curves, ways

            _save(
                folder, {"ways": ways(found, losses, target, vehicle), "curves": curves(outcomes, losses, len(begin))}
            )
            write_animation(folder / "ways.gif", found, losses, target, vehicle)
    if out is not None:
        say(f"drawn: {out}")
    if json:
        settings = {"starts": starts, "number": len(begin), "steps": steps, "rate": rate, "parameters": parameters}
        answer_json(
            {
                **settings,
                **_told(target, vehicle, weight),
                "losses": {name: one.as_json() for name, one in outcomes.items()},
            }
        )
        return
    answer(table(outcomes))
    say(LEGEND)


@app.command("gradient")
def gradient(
    base: Base = None,
    form: Form = None,
    weight: Weight = 2.5,
    distance: Annotated[float, typer.Option(help="How far off the boxes lie in the chart by size, pixels.")] = 20.0,
    child: Child = None,
    parent: Parent = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """Size and direction of the gradient, over the places of a box and over the size of the child (the paper's Fig. 1).

    Example: icr lab gradient --base iou --base giou --base diou --base ciou --out figures
    """
    from icr.cli.output import answer, answer_json, say
    from icr.lab.field import over_sizes
    from icr.lab.losses import lab_losses

    _check(weight, distance=distance)
    losses = lab_losses(base or ("ciou",), form or ("product",), weight)
    target, vehicle = _scene(child, parent)
    with _folder(out) as folder:
        sizes = {one.name: over_sizes(one.loss, distance=distance) for one in losses}
        if folder is not None:
            from icr.lab.figures import by_size, gradients

            fields = _fields(losses, target, vehicle)
            _save(
                folder,
                {"gradient": gradients(fields, losses, target, vehicle), "by-size": by_size(sizes, losses, distance)},
            )
    if out is not None:
        say(f"drawn: {out}")
    widths = next(iter(sizes.values()))[0].tolist()
    if json:
        found = {name: [round(value, 6) for value in strength.tolist()] for name, (_, strength) in sizes.items()}
        answer_json({"distance": distance, "widths": widths, **_told(target, vehicle, weight), "gradient": found})
        return
    shown = [place for place, width in enumerate(widths) if width in (4, 8, 16, 32, 64, 128)]
    longest = max(len(name) for name in sizes)
    answer("width of the child, px".ljust(longest) + "".join(f"{widths[place]:>9g}" for place in shown))
    longest = max(longest, len("width of the child, px"))
    for name, (_, strength) in sizes.items():
        answer(name.ljust(longest) + "".join(f"{strength[place]:9.4f}" for place in shown))
    say(f"size of the gradient by the centre, per pixel, of boxes that lie {distance:g} px off, mean over directions")


@app.command("landscape")
def landscape(
    base: Base = None,
    form: Form = None,
    weight: Weight = 2.5,
    scale: Annotated[float, typer.Option(help="Size of the box; the child's is 1.")] = 1.0,
    aspect: Annotated[float, typer.Option(help="Width by height of the box; the child's is 1.")] = 1.0,
    child: Child = None,
    parent: Parent = None,
    out: Out = None,
    json: Json = False,
) -> None:
    """The loss itself over the places of a box.

    Example: icr lab landscape --base giou --base ciou --form product --form sum --out figures
    """
    from icr.cli.output import answer, answer_json, say
    from icr.lab.figures import landscapes
    from icr.lab.losses import lab_losses

    _check(weight, scale=scale, aspect=aspect)
    losses = lab_losses(base or ("ciou",), form or ("product",), weight)
    target, vehicle = _scene(child, parent)
    fields = _fields(losses, target, vehicle, scale=scale, aspect=aspect)
    with _folder(out) as folder:
        if folder is not None:
            _save(folder, {"landscape": landscapes(fields, losses, target, vehicle)})
    if out is not None:
        say(f"drawn: {out}")
    inside = {name: _inside(field.x, field.y, vehicle) for name, field in fields.items()}
    told = {
        name: {"inside": float(field.loss[inside[name]].mean()), "outside": float(field.loss[~inside[name]].mean())}
        for name, field in fields.items()
    }
    if json:
        answer_json({"scale": scale, "aspect": aspect, **_told(target, vehicle, weight), "mean_loss": told})
        return
    longest = max(len(name) for name in told)
    answer(f"{'':{longest}}  mean loss, centre inside the parent  outside")
    for name, means in told.items():
        answer(f"{name:{longest}}  {means['inside']:35.3f}  {means['outside']:7.3f}")


def _check(weight: float, **positive: float) -> None:
    if not 0 <= weight < float("inf"):
        raise InputError(f"--weight {weight}: expected a number of at least 0; the paper uses 2.5")
    for name, value in positive.items():
        if not 0 < value < float("inf"):
            raise InputError(f"--{name} {value}: expected a number above 0")


def _scene(child: str | None, parent: str | None) -> tuple[Tensor, Tensor]:
    import torch

    from icr.lab.trajectory import PLATE, VEHICLE

    target = torch.tensor(_box("child", child) if child else PLATE)
    return target, torch.tensor(_box("parent", parent) if parent else VEHICLE)


def _box(name: str, given: str) -> tuple[float, ...]:
    try:
        left, top, right, bottom = (float(number) for number in given.split(","))
    except ValueError:
        raise InputError(f"--{name} {given}: expected four numbers, x1,y1,x2,y2, such as 165,185,195,195") from None
    if not (left < right and top < bottom and max(map(abs, (left, top, right, bottom))) <= 1e6):
        raise InputError(f"--{name} {given}: expected x1 < x2 and y1 < y2, within a million pixels")
    return left, top, right, bottom


def _fields(
    losses: list[LabLoss], target: Tensor, parent: Tensor, scale: float = 1.0, aspect: float = 1.0
) -> dict[str, Any]:
    """Each loss over the parent and half a parent around it."""
    import torch

    from icr.lab.field import over_centres

    left, top, right, bottom = parent.tolist()
    margin = 0.5 * max(right - left, bottom - top)
    x = torch.linspace(left - margin, right + margin, 201)
    y = torch.linspace(top - margin, bottom + margin, 201)
    return {one.name: over_centres(one.loss, target, parent, x=x, y=y, scale=scale, aspect=aspect) for one in losses}


def _inside(x: Tensor, y: Tensor, parent: Tensor) -> Tensor:
    left, top, right, bottom = parent.tolist()
    found: Tensor = ((y >= top) & (y <= bottom)).unsqueeze(1) & ((x >= left) & (x <= right)).unsqueeze(0)
    return found


def _told(target: Tensor, parent: Tensor, weight: float) -> dict[str, Any]:
    return {"child": target.tolist(), "parent": parent.tolist(), "weight": weight}


@contextmanager
def _folder(out: Path | None) -> Iterator[Path | None]:
    """Where to draw; refused before any work where it would write over something."""
    from icr.data.formats.folders import new_folder

    if out is None:
        yield None
        return
    with new_folder(out) as folder:
        yield folder


def _save(folder: Path, figures: Mapping[str, Figure]) -> None:
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=110)
        figure.savefig(folder / f"{name}.svg")
