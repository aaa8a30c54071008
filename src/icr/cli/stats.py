"""`icr data stats`: the figures of one data set, or of several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from icr.cli.options import Format, Json, Relations, path


def stats(
    data: Annotated[
        list[Path], typer.Argument(parser=path, help="One or several of: a data.yaml, a COCO JSON, a folder.")
    ],
    relation: Relations = None,
    split: Annotated[list[str] | None, typer.Option(help="train, val or test; may be repeated. Default: all.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Print the rows of the paper's Table 1 beside.")] = False,
    light: Annotated[
        bool, typer.Option("--light", help="Tell day from night by brightness where the data does not say.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Draw histograms and maps into this folder; new, or empty.")] = None,
    format: Format = None,
    json: Json = False,
) -> None:
    """Count and measure the boxes and pairs of a data set, as the paper's Table 1 does; several stand side by side.

    Example: icr data stats plates/data.yaml UFPR-ALPR --paper --out figures
    """
    from icr.cli.output import answer, answer_json, progress, say
    from icr.data import formats
    from icr.data.check import relations_to_check
    from icr.data.formats.folders import new_folder
    from icr.data.formats.text import counted
    from icr.data.stats import measure
    from icr.data.stats_table import paper_rows, report, table
    from icr.writing import refuse_filled

    if out is not None:
        refuse_filled(out)
    measured = []
    for each in data:
        with progress("reading labels"):
            dataset = formats.read(each, format=format, splits=split, skim=True)
        if dataset.faulty_entries:
            entries = counted(dataset.faulty_entries, "faulty entry", "faulty entries")
            say(f"{entries} of {each} not counted; icr data check names each")
        chosen = relations_to_check(relation or (), dataset)
        if chosen.relations:
            say(chosen.said)
        elif len(dataset.names) == 1:
            say(f"{each}: the set has one class, so its boxes ({dataset.names[0]}) count as children without parents")
        else:
            say(chosen.said.replace("pairs are not checked", "pairs are not counted"))
        with progress("measuring"):
            measured.append(measure(dataset, chosen.relations, light=light))
    if out is not None:
        from icr.data.stats_pictures import draw
        from icr.drawing import write_picture

        with new_folder(out) as folder:
            for name, picture in draw(measured).items():
                write_picture(picture, folder / f"{name}.png")
        say(f"drawn: {out}")
    if json:
        told = [each.as_json() for each in measured]
        whole = told[0] if len(told) == 1 else {"sets": told}
        answer_json({**whole, "paper": paper_rows()} if paper else whole)
        return
    answer("\n\n".join(report(each) for each in measured))
    if paper or len(measured) > 1:
        answer(f"\n{table(measured, paper=paper)}")
