"""`icr train`: one detector, with the ICR loss or without."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from icr.cli.options import Base, Data, Devices, Form, Model, Overrides, Relations, Weight, Workers
from icr.errors import InputError
from icr.presets import NAMES as PRESETS


def train(
    data: Data,
    model: Model,
    relation: Relations = None,
    base: Base = None,
    weight: Weight = None,
    form: Form = "product",
    icr: Annotated[
        bool, typer.Option("--icr/--no-icr", help="Without it the engine's own loss is used, untouched.")
    ] = True,
    out: Annotated[Path | None, typer.Option(help="The run folder; new. Default: runs/DATA-MODEL-icr-seed0.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(help=f"Settings that go together: {', '.join(PRESETS)}; an option that is given wins."),
    ] = None,
    imgsz: Annotated[
        int | None, typer.Option(help="Side of the square input, pixels. Default: the preset's, else 640.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the training pictures. Default: the preset's, else 100.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step. Default: the preset's, else 16.")] = None,
    device: Devices = None,
    seed: Annotated[int, typer.Option(help="Of the weights and of the order and augmentation of the data.")] = 0,
    workers: Workers = 2,
    set_: Overrides = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a killed run.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let a .pt to start from be unpickled; it may run any code.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the metrics as one JSON object.")] = False,
) -> None:
    """Train a detector on DATA, evaluate it, and leave both in a run folder.

    Example: icr train plates/data.yaml --relation plate:vehicle --model yolo11n --epochs 100

    Example: icr train plates/data.yaml --relation plate:vehicle --model yolov9-t --preset paper --device 0,1
    """
    from icr import detectors, distributed, runs, training
    from icr.cli.output import answer, answer_json, chatter_on_stderr, say

    with chatter_on_stderr():
        given = {"preset": preset, "imgsz": imgsz, "epochs": epochs, "batch": batch}
        evaluation = training.train(
            data,
            model=model,
            relation=relation or (),
            weight=weight,
            out=out,
            resume=resume,
            say=say,
            base=base,
            form=form,
            icr=icr,
            device=device or distributed.device() or detectors.first_device(),
            seed=seed,
            workers=workers,
            overrides=read_overrides(set_ or []),
            trust=trust,
            **{key: value for key, value in given.items() if value is not None},
        )
    folder = out or training.default_out(data, model, icr, seed)
    if json:
        answer_json({"run": str(folder), **evaluation.as_json()})
        return
    answer(evaluation.as_table())
    weights = shlex.quote(str(runs.weights_of(folder) or folder / "weights"))
    say(f"the run is in {folder}; next: icr predict {weights} PICTURES")


def read_overrides(pairs: list[str]) -> dict[str, Any]:
    """Read `key=value` settings; values are YAML, so numbers, true and lists mean what they look like.

    Example:
        >>> read_overrides(["lr0=0.01", "optimizer=SGD", "mosaic=0"])
        {'lr0': 0.01, 'optimizer': 'SGD', 'mosaic': 0}
    """
    import yaml

    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not (key and equals):
            raise InputError(f"--set {pair}: expected key=value, such as --set lr0=0.01")
        try:
            settings[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise InputError(
                f"--set {pair}: the value cannot be read; quote it, such as --set 'name=\"a: b\"'"
            ) from None
    return settings
