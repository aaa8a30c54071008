"""`icr data split`: train, val and test that share no scene."""

from __future__ import annotations

from typing import Annotated

import typer

from icr.cli.options import Data, Format, ImagesWay, Json, NewFolder


def split(
    data: Data,
    out: NewFolder,
    group: Annotated[
        str | None,
        typer.Option(help="What belongs together: video, track, scene or another attribute; folder; or picture."),
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help="A regular expression for the pictures' paths; what it captures is the group.")
    ] = None,
    ratios: Annotated[str | None, typer.Option(help="0.8,0.1,0.1 or train=0.8,val=0.2. Default: 0.8,0.1,0.1.")] = None,
    counts: Annotated[
        str | None, typer.Option(help="Numbers of pictures instead: 2400,300,300; surplus ones are left out.")
    ] = None,
    stratify: Annotated[
        str, typer.Option(help="What the parts are alike in: light,size or one of them, or none.")
    ] = "light,size",
    keep: Annotated[
        list[str] | None, typer.Option(help="A split that stays as it is; may be repeated. The rest is split.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same split.")] = 0,
    lists: Annotated[
        bool, typer.Option("--lists", help="Write lists of pictures only; pictures and labels stay where they are.")
    ] = False,
    relation: Annotated[
        list[str] | None, typer.Option(help="child:parent; says which boxes are children. May be repeated.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="yolo or coco. Default: as the data.")] = None,
    images: ImagesWay = "copy",
    format: Format = None,
    json: Json = False,
) -> None:
    """Split a data set by video, track or scene, so that nothing tested was trained on, by day and night and by size.

    Example: icr data split plates/data.yaml --pattern "(clip[0-9]+)_" --ratios 0.8,0.1,0.1 --seed 0 --out plates-split
    """
    from icr.cli.copies import write_copy
    from icr.cli.output import answer, answer_json, chatter_on_stderr, progress, say

    with chatter_on_stderr():
        from icr import runs
        from icr.data import formats, grouping
        from icr.data import split as splitting
        from icr.data.copying import images_way, target_format, told_faults
        from icr.data.formats.text import counted
        from icr.data.show import settle_relations
        from icr.errors import InputError, nearest
        from icr.writing import refuse_filled

        way = images_way(images)
        refuse_filled(out)
        if ratios is not None and counts is not None:
            raise InputError("--ratios stands beside --counts: give one or the other")
        kept = keep or []
        names = [name for name in splitting.PARTS if name not in kept]
        if counts is not None:
            parts = splitting.parse_parts(counts, "--counts", True, names)
        else:
            usual = {"train": "0.8", "val": "0.1", "test": "0.1"}
            given = ratios or ",".join(f"{name}={usual[name]}" for name in names)
            parts = splitting.parse_parts(given, "--ratios", False, names)
        strata = [] if stratify == "none" else [each.strip() for each in stratify.split(",")]
        for each in strata:
            if each not in splitting.STRATA:
                raise InputError(
                    f"--stratify {each}: expected light,size or one of them, or none{nearest(each, splitting.STRATA)}"
                )
        with progress("reading labels"):
            dataset = formats.read(data, format=format)
        target, why = target_format(dataset, to)
        if not lists and (faults := told_faults(dataset)):
            say(faults)
        if lists and to is not None:
            raise InputError("--to stands beside --lists: lists leave the labels as they are; give one or the other")
        relations, said = settle_relations(relation or [], dataset)
        if "size" in strata:
            say(said if relations else f"sizes of all boxes count; {said}")
        groups = grouping.group(dataset, group, pattern)
        say(groups.said)
        if groups.joined:
            say(f"{counted(len(groups.joined), 'group')} made of several that hold the same picture, byte for byte")
        with progress("looking at pictures") as report:
            made = splitting.split(
                dataset, groups, parts, relations=relations, stratify=strata, keep=kept, seed=seed, progress=report
            )
        lost: list[str] = []
        if lists:
            splitting.write_lists(made, out)
        else:
            if why:
                say(f"{why}; --to chooses another")
            lost = write_copy(made.dataset, out, target, way)
        runs.write_json(out / "split.json", splitting.record(made, data, groups.said, seed))
        say(splitting.told(made))
        if made.left_out:
            say(f"{counted(made.left_out, 'picture')} left out to meet the numbers")
    if json:
        numbers = {name: len(keys) for name, keys in made.groups.items()}
        answer_json(
            {
                "out": str(out),
                "images": {name: table["pictures"] for name, table in made.table.items()},
                "groups": numbers,
                "parts": made.table,
                "left_out": made.left_out,
                "joined": len(made.joined),
                "seed": seed,
                "lists": lists,
                "not_held": lost,
            }
        )
        return
    answer(str(out))
