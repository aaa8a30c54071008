"""`icr data …`: what one does with a data set before training; `check` and `convert` stand here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icr.cli.output import answer, answer_json, say
from icr.errors import InputError, nearest

if TYPE_CHECKING:
    from icr.data.dataset import Dataset

app = typer.Typer(name="data", help="Check, convert, look at and generate data sets.", no_args_is_help=True)

Data = Annotated[Path, typer.Argument(help="A data.yaml, a COCO JSON, or a folder in a known format.")]
Relations = Annotated[list[str] | None, typer.Option(help="child:parent, or child:parent,parent; may be repeated.")]
Format = Annotated[str | None, typer.Option("--format", help="Such as yolo or crpd; found by looking if not given.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("check")
def check(
    data: Data,
    relation: Relations = None,
    format: Format = None,
    all_: Annotated[bool, typer.Option("--all", help="Print every finding, not the first three of each id.")] = False,
    json: Json = False,
) -> None:
    """Say what is wrong with a data set, file and line; nothing is changed. Ends with 1 if anything is an error.

    Example: icr data check plates/data.yaml --relation plate:vehicle
    """
    from icr.data import formats
    from icr.data.check import check, relations_to_check, report

    with _progress("reading labels"):
        dataset = formats.read(data, format=format)
    chosen = relations_to_check(relation or (), dataset)
    with _progress("decoding pictures") as progress:
        findings = check(dataset, chosen.relations, progress=progress)
    if json:
        answer_json(
            {
                "findings": [vars(each) for each in findings],
                "counts": dict(Counter(each.id for each in findings)),
                "severities": dict(Counter(each.severity for each in findings)),
                "images": {split: len(samples) for split, samples in dataset.splits.items()},
                "objects": _objects(dataset),
                "relations": [str(each) for each in chosen.relations],
            }
        )
    else:
        say(_summary(dataset))
        say(f"{chosen.said}\n")
        answer(report(findings, data, every=all_))
    if any(each.severity == "error" for each in findings):
        raise typer.Exit(1)


@app.command("convert")
def convert(
    data: Data,
    to: Annotated[str, typer.Option(help="yolo or coco.")],
    out: Annotated[Path, typer.Option(help="The folder to write; new, or empty.")],
    relation: Relations = None,
    images: Annotated[
        str, typer.Option(help="copy, link, or reference: leave them where they are (COCO only).")
    ] = "copy",
    format: Format = None,
    json: Json = False,
) -> None:
    """Write a data set in another format, pairs and relations included.

    Example: icr data convert plates/data.yaml --to coco --out plates-coco --images link
    """
    from icr.data import formats
    from icr.data.formats.text import counted
    from icr.relations import Relation, resolve

    writable, ways = formats.names(writable=True), formats.IMAGES
    if to not in writable:
        raise InputError(f"--to {to}: expected {' or '.join(writable)}{nearest(to, writable)}")
    way = next((each for each in ways if each == images), None)
    if way is None:
        raise InputError(f"--images {images}: expected {', '.join(ways)}{nearest(images, ways)}")
    with _progress("reading labels"):
        dataset = formats.read(data, format=format)
    if relation:
        dataset.relations = tuple(Relation.parse(text) for text in relation)
    resolve(dataset.relations, dataset.names)
    errors = sum(each.severity == "error" for each in dataset.findings)
    if errors:
        say(
            f"{counted(errors, 'faulty entry', 'faulty entries')} of {data} not carried over; icr data check names each"
        )
    with _progress("writing"):
        lost = formats.write(dataset, out, to, images=way)
    for each in lost:
        say(f"not held by {to}: {each}")
    say(_summary(dataset))
    pairs = sum(int((sample.parents >= 0).sum()) for samples in dataset.splits.values() for sample in samples)
    if json:
        answer_json(
            {
                "out": str(out),
                "format": to,
                "images": {split: len(samples) for split, samples in dataset.splits.items()},
                "objects": _objects(dataset),
                "pairs": pairs,
                "faulty": errors,
                "not_held": list(lost),
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


def _summary(dataset: Dataset) -> str:
    pictures = ", ".join(f"{split} {len(samples):,}" for split, samples in dataset.splits.items())
    objects = ", ".join(f"{name} {count:,}" for name, count in list(_objects(dataset).items())[:8])
    more = f", … ({len(dataset.names)} classes)" if len(dataset.names) > 8 else ""
    return f"{dataset.source} ({dataset.format}): pictures {pictures}; boxes {objects}{more}"


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr, when a person watches; it pulses until it is told how much there is."""
    import sys

    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
