"""`icr data add-parents`: parents from a detector, for sets that label children alone."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from icr.cli.options import Data, Device, Format, ImagesWay, Json


def add_parents(
    data: Data,
    weights: Annotated[Path, typer.Option(help="A detector that finds the parents, such as a .pt file.")],
    out: Annotated[Path, typer.Option(help="The folder of the copy with parents; new, or empty.")],
    relation: Annotated[
        list[str] | None,
        typer.Option(help="child:parent; a parent class that the data lacks is added. May be repeated."),
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="car,bus,truck=vehicle: the detector's classes for a parent class. May be repeated."
        ),
    ] = None,
    conf: Annotated[float, typer.Option(min=0.0, max=1.0, help="The least score of a box.")] = 0.5,
    inside: Annotated[
        float, typer.Option(min=0.5, max=1.0, help="The least share of a child inside its parent.")
    ] = 0.5,
    holding: Annotated[bool, typer.Option("--holding", help="Add only boxes that hold a child.")] = False,
    one_to_one: Annotated[bool, typer.Option("--one-to-one", help="A parent holds one child at most.")] = False,
    imgsz: Annotated[int | None, typer.Option(min=32, help="Input size in pixels. Default: as trained.")] = None,
    device: Device = None,
    to: Annotated[
        str | None, typer.Option(help="yolo or coco. Default: coco, which keeps the marks of machine-made boxes.")
    ] = None,
    images: ImagesWay = "copy",
    format: Format = None,
    json: Json = False,
) -> None:
    """Write a copy of a data set with parents from a detector, marked as machine-made, and the pairs.

    Example: icr data add-parents CRPD --weights cars.pt --relation plate:vehicle --map car,bus=vehicle --out crpd-v
    """
    from icr.cli.copies import read_to_copy, write_copy
    from icr.cli.output import answer, answer_json, chatter_on_stderr, progress, say

    with chatter_on_stderr():
        import hashlib

        from icr import detectors, runs
        from icr.data import add_parents as adding
        from icr.data.copying import images_way
        from icr.data.formats.text import counted
        from icr.data.pairing import declared
        from icr.errors import InputError
        from icr.relations import Relation, resolve
        from icr.writing import refuse_filled

        way = images_way(images)
        refuse_filled(out)
        dataset, target = read_to_copy(data, format, to or "coco")
        relations = tuple(Relation.parse(text) for text in relation or ()) or dataset.relations
        if not relations:
            raise InputError(
                f"{data} declares no relation; pass --relation child:parent, such as --relation plate:vehicle"
            )
        relations = tuple(replace(each, one_to_one=one_to_one or each.one_to_one) for each in relations)
        dataset, new = adding.with_parent_classes(dataset, relations)
        resolved = resolve(relations, dataset.names)
        dataset.relations = declared(dataset, relations)
        resolve(dataset.relations, dataset.names)
        if new:
            say(f"new in the data: class {', '.join(new)}")
        predictor = detectors.load(weights, device or detectors.first_device())
        parents = {dataset.names[label]: label for each in resolved for label in each.parents}
        classes = adding.class_map(map_ or [], predictor.names, parents)
        mapping = {predictor.names[index]: dataset.names[label] for index, label in classes.items()}
        say(f"classes of the detector: {', '.join(f'{own} as {parent}' for own, parent in mapping.items())}")
        single = resolve([each for each in relations if each.one_to_one], dataset.names)
        settings = adding.Settings(conf, inside, holding, imgsz)
        with progress("predicting") as report:
            added = adding.add_parents(
                dataset,
                resolved,
                predictor,
                classes,
                settings,
                one_to_one=[each.child for each in single],
                progress=report,
            )
        for line in added.unreadable:
            say(f"kept as it was: {line}")
        lost = write_copy(added.dataset, out, target, way)
        record = {
            "data": str(data),
            "weights": str(weights),
            "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else None,
            "classes": mapping,
            "relations": [str(each) for each in relations],
            "conf": conf,
            "inside": inside,
            "holding": holding,
            "one_to_one": bool(single),
            "boxes": added.boxes,
            "pairs": added.pairs,
            "pairs_with_machine_made": added.by_machine,
            "without_parent": added.open - added.ambiguous,
            "ambiguous": added.ambiguous,
            "unreadable": len(added.unreadable),
        }
        runs.write_json(out / "add-parents.json", record)
        boxes = ", ".join(f"{name} {count:,}" for name, count in added.boxes.items())
        say(
            f"machine-made boxes: {boxes}; {counted(added.pairs, 'new pair')}, {added.by_machine:,} of them with one; "
            f"{counted(added.open - added.ambiguous, 'child', 'children')} still without a parent"
        )
        if added.ambiguous:
            say(
                f"{counted(added.ambiguous, 'ambiguous child', 'ambiguous children')} left unstated; next: "
                f"icr data pair {shlex.quote(str(out))} --out NEW"
            )
    if json:
        answer_json({"out": str(out), "format": target, **record, "not_held": lost})
        return
    answer(str(out))
