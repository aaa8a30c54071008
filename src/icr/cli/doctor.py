"""`icr doctor`: does it work here, and does the loss act?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icr.cli.options import Base, Device, Form, Relations, path

if TYPE_CHECKING:
    from icr.doctor import Diagnosis

_LITTLE = 0.001
"""The share of the gradient below which a change is there, but not to be seen in the figures beside it."""


def doctor(
    data: Annotated[
        Path | None,
        typer.Argument(
            parser=path, metavar="DATA", help="A data set, or a run folder; generated scenes if none is given."
        ),
    ] = None,
    relation: Relations = None,
    model: Annotated[str, typer.Option(help="A detector's name, or a .pt or .yaml file.")] = "yolo11n",
    base: Base = None,
    weight: Annotated[float | None, typer.Option(help="λ of the ICR loss.")] = None,
    form: Form = "product",
    imgsz: Annotated[int, typer.Option(help="Side of the square input, pixels.")] = 320,
    batch: Annotated[int, typer.Option(help="Pictures in the step.")] = 4,
    device: Device = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Show versions and devices, and take a real training step with the ICR loss and without.

    Ends with 1 when something does not work or the loss changes nothing.

    Example: icr doctor plates/data.yaml --relation plate:vehicle
    """
    from icr.cli.output import answer, answer_json, chatter_on_stderr, say
    from icr.detectors import first_device
    from icr.doctor import examine

    with chatter_on_stderr():
        found = examine(
            data,
            relation or (),
            model=model,
            base=base,
            weight=weight,
            form=form,
            imgsz=imgsz,
            batch=batch,
            device=device or first_device(),
            say=say,
        )
    if json:
        answer_json(found.as_json())
    else:
        answer(_told(found))
    if found.faults or not found.acts:
        raise typer.Exit(1)


def _told(found: Diagnosis) -> str:
    hardware = found.hardware
    lines = [
        "versions   " + ", ".join(f"{name} {version}" for name, version in found.versions.items()),
        f"machine    {hardware['cpu']}, {hardware['cores']} cores; {', '.join(hardware['gpus']) or 'no GPU'}",
        *(f"FAULT      {fault}" for fault in found.faults),
    ]
    step = found.step
    if step:
        change = step["box_loss"] / step["box_loss_without"] if step["box_loss_without"] else float("nan")
        lines += [
            f"step on    {found.step_on}, {step['pictures']} pictures",
            f"pairs      {step['pairs']} children with a parent in the batch",
            f"containment {step['containment']:.3f}, mean R over the boxes assigned to them: 1 is wholly inside",
            f"factor     {step['factor']:.3f}, mean of what ICR makes of their box loss",
            f"box loss   {step['box_loss']:.4f} with ICR, {step['box_loss_without']:.4f} without (x{change:.3f})",
            f"loss       {step['loss']:.4f} with ICR, {step['loss_without']:.4f} without",
            f"gradient   of the weights differs by {100 * step['gradient_changed']:.2g} %",
            f"verdict    {_verdict(found.acts, step['gradient_changed'])}",
        ]
    return "\n".join(lines)


def _verdict(acts: bool, change: float) -> str:
    if not acts:
        return "the ICR loss changes NOTHING in this step"
    little = "; little in this step: boxes that do not fit yet may weigh next to nothing, see --model FILE or --imgsz"
    return f"the ICR loss acts{little if change < _LITTLE else ''}"
