"""`icr bench …`: what many runs show together; `compare` stands here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icr.errors import InputError

app = typer.Typer(name="bench", help="What many runs show together.", no_args_is_help=True)


@app.command("compare")
def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN_A RUN_B", help="Folders made by icr train.")],
    data: Annotated[Path | None, typer.Option(help="The data set, if it is no longer where the runs say.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, or a GPU's index; the first GPU if there is one.")] = None,
    resamples: Annotated[int, typer.Option(help="Draws of the test pictures behind the intervals.")] = 1000,
    json: Annotated[bool, typer.Option("--json", help="Print the comparison as one JSON object.")] = False,
) -> None:
    """Compare runs that are there already: the second against the first, or, of more, one arm against another.

    More than two runs are sorted into two arms by their settings, and paired by seed; the first one's arm comes first.

    Example: icr bench compare runs/plates-yolo11n-baseline-seed0 runs/plates-yolo11n-icr-seed0

    Example: icr bench compare runs/plates-yolo11n-*
    """
    if resamples < 2:
        raise InputError(f"--resamples {resamples}: expected a whole number of at least 2")
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
