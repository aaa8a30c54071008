"""`icr predict`: each child with its parent, in pictures and video."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from icr.predicting import Source


def predict(
    weights: Annotated[Path, typer.Argument(help="Trained weights, such as runs/NAME/weights/best.pt.")],
    source: Annotated[list[str], typer.Argument(help="Pictures, videos, folders of them, or glob patterns.")],
    relation: Annotated[
        list[str] | None,
        typer.Option(help="child:parent, or child:parent,parent; may be repeated. Default: those of the training run."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder. Default: predictions, predictions-2, …")] = None,
    conf: Annotated[float, typer.Option(min=0.0, max=1.0, help="The least score of a box.")] = 0.25,
    iou: Annotated[float, typer.Option(min=0.0, max=1.0, help="Non-maximum suppression's threshold.")] = 0.7,
    imgsz: Annotated[int | None, typer.Option(min=32, help="Input size in pixels. Default: as trained.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or 0; the first GPU if there is one.")] = None,
    crops: Annotated[bool, typer.Option("--crops", help="Cut out each parent together with its child, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print predictions.json on stdout, too.")] = False,
) -> None:
    """Find objects and draw them, each child joined to its parent; write their boxes to predictions.json.

    A file that cannot be read is named and left out, and the exit status is then 1.

    Example: icr predict runs/plates/weights/best.pt street.jpg "clips/*.mp4" --out found --crops
    """
    from icr.cli.output import answer, chatter_on_stderr, say

    with chatter_on_stderr():
        from icr import detectors, predicting, runs
        from icr.drawing import free_path
        from icr.predicting.folder import RESULTS, refuse_full

        sources = predicting.find(source)
        folder = out or free_path(Path(), "predictions")
        refuse_full(folder)
        predictor = detectors.load(weights, device or _first_device())
        run = runs.of_weights(weights)
        relations, said = predicting.relations_of(
            relation or [], runs.read_record(run) if run else None, predictor.names
        )
        say(said)
        with _Progress(sources) as progress:
            summary = predicting.run(
                predictor, sources, relations, folder, conf=conf, iou=iou, imgsz=imgsz, crops=crops, seen=progress.seen
            )
        for line in summary.unreadable:
            say(f"left out: {line}")
        if not summary.pictures:
            say("no file could be read, so nothing was looked at")
        say(
            f"{summary.pictures} pictures and frames: {summary.boxes} boxes, {summary.pairs} pairs, "
            f"{summary.orphans} orphans; in {folder}"
        )
    answer((folder / RESULTS).read_text(encoding="utf-8").rstrip("\n") if json else str(folder / RESULTS))
    if summary.unreadable:
        raise typer.Exit(1)


def _first_device() -> str:
    import torch

    return "0" if torch.cuda.is_available() else "cpu"


class _Progress:
    """A bar over files and, within a video, over frames; only when a person watches."""

    def __init__(self, sources: Sequence[Source]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
        self._files = self._bar.add_task("files", total=len(sources))
        self._video: Source | None = None
        self._frames: TaskID | None = None

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def seen(self, source: Source, frames: int) -> None:
        """Take note that a picture, or so many frames of a video, are done."""
        if self._bar.disable:
            return
        if not source.video:
            self._bar.advance(self._files)
            return
        if source != self._video:
            from icr.predicting.video import length

            self._video = source
            self._bar.advance(self._files)
            if self._frames is not None:
                self._bar.remove_task(self._frames)
            self._frames = self._bar.add_task(source.path.name, total=length(source.path))
        assert self._frames is not None
        self._bar.update(self._frames, completed=frames)
