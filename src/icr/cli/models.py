"""`icr models`: every detector that can be trained here."""

from __future__ import annotations

from typing import Annotated

import typer


def models(
    json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON list.")] = False,
    paper: Annotated[bool, typer.Option("--paper", help="Only the rows of the paper's Table 2.")] = False,
) -> None:
    """List the detectors: engine and its licence, parameters for two classes, GFLOPs at 640 px, the paper's row.

    Example: icr models --paper
    """
    from icr import models as registry
    from icr.cli.output import answer, answer_json, say

    told = [each for each in registry.models() if each.paper or not paper]
    if json:
        answer_json([each.as_json() for each in told])
        return
    answer(registry.as_table(told))
    absent = sorted({each.engine for each in told if not each.installed})
    for engine in absent:
        say(f"{engine} is not installed; install it with: pip install 'icr-loss[cli,{engine}]'")
    say("parameters: as trained, for two classes; fused: batch norms and branches merged; the paper's are fused ones")
