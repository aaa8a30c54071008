"""`icr bench report` and `icr bench figure …`: what finished runs show, as a page and as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icr.cli.options import Device, MovedData, Resamples, at_least, score_in_range
from icr.errors import InputError

figure = typer.Typer(name="figure", help="Figures from runs at hand.", no_args_is_help=True)


def report(
    store: Annotated[
        Path | None, typer.Argument(help="A folder made by icr bench run; the latest of runs/bench-… if none is named.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder. Default: STORE/report, then report-2, …")] = None,
    resamples: Resamples = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Judge what is finished in a store: page, tables and figures, each claim of the paper with its verdict.

    Nothing is trained, so it can be asked at any time, also while cells are still being run.

    Example: icr bench report runs/bench-quick
    """
    at_least(2, resamples=resamples)
    from icr.bench.report import PAGE, latest_store, write_report
    from icr.cli.output import answer, answer_json, chatter_on_stderr, progress, say

    if store is None:
        store = latest_store()
        say(f"reporting {store}")
    with chatter_on_stderr(), progress("measuring runs") as step:
        made = write_report(store, out, resamples=resamples, step=step)
    for remark in made.remarks:
        say(remark)
    if json:
        answer_json(made.as_json())
        return
    answer(f"{made.headline}\n")
    for said in made.spoken:
        answer("\n  ".join((said.row.told(), *said.all)) + "\n")
    answer("\n".join(f"{each.paper.number:2}  {each.paper.claim}: {each.word}" for each in made.claims))
    answer(f"\n{made.folder / PAGE}")


@figure.command("areas")
def areas(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN …", help="Run folders on the same data, one or more.")],
    out: Annotated[Path, typer.Option(help="A new folder.")] = Path("figure-areas"),
    data: MovedData = None,
    score: Annotated[float, typer.Option(help="Predictions below it are left out, 0..1.")] = 0.25,
    device: Device = None,
    json: Annotated[bool, typer.Option("--json", help="Print the numbers as one JSON object.")] = False,
) -> None:
    """Draw how many children of each area are labelled and found (the paper's Fig. 6).

    Example: icr bench figure areas runs/plates-baseline-seed0 runs/plates-icr-seed0
    """
    from icr import detectors
    from icr.bench.run_figures import draw_areas
    from icr.cli.output import answer, answer_json, chatter_on_stderr, say

    score_in_range(score)
    with chatter_on_stderr():
        drawn = draw_areas(runs, out, data=data, score=score, device=device or detectors.first_device(), say=say)
    if json:
        answer_json(drawn)
        return
    for child in drawn["children"]:
        for run, found in child["runs"].items():
            smallest = f"{found['smallest_found']:.0f} px²" if found["smallest_found"] >= 0 else "none"
            told = f"{sum(found['found'])} of {sum(child['labelled'])} found, smallest {smallest}"
            answer(f"{child['class']}, {run}: {told}")
    answer("\n".join(drawn["files"]))


@figure.command("epochs")
def epochs(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN …", help="Runs with the weights of several epochs.")],
    out: Annotated[Path, typer.Option(help="A new folder.")] = Path("figure-epochs"),
    pictures: Annotated[int, typer.Option(help="How many pictures, evenly spread over the split.")] = 3,
    columns: Annotated[int, typer.Option(help="At most so many epochs in a strip; the video has all.")] = 5,
    data: MovedData = None,
    score: Annotated[float, typer.Option(help="Predictions below it are left out, 0..1.")] = 0.25,
    device: Device = None,
    json: Annotated[bool, typer.Option("--json", help="Print the files as one JSON object.")] = False,
) -> None:
    """Draw what is predicted on the same pictures epoch by epoch, as strips and as a short video (Figs. 8 and 9).

    The runs must have kept the weights of their epochs: train with --set save_period=1.

    Example: icr bench figure epochs runs/plates-baseline-seed0 runs/plates-icr-seed0
    """
    from icr import detectors
    from icr.bench.epoch_strips import draw_epochs
    from icr.cli.output import answer, answer_json, chatter_on_stderr, progress, say

    score_in_range(score)
    if pictures < 1 or columns < 1:
        raise InputError("--pictures and --columns: expected whole numbers of at least 1")
    with chatter_on_stderr(), progress("predicting by epoch") as step:
        drawn = draw_epochs(
            runs,
            out,
            pictures=pictures,
            columns=columns,
            data=data,
            score=score,
            device=device or detectors.first_device(),
            step=step,
            say=say,
        )
    if json:
        answer_json(drawn)
    else:
        answer("\n".join(drawn["files"]))


@figure.command("sweep")
def sweep(
    store: Annotated[Path, typer.Argument(help="A store with several weights, such as that of the preset fig4.")],
    out: Annotated[Path, typer.Option(help="A new folder.")] = Path("figure-sweep"),
    json: Annotated[bool, typer.Option("--json", help="Print the files and the weights as one JSON object.")] = False,
) -> None:
    """Draw AP50 and AP of the child against λ, seed by seed (the paper's Fig. 4).

    Example: icr bench figure sweep runs/bench-fig4
    """
    from icr.bench.run_figures import draw_sweep
    from icr.cli.output import answer, answer_json, chatter_on_stderr, progress

    with chatter_on_stderr(), progress("measuring runs") as step:
        drawn = draw_sweep(store, out, step=step)
    if json:
        answer_json(drawn)
        return
    for row in drawn["rows"]:
        answer(f"{row['row']}: λ {', '.join(f'{weight:g}' for weight in row['weights'])}")
    answer("\n".join(drawn["files"]))
