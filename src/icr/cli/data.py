"""`icr data …`: what one does with a data set before training; `check` and `convert` stand here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icr.cli.copies import write_copy
from icr.cli.options import Data, Device, Format, ImagesWay, Json, NewFolder, Relations
from icr.cli.output import answer, answer_json, progress, say
from icr.cli.proposals import add_proposals
from icr.errors import InputError

if TYPE_CHECKING:
    from icr.data.check import Examined
    from icr.data.dataset import Dataset, Finding
    from icr.data.formats import Images
    from icr.relations import Relation

app = typer.Typer(name="data", help="Check, convert, look at and generate data sets.", no_args_is_help=True)


@app.command("check")
def check(
    data: Data,
    relation: Relations = None,
    format: Format = None,
    all_: Annotated[bool, typer.Option("--all", help="Print every finding, not the first three of each id.")] = False,
    fix: Annotated[Path | None, typer.Option(help="Write a repaired copy here; a folder, new or empty.")] = None,
    images: Annotated[str, typer.Option(help="What --fix does with pictures: copy, or link to them.")] = "copy",
    fresh: Annotated[bool, typer.Option("--fresh", help="Read anew what an earlier check has read.")] = False,
    json: Json = False,
) -> None:
    """Say what is wrong with a data set, file and line; it is not changed. Ends with 1 if anything is an error.

    With --fix, what can be mended without looking is mended in a copy, and the status speaks of the copy. Decoded
    pictures are remembered in the user's cache folder (or the one that ICR_CACHE names), never beside the data.

    Example: icr data check plates/data.yaml --relation plate:vehicle --fix plates-mended
    """
    from icr.data import formats
    from icr.data.check import examine, relations_to_check, report
    from icr.data.copying import images_way, refuse_inside
    from icr.writing import refuse_filled

    way = images_way(images)
    if fix is not None:
        refuse_filled(fix)
    with progress("reading labels"):
        # what is repaired is changed, so its samples must be in memory
        dataset = formats.read(data, format=format, skim=fix is None and not fresh)
    if fix is not None:
        refuse_inside(dataset, fix)
    chosen = relations_to_check(relation or (), dataset)
    with progress("looking at pictures") as report_progress:
        examined = examine(dataset, chosen.relations, progress=report_progress, fresh=fresh)
    findings = examined.findings
    said: dict[str, object] = {
        "findings": [vars(each) for each in findings],
        "counts": dict(Counter(each.id for each in findings)),
        "severities": dict(Counter(each.severity for each in findings)),
        "images": {split: len(samples) for split, samples in dataset.splits.items()},
        "objects": examined.boxes,
        "relations": [str(each) for each in chosen.relations],
    }
    if not json:
        say(_summary(dataset, examined.boxes))
        say(f"{chosen.said}\n")
        answer(report(findings, data, every=all_))
    if fix is not None:
        if relation:
            dataset.relations = chosen.relations
        findings, said["fix"] = _fix(dataset, examined, chosen.relations, fix, way, tell=not json)
    if json:
        answer_json(said)
    if any(each.severity == "error" for each in findings):
        raise typer.Exit(1)


def _fix(
    dataset: Dataset, examined: Examined, relations: Sequence[Relation], out: Path, images: Images, *, tell: bool
) -> tuple[list[Finding], dict[str, object]]:
    """Write a repaired copy, say what was mended, and check the copy."""
    from icr.data import formats
    from icr.data.check import examine
    from icr.data.copying import target_format
    from icr.data.repair import HOW, left, repaired

    target, why = target_format(dataset, None)
    if why:
        say(why)
    mended = repaired(dataset, examined)
    lost = write_copy(mended.dataset, out, target, images)
    with progress("looking at the copy") as report_progress:
        after = examine(formats.read(out, format=target), relations, progress=report_progress).findings
    counts = list(left(examined.findings, after))
    if tell:
        answer(f"\n{out} ({target}), the repaired copy:")
        for kind, number in mended.done.items():
            answer(f"  {number:>6,}  {HOW[kind]} ({kind})")
        gone = [f"{kind} {old - new:,}" for kind, old, new in counts if old > new and kind not in mended.done]
        if gone:
            answer(f"  no longer found: {', '.join(gone)} (rows and files that cannot be used are left out)")
        stay = [f"{kind} {new:,}" for kind, _, new in counts if new]
        answer(f"  left for you: {', '.join(stay) or 'nothing'}")
    return after, {
        "out": str(out),
        "format": target,
        "mended": dict(mended.done),
        "left": {kind: new for kind, _, new in counts if new},
        "not_held": lost,
    }


@app.command("convert")
def convert(
    data: Data,
    to: Annotated[str, typer.Option(help="yolo or coco; cvat or labelstudio, to label the pictures there.")],
    out: NewFolder,
    relation: Relations = None,
    images: ImagesWay = "copy",
    weights: Annotated[
        Path | None, typer.Option(help="A detector that proposes boxes, for cvat and labelstudio, in pictures without.")
    ] = None,
    conf: Annotated[float, typer.Option(min=0.0, max=1.0, help="The least score of a proposal.")] = 0.25,
    imgsz: Annotated[int | None, typer.Option(min=32, help="The detector's input size. Default: as trained.")] = None,
    device: Device = None,
    format: Format = None,
    json: Json = False,
) -> None:
    """Write a data set in another format, pairs and relations included.

    Example: icr data convert plates/data.yaml --to coco --out plates-coco --images link

    Example: icr data convert frames/data.yaml --to cvat --out frames-cvat --weights best.pt
    """
    from icr.data import formats
    from icr.data.copying import check_writable, images_way, told_faults
    from icr.relations import Relation, resolve

    check_writable(to)
    way = images_way(images)
    if weights is not None and to not in ("cvat", "labelstudio"):
        raise InputError(f"--weights with --to {to}: proposals are for a person to correct; use cvat or labelstudio")
    with progress("reading labels"):
        dataset = formats.read(data, format=format)
    if faults := told_faults(dataset):
        say(faults)
    if not any(dataset.splits.values()):
        raise InputError(
            f"{data} has no usable picture, so there is nothing to convert; icr data check {data} says why"
        )
    if relation:
        dataset.relations = tuple(Relation.parse(text) for text in relation)
    relations = resolve(dataset.relations, dataset.names)
    proposed = None
    if weights is not None:
        proposed = add_proposals(dataset, weights, relations, conf=conf, imgsz=imgsz, device=device)
    lost = write_copy(dataset, out, to, way)
    boxes = _objects(dataset)
    say(_summary(dataset, boxes))
    pairs = sum(int((sample.parents >= 0).sum()) for samples in dataset.splits.values() for sample in samples)
    if json:
        answer_json(
            {
                "out": str(out),
                "format": to,
                "images": {split: len(samples) for split, samples in dataset.splits.items()},
                "objects": boxes,
                "pairs": pairs,
                "faulty": dataset.faulty_entries,
                "not_held": lost,
                **({"proposed": vars(proposed)} if proposed is not None else {}),
            }
        )
    else:
        answer(str(out))


def _objects(dataset: Dataset) -> dict[str, int]:
    """Boxes by class."""
    import numpy as np

    labels = [sample.labels for samples in dataset.splits.values() for sample in samples]
    counts = np.bincount(np.concatenate(labels), minlength=len(dataset.names)) if labels else [0] * len(dataset.names)
    return {name: int(count) for name, count in zip(dataset.names, counts, strict=True)}


def _summary(dataset: Dataset, boxes: dict[str, int]) -> str:
    pictures = ", ".join(f"{split} {len(samples):,}" for split, samples in dataset.splits.items())
    objects = ", ".join(f"{name} {count:,}" for name, count in list(boxes.items())[:8])
    more = f", … ({len(dataset.names)} classes)" if len(dataset.names) > 8 else ""
    return f"{dataset.source} ({dataset.format}): pictures {pictures}; boxes {objects}{more}"
