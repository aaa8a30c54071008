"""`icr data pair`: pairs for a set that states none."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icr.cli.options import Data, Format, ImagesWay, Json, Relations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from icr.data.pairing import Doubt


def pair(
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder of the copy with pairs; new, or empty.")],
    relation: Relations = None,
    one_to_one: Annotated[
        bool, typer.Option("--one-to-one", help="A parent holds one child at most; children are assigned together.")
    ] = False,
    decisions: Annotated[
        Path | None, typer.Option(help="The list of ambiguous children, .csv or .yaml, with your decisions.")
    ] = None,
    guess: Annotated[
        bool, typer.Option("--guess", help="Write the suggested parent where nobody has decided.")
    ] = False,
    list_: Annotated[
        Path | None,
        typer.Option("--list", help="Where ambiguous children are listed. Default: decisions.csv in --out."),
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="Draw the ambiguous children, too: .jpg or .png.")] = None,
    to: Annotated[str | None, typer.Option(help="yolo or coco. Default: as the data.")] = None,
    images: ImagesWay = "copy",
    format: Format = None,
    json: Json = False,
) -> None:
    """Write a copy of a data set with its pairs, and list the children whose parent is not plain, for you to decide.

    Pairs that the data states are kept. Fill in the list and pass it by --decisions, with the same DATA or the copy.

    Example: icr data pair plates/data.yaml --relation plate:vehicle --one-to-one --out plates-paired --sheet doubts.jpg
    """
    from icr.cli.copies import read_to_copy, write_copy
    from icr.cli.output import answer, answer_json, chatter_on_stderr, progress, say

    with chatter_on_stderr():
        from icr.data import decisions as lists
        from icr.data import pairing
        from icr.data.choosing import choose
        from icr.data.copying import images_way
        from icr.data.formats.text import counted
        from icr.data.show import new_picture
        from icr.relations import resolve
        from icr.writing import refuse_existing, refuse_filled

        way = images_way(images)
        refuse_filled(out)
        if list_ is not None:
            lists.kind_of(list_)
            refuse_existing(list_, "--list")
        if sheet is not None:
            new_picture(sheet, "--sheet")
        dataset, target = read_to_copy(data, format, to)
        chosen = choose(relation or [], dataset)
        say(chosen.said)
        told = [replace(each, one_to_one=one_to_one or each.one_to_one) for each in chosen.relations]
        dataset.relations = pairing.declared(dataset, told)
        relations = resolve(chosen.relations, dataset.names)
        resolve(dataset.relations, dataset.names)
        decided = lists.read(decisions, dataset, relations) if decisions else {}
        children = [each.child for each in resolve([each for each in told if each.one_to_one], dataset.names)]
        with progress("pairing") as report:
            proposal = pairing.propose(
                dataset, relations, one_to_one=children, decisions=decided, guess=guess, progress=report
            )
        lost = write_copy(proposal.dataset, out, target, way)
        listed: Path | None = None
        if proposal.doubts:
            listed = list_ or out / "decisions.csv"
            lists.write(proposal.doubts, dataset.names, listed)
        sheets = _draw(proposal.doubts, dataset.names, sheet) if sheet else []
        say(
            f"{counted(proposal.pairs, 'pair')}, {counted(proposal.orphans, 'child', 'children')} without a parent; "
            f"{proposal.kept} were stated by the data, {proposal.decided} decided by you"
        )
        if listed:
            what = "written as suggested" if guess else "left unstated"
            words = ["icr", "data", "pair", str(data)]
            for each in relation or []:
                words += ["--relation", each]
            if one_to_one:
                words.append("--one-to-one")
            for option, value in (("--to", to), ("--format", format)):
                words += [option, value] if value else []
            words += ["--decisions", str(listed), "--out", "NEW"]
            say(
                f"{counted(len(proposal.doubts), 'ambiguous child', 'ambiguous children')}: {what}; "
                f"decide in {listed}, then: {shlex.join(words)}"
            )
    if json:
        answer_json(
            {
                "out": str(out),
                "format": target,
                "images": {split: len(samples) for split, samples in dataset.splits.items()},
                "relations": [str(each) for each in chosen.relations],
                "one_to_one": bool(children),
                "pairs": proposal.pairs,
                "orphans": proposal.orphans,
                "ambiguous": len(proposal.doubts),
                "undecided": 0 if guess else len(proposal.doubts),
                "stated": proposal.kept,
                "decided": proposal.decided,
                "list": str(listed) if listed else None,
                "sheets": [str(each) for each in sheets],
                "not_held": lost,
            }
        )
        return
    answer(str(out))


def _draw(doubts: Sequence[Doubt], names: Sequence[str], sheet: Path) -> list[Path]:
    from icr.cli.output import progress, say
    from icr.data import doubt_sheet
    from icr.writing import make_folder

    if not doubts:
        say("no child is ambiguous, so there is no sheet")
        return []
    make_folder(sheet)
    with progress("drawing") as report:
        sheets, unreadable = doubt_sheet.write(doubts, names, sheet, progress=report)
    for line in unreadable:
        say(f"not drawn: {line}")
    return sheets
