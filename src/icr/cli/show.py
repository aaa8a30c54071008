"""`icr data show`: a contact sheet of a data set, or a page to browse it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from icr.cli.options import Data, Format, Relations

if TYPE_CHECKING:
    from icr.data.dataset import Dataset
    from icr.relations import ResolvedRelation


def show(
    data: Data,
    relation: Relations = None,
    split: Annotated[str | None, typer.Option(help="train, val or test; all of them by default.")] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="How many pictures. Default: 12 on a sheet, 100 on a page.")
    ] = None,
    columns: Annotated[int, typer.Option(min=1, help="How many in a row of the sheet.")] = 3,
    seed: Annotated[int, typer.Option(help="Another seed draws other pictures.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The sheet, .jpg or .png; a new file. Default: sheet.jpg, sheet-2.jpg, …")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Instead of a sheet, check the set and write a page to step through and filter; a new file."),
    ] = None,
    max_mb: Annotated[float, typer.Option(min=0.1, help="Megabytes that the pictures of a page may take.")] = 40,
    format: Format = None,
    json: Annotated[bool, typer.Option("--json", help="Print what is shown as one JSON object.")] = False,
) -> None:
    """Lay pictures out on one sheet, each child joined to its parent, orphans and guesses marked, children close up.

    With --html, a page of one file that works offline: filter by finding, size, light and pairs; arrow keys step.

    Example: icr data show plates/data.yaml --relation plate:vehicle --count 9 --out sheet.jpg
    """
    from icr.cli.output import answer, answer_json, chatter_on_stderr, say
    from icr.errors import InputError

    if html is not None and out is not None:
        raise InputError("--out is the sheet and --html is the page; give one of them")
    with chatter_on_stderr():
        from icr.data import formats
        from icr.data.show import new_page, new_picture, settle_relations
        from icr.drawing import free_path

        target = (
            new_page(html)
            if html is not None
            else new_picture(out, "--out")
            if out is not None
            else free_path(Path(), "sheet", ".jpg")
        )
        dataset = formats.read(data, format=format, splits=[split] if split else None)
        relations, said = settle_relations(relation or [], dataset)
        say(said)
        title = f"{data.resolve().name}{f', {split}' if split else ''}"
        if html is None:
            told = _sheet(dataset, relations, split, target, title, said, count or 12, columns, seed)
        else:
            told = _page(dataset, relations, relation or [], target, title, said, count or 100, seed, max_mb)
    if json:
        answer_json(told)
    else:
        answer(str(target))


def _sheet(
    dataset: Dataset,
    relations: tuple[ResolvedRelation, ...],
    split: str | None,
    target: Path,
    title: str,
    said: str,
    count: int,
    columns: int,
    seed: int,
) -> dict[str, Any]:
    from icr.cli.output import say
    from icr.data.show import choose_samples, sheet
    from icr.drawing import write_picture
    from icr.writing import make_folder

    samples = choose_samples(dataset.splits, split)
    made = sheet(samples, dataset.names, relations, title=title, said=said, count=count, columns=columns, seed=seed)
    for line in made.unreadable:
        say(f"left out: {line}")
    make_folder(target)
    write_picture(made.picture, target)
    return {
        "sheet": str(target),
        "pictures": made.pictures,
        "pairs": made.pairs,
        "orphans": made.orphans,
        "ambiguous": made.ambiguous,
    }


def _page(
    dataset: Dataset,
    relations: tuple[ResolvedRelation, ...],
    given: list[str],
    target: Path,
    title: str,
    said: str,
    count: int,
    seed: int,
    max_mb: float,
) -> dict[str, Any]:
    from icr.cli.output import progress, say
    from icr.data.browser import browse
    from icr.data.check import check, relations_to_check
    from icr.writing import make_folder, write_file

    with progress("checking") as tell:
        findings = check(dataset, relations_to_check(given, dataset).relations, progress=tell)
    limit = round(max_mb * 1e6)
    with progress("embedding pictures") as tell:
        made = browse(
            dataset, relations, findings, title=title, said=said, count=count, seed=seed, limit=limit, progress=tell
        )
    for line in made.unreadable:
        say(f"shown without its picture: {line}")
    if made.full:
        say(f"{made.pictures} of {made.of} pictures: more would take over {max_mb:g} MB; --max-mb allows more")
    elif made.pictures < made.of:
        say(f"{made.pictures} of {made.of} pictures, up to half of them faulty ones, the rest by lot; --count for more")
    make_folder(target)
    write_file(target, made.html)
    say(f"{target.stat().st_size / 1e6:.1f} MB; open it in a browser")
    return {
        "page": str(target),
        "pictures": made.pictures,
        "of": made.of,
        "findings": made.findings,
        "pairs": made.pairs,
        "orphans": made.orphans,
        "ambiguous": made.ambiguous,
        "bytes": target.stat().st_size,
    }
