"""`icr predict`: each child with its parent, in pictures and video."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Annotated

import typer

from icr.cli.options import Device, Trust


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
    imgsz: Annotated[int | None, typer.Option(help="Input size in pixels. Default: as trained.")] = None,
    device: Device = None,
    crops: Annotated[bool, typer.Option("--crops", help="Cut out each parent together with its child, too.")] = False,
    trust: Trust = False,
    json: Annotated[bool, typer.Option("--json", help="Print predictions.json on stdout, too.")] = False,
) -> None:
    """Find objects and draw them, each child joined to its parent; write their boxes to predictions.json.

    A file that cannot be read is named and left out, and the exit status is then 1.

    Example: icr predict runs/plates/weights/best.pt street.jpg "clips/*.mp4" --out found --crops
    """
    from icr.cli.output import answer, chatter_on_stderr, progress, say

    with chatter_on_stderr():
        from icr import detectors, predicting, runs
        from icr.drawing import free_path
        from icr.predicting.folder import RESULTS
        from icr.writing import refuse_filled

        sources = predicting.find(source)
        folder = out or free_path(Path(), "predictions")
        refuse_filled(folder)
        predictor = detectors.load(weights, device or detectors.first_device(), trust)
        list(predictor.predict([], imgsz=imgsz))  # a size that it cannot take is refused before anything is written
        run = runs.of_weights(weights)
        record = runs.read_record(run) if run else getattr(predictor, "record", lambda: None)()
        relations, said = predicting.relations_of(relation or [], record, predictor.names)
        say(said)
        total, done = sum(predicting.length(each.path) if each.video else 1 for each in sources), count(1)
        with progress("predicting") as report:
            summary = predicting.run(
                predictor,
                sources,
                relations,
                folder,
                conf=conf,
                iou=iou,
                imgsz=imgsz,
                crops=crops,
                seen=lambda: report(next(done), total),
            )
        for line in summary.unreadable:
            say(f"left out: {line}")
        if not summary.pictures:
            say("no file could be read, so nothing was looked at")
        elif not summary.boxes:
            say(f"no box has a score of {conf} or more; a lower --conf shows what the detector is less sure of")
        say(
            f"{summary.pictures} pictures and frames: {summary.boxes} boxes, {summary.pairs} pairs, "
            f"{summary.orphans} orphans; in {folder}"
        )
    answer((folder / RESULTS).read_text(encoding="utf-8").rstrip("\n") if json else str(folder / RESULTS))
    if summary.unreadable:
        raise typer.Exit(1)
