"""`icr demo`: the main job on a generated data set, with and without ICR, and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[
        Path, typer.Option(help="The folder for everything; new, or that of a killed demo, which goes on.")
    ] = Path("icr-demo"),
    seed: Annotated[int, typer.Option(help="Of the data, the weights and the order of training.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")] = False,
) -> None:
    """Train one small network without ICR and with it on generated scenes, and write a report to open in a browser.

    Takes about ten minutes on two processor cores, needs no GPU, and fetches nothing.

    Example: icr demo --out icr-demo
    """
    from icr.cli.output import answer, answer_json
    from icr.demo.report import as_table
    from icr.demo.run import OWN, run

    outcome = run(out, seed=seed)
    if json:
        answer_json(outcome.as_json())
        return
    answer(as_table(outcome.rows))
    answer(f"\n{outcome.headline}")
    answer("One seed on a toy proves nothing; the report names what would.")
    answer(f"\nreport: {outcome.report.resolve().as_uri()}")
    answer(f"next, on your own pictures: {OWN}")
