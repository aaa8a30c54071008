"""`icr data synth`: a generated data set with exact pairs."""

from __future__ import annotations

import json as json_module
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from icr.errors import InputError


def synth(
    out: Annotated[Path, typer.Argument(help="The folder to write; new or empty.")],
    images: Annotated[
        int | None, typer.Option(help="Images in all, a tenth each for val and test. Default: 300.")
    ] = None,
    train: Annotated[int | None, typer.Option(help="Images of the training split, in place of --images.")] = None,
    val: Annotated[int | None, typer.Option(help="Images of the validation split.")] = None,
    test: Annotated[int | None, typer.Option(help="Images of the test split.")] = None,
    size: Annotated[
        str | None, typer.Option(help="WIDTHxHEIGHT in pixels. Default: 1280x720, or 384x288 with --close.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 0,
    close: Annotated[
        bool, typer.Option("--close", help="One or two vehicles near the camera, for small networks.")
    ] = False,
    workers: Annotated[int | None, typer.Option(help="Processes that draw. Default: one a core.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a summary as one JSON object.")] = False,
) -> None:
    """Generate road scenes by day and night, with vehicles, plates and exact pairs.

    Example: icr data synth scenes --images 300 --seed 0
    """
    from icr.cli.output import answer, answer_json, say
    from icr.data.synth import generate

    counts = read_counts(images, train, val, test)
    pixels = read_size(size) if size is not None else None
    with bar() as progress:
        generate(out, counts=counts, size=pixels, seed=seed, close=close, workers=workers, progress=progress)
    manifest = json_module.loads((out / "manifest.json").read_text(encoding="utf-8"))
    plates = sum(entry["plates"] for entry in manifest["images"])
    vehicles = sum(entry["vehicles"] for entry in manifest["images"])
    if json:
        answer_json(
            {
                "out": str(out),
                "images": manifest["counts"],
                "plates": plates,
                "vehicles": vehicles,
                "pairs": plates,
                "size": manifest["settings"]["size"],
                "seed": seed,
                "labels_sha256": manifest["labels_sha256"],
            }
        )
        return
    splits = ", ".join(f"{split} {count}" for split, count in manifest["counts"].items())
    answer(f"{out}: {sum(counts.values())} images ({splits}), {vehicles} vehicles, {plates} plates, each with its pair")
    say(f"next: icr data show {out}/data.yaml")


def read_counts(images: int | None, train: int | None, val: int | None, test: int | None) -> dict[str, int]:
    """Images of each split from the options.

    Raises:
        InputError: when both ways of saying it are used, or a number is negative or nothing remains.

    Example:
        >>> read_counts(None, None, None, None), read_counts(None, 40, 10, None)
        ({'train': 240, 'val': 30, 'test': 30}, {'train': 40, 'val': 10, 'test': 0})
    """
    named = {"train": train, "val": val, "test": test}
    if any(count is not None for count in named.values()):
        if images is not None:
            raise InputError("--images stands beside --train, --val or --test: give one or the other")
        for split, count in named.items():
            if count is not None and count < 0:
                raise InputError(f"--{split} is {count}: expected 0 or more images")
        counts = {split: count or 0 for split, count in named.items()}
        if not sum(counts.values()):
            raise InputError("--train, --val and --test come to 0 images: expected at least one")
        return counts
    images = 300 if images is None else images
    if images < 1:
        raise InputError(f"--images is {images}: expected 1 or more")
    tenth = max(1, images // 10) if images >= 3 else 0
    return {"train": images - 2 * tenth, "val": tenth, "test": tenth}


def read_size(text: str) -> tuple[int, int]:
    """Width and height from ``WIDTHxHEIGHT``.

    Raises:
        InputError: when it is written otherwise.

    Example:
        >>> read_size("1280x720")
        (1280, 720)
    """
    match = re.fullmatch(r"([0-9]{1,6})[xX×]([0-9]{1,6})", text.strip())
    if match is None:
        raise InputError(f"--size is {text!r}: expected WIDTHxHEIGHT in pixels, such as 1280x720")
    return int(match[1]), int(match[2])


@contextmanager
def bar() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr when a person watches, else None."""
    import sys

    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("drawing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("drawing", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
