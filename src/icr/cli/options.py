"""Arguments and options that several commands take, and what is asked of their values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from icr.errors import InputError


def path(text: str) -> Path:
    """The path of a data set; an empty one, such as an unset variable leaves, is not taken for the current folder.

    Raises:
        typer.BadParameter: it is empty.
    """
    if not str(text).strip():
        raise typer.BadParameter("it is empty; name a data.yaml, a COCO JSON or a folder (. is the current one)")
    return Path(text)


Data: TypeAlias = Annotated[
    Path, typer.Argument(parser=path, metavar="DATA", help="A data.yaml, a COCO JSON, or a folder in a known format.")
]
Relations: TypeAlias = Annotated[
    list[str] | None, typer.Option("--relation", help="child:parent, or child:parent,parent; may be repeated.")
]
Format: TypeAlias = Annotated[
    str | None, typer.Option("--format", help="Such as yolo or crpd; found by looking if not given.")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

NewFolder: TypeAlias = Annotated[Path, typer.Option("--out", help="The folder to write; new, or empty.")]
ImagesWay: TypeAlias = Annotated[
    str, typer.Option("--images", help="copy, link, or reference: leave them where they are (COCO only).")
]

Model: TypeAlias = Annotated[str, typer.Option("--model", help="A detector's name (yolo11n), or a .pt or .yaml file.")]
Base: TypeAlias = Annotated[
    str | None, typer.Option("--base", help="The IoU-family loss that ICR multiplies. Default: the detector's own.")
]
Weight: TypeAlias = Annotated[
    float | None, typer.Option("--weight", help="λ of the ICR loss; 2.5 unless the data says otherwise.")
]
Form: TypeAlias = Annotated[str, typer.Option("--form", help="product, sum, step or power.")]
Devices: TypeAlias = Annotated[
    str | None, typer.Option("--device", help="cpu, 0 or 0,1; the first GPU if there is one.")
]
Workers: TypeAlias = Annotated[int, typer.Option("--workers", help="Processes that load pictures.")]
Overrides: TypeAlias = Annotated[
    list[str] | None, typer.Option("--set", help="key=value, passed to the engine; may be repeated.")
]

Device: TypeAlias = Annotated[
    str | None, typer.Option("--device", help="cpu, or a GPU's index; the first GPU if there is one.")
]
Trust: TypeAlias = Annotated[bool, typer.Option("--trust", help="Let a .pt be unpickled; it may run any code.")]
Resamples: TypeAlias = Annotated[
    int, typer.Option("--resamples", help="Draws of the test pictures behind the intervals.")
]
MovedData: TypeAlias = Annotated[
    Path | None, typer.Option("--data", help="The data set, if it is no longer where the runs say.")
]


def at_least(least: int, **given: int | None) -> None:
    """Refuse an option whose value is too small.

    Raises:
        InputError: the first of them that is.
    """
    for name, value in given.items():
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} {value}: expected a whole number of at least {least}")


def score_in_range(score: float) -> None:
    """Refuse a `--score` outside 0..1.

    Raises:
        InputError: it is.
    """
    if not 0 <= score <= 1:
        raise InputError(f"--score {score:g}: expected 0..1, such as 0.25")
