"""`icr data show`: a contact sheet of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def show(
    data: Annotated[Path, typer.Argument(help="A data.yaml, a COCO JSON, or a folder in a known format.")],
    relation: Annotated[
        list[str] | None, typer.Option(help="child:parent, or child:parent,parent; may be repeated.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, val or test; all of them by default.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 12,
    columns: Annotated[int, typer.Option(min=1, help="How many in a row.")] = 3,
    seed: Annotated[int, typer.Option(help="Another seed draws other pictures.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The sheet, .jpg or .png; a new file. Default: sheet.jpg, sheet-2.jpg, …")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what the sheet shows as one JSON object.")] = False,
) -> None:
    """Lay pictures out on one sheet, each child joined to its parent, orphans and guesses marked, children close up.

    Example: icr data show plates/data.yaml --relation plate:vehicle --count 9 --out sheet.jpg
    """
    from icr.cli.output import answer, answer_json, chatter_on_stderr, say

    with chatter_on_stderr():
        from icr.data import formats
        from icr.data.show import choose_samples, refuse_existing, settle_relations, sheet
        from icr.drawing import free_path, write_picture

        target = refuse_existing(out) if out else free_path(Path(), "sheet", ".jpg")
        dataset = formats.read(data, splits=[split] if split else None)
        relations, said = settle_relations(relation or [], dataset)
        say(said)
        title = f"{data.resolve().name}{f', {split}' if split else ''}"
        samples = choose_samples(dataset.splits, split)
        made = sheet(samples, dataset.names, relations, title=title, said=said, count=count, columns=columns, seed=seed)
        for line in made.unreadable:
            say(f"left out: {line}")
        write_picture(made.picture, target)
    if json:
        answer_json(
            {
                "sheet": str(target),
                "pictures": made.pictures,
                "pairs": made.pairs,
                "orphans": made.orphans,
                "ambiguous": made.ambiguous,
            }
        )
        return
    answer(str(target))
