"""`icr compare`: several seeds with the ICR loss and without, and a verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icr.cli.options import Data, Devices, Form, Model, Overrides, Relations, Resamples, Weight, Workers, at_least


def compare(
    data: Data,
    model: Model,
    seeds: Annotated[int, typer.Option(help="Seeds; each is one run without ICR and one with it.")] = 5,
    first_seed: Annotated[int, typer.Option(help="The first of them; the others follow.")] = 0,
    relation: Relations = None,
    base: Annotated[
        str | None, typer.Option(help="The IoU-family loss of both arms. Default: the detector's own.")
    ] = None,
    weight: Weight = None,
    form: Form = "product",
    out: Annotated[Path | None, typer.Option(help="Folder of all runs. Default: runs/DATA-MODEL-compare.")] = None,
    imgsz: Annotated[int, typer.Option(help="Side of the square input, pixels.")] = 640,
    epochs: Annotated[int, typer.Option(help="Passes over the training pictures.")] = 100,
    batch: Annotated[int, typer.Option(help="Pictures a step.")] = 16,
    device: Devices = None,
    workers: Workers = 2,
    set_: Overrides = None,
    resamples: Resamples = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print the comparison as one JSON object.")] = False,
) -> None:
    """Train on several seeds without ICR and with it, and say whether it helped, how sure that is, and what is lacking.

    The same command goes on where it was stopped; more --seeds add to what is there. Ends with 1 if a run failed.

    Example: icr compare plates/data.yaml --relation plate:vehicle --model yolo11n --epochs 100 --seeds 5
    """
    at_least(1, seeds=seeds)
    at_least(0, first_seed=first_seed)
    at_least(2, resamples=resamples)
    from icr import detectors
    from icr.cli.output import answer, answer_json, chatter_on_stderr, say
    from icr.cli.train import read_overrides
    from icr.comparing.seeds import COMPARISON, TABLE, compare_seeds, default_out

    folder = out or default_out(data, model)
    with chatter_on_stderr():
        outcome = compare_seeds(
            data,
            model=model,
            seeds=range(first_seed, first_seed + seeds),
            out=folder,
            relation=relation or (),
            weight=weight,
            resamples=resamples,
            say=say,
            base=base,
            form=form,
            imgsz=imgsz,
            epochs=epochs,
            batch=batch,
            device=device or detectors.first_device(),
            workers=workers,
            overrides=read_overrides(set_ or []),
        )
    for run, error in outcome.failures:
        say(f"failed: {run}: {error}")
    if outcome.comparison is None:
        say("no seed has both its runs, so nothing can be compared; the same command tries the failed ones again")
    if json:
        answer_json(outcome.record)
    elif outcome.comparison is not None:
        answer(outcome.comparison.as_table())
    if outcome.comparison is not None:
        say(f"all runs, {COMPARISON} and {TABLE} are in {folder}")
    if outcome.failures:
        raise typer.Exit(1)
