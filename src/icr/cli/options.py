"""The DATA of a command: where a data set lies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer


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
