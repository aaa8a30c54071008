"""`icr bench …`: a grid of trainings run, the grids there are, and runs at hand compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icr.cli.options import Device, MovedData, Resamples, at_least
from icr.errors import InputError

app = typer.Typer(name="bench", help="What many runs show together.", no_args_is_help=True)


@app.command("compare")
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_A RUN_B", help="Folders made by icr train.")],
    data: MovedData = None,
    device: Device = None,
    resamples: Resamples = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print the comparison as one JSON object.")] = False,
) -> None:
    """Compare runs that are there already: the second against the first, or, of more, one arm against another.

    More than two runs are sorted into two arms by their settings, and paired by seed; the first one's arm comes first.

    Example: icr bench compare runs/plates-yolo11n-baseline-seed0 runs/plates-yolo11n-icr-seed0

    Example: icr bench compare runs/plates-yolo11n-*
    """
    at_least(2, resamples=resamples)
    from icr import detectors
    from icr.cli.output import answer, answer_json, chatter_on_stderr, say
    from icr.comparing.arms import compare_runs

    with chatter_on_stderr():
        compared = compare_runs(
            runs, data=data, device=device or detectors.first_device(), resamples=resamples, say=say
        )
    if json:
        answer_json(compared.as_json())
    else:
        answer(compared.as_table())


@app.command("run")
def run(
    grid: Annotated[str, typer.Argument(metavar="GRID", help="A preset (icr bench list), or a YAML file.")],
    out: Annotated[Path | None, typer.Option(help="The store of all cells. Default: runs/bench-GRID.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Paired seeds, in place of the grid's; more of them add.")] = None,
    first_seed: Annotated[int | None, typer.Option(help="The first of them; the others follow.")] = None,
    arms: Annotated[str | None, typer.Option(help="With commas, such as baseline,icr,matched.")] = None,
    models: Annotated[str | None, typer.Option(help="With commas: the grid's, other detectors, or files.")] = None,
    bases: Annotated[str | None, typer.Option(help="With commas; own is each detector's own.")] = None,
    weights: Annotated[str | None, typer.Option(help="λ, with commas.")] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH, in place of the data set of that name; may be repeated.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="In place of the grid's, for all models.")] = None,
    imgsz: Annotated[int | None, typer.Option(help="In place of the grid's, for all models.")] = None,
    batch: Annotated[int | None, typer.Option(help="In place of the grid's, for all models.")] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, 0, or 0,1 for each cell on both; the first GPU if there is one.")
    ] = None,
    devices: Annotated[str | None, typer.Option(help="0,1: one cell at a time on each.")] = None,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Cells on a Ray cluster: HOST:PORT, ray://…, auto.")
    ] = None,
    ray_cpus: Annotated[int, typer.Option(help="Processors of a cell on the cluster.")] = 1,
    ray_gpus: Annotated[int | None, typer.Option(help="GPUs of a cell; one if the cluster has any.")] = None,
    hours: Annotated[float | None, typer.Option(help="Begin no cell that would not be finished by then.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what became of the cells as one JSON object.")] = False,
) -> None:
    """Train a grid: arms × seeds × models × data sets × base losses × weights, one run folder a cell.

    Finished cells are never run again: the same command goes on where it was stopped, and more seeds or arms add to
    what is there. A cell that fails is told, and the rest goes on; the command then ends with 1.

    Example: icr bench run quick

    Example: icr bench run table3 --data crpd=sets/CRPD --models yolov9-t --seeds 3 --hours 12 --devices 0,1
    """
    if hours is not None and not hours > 0:
        raise InputError(f"--hours {hours}: expected a number above 0")
    if sum(given is not None for given in (device, devices, ray)) > 1:
        raise InputError("--device, --devices and --ray say different things about where to train: give one of them")
    from icr import detectors
    from icr.bench.asking import asked
    from icr.bench.runner import run as run_grid
    from icr.bench.store import default_store
    from icr.cli.output import answer, answer_json, chatter_on_stderr, progress, say

    with chatter_on_stderr(), progress("epochs") as bar:
        wanted = asked(
            grid,
            data=data or (),
            train={"epochs": epochs, "imgsz": imgsz, "batch": batch},
            seeds=seeds,
            first_seed=first_seed,
            arms=arms,
            models=models,
            bases=bases,
            weights=weights,
        )
        executor = None
        if ray is not None:
            from icr.bench.cluster import on_cluster

            executor = on_cluster(ray, cpus=ray_cpus, gpus=ray_gpus, say=say)
        places = devices.split(",") if devices is not None else [device or detectors.first_device()]
        outcome = run_grid(
            wanted,
            out or default_store(wanted.name),
            devices=["cpu"] if ray is not None else places,
            executor=executor,
            hours=hours,
            say=say,
            progress=bar,
        )
    if json:
        answer_json(outcome.as_json())
    else:
        answer(f"{outcome.finished} of {outcome.cells} cells are finished, in {outcome.store}")
        for cell, error in outcome.failures:
            answer(f"failed: {cell.key}: {error}")
    if outcome.failures:
        raise typer.Exit(1)


@app.command("list")
def list_(
    folder: Annotated[Path, typer.Argument(help="Where stores are looked for, or a store.")] = Path("runs"),
    json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Show the grids that come with icr, and the stores found with their cells finished, failed and waiting.

    Example: icr bench list

    Example: icr bench list runs/bench-quick
    """
    from icr.bench.listing import known_grids, stores_in
    from icr.cli.output import answer, answer_json

    grids, stores = known_grids(), stores_in(folder)
    if json:
        answer_json({"presets": grids, "stores": stores})
        return
    answer("grids: icr bench run NAME")
    for each in grids:
        answer(f"  {each['name']:8} {each['cells']:4} cells  {each['about']}")
    answer(f"stores in {folder}:" if stores else f"no store in {folder} yet")
    for each in stores:
        told = ", ".join(f"{each[key]} {key}" for key in ("finished", "failed", "waiting"))
        answer(f"  {each['store']}: {told}, of {each['cells']} cells of {each['name']}")
        for failure in each["failures"]:
            answer(f"    failed: {failure['cell']}: {failure['error']}")
