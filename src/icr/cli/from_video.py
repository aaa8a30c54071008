"""`icr data from-video`: frames from videos, ready to be labelled."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer


def from_video(
    source: Annotated[list[str], typer.Argument(help="Videos, folders of them, or glob patterns.")],
    out: Annotated[Path, typer.Option(help="The folder to write; new, or begun by the same command.")],
    train: Annotated[int, typer.Option(help="Frames of the training split.")] = 2400,
    val: Annotated[int, typer.Option(help="Frames of the validation split.")] = 300,
    test: Annotated[int, typer.Option(help="Frames of the test split.")] = 300,
    relation: Annotated[
        list[str] | None,
        typer.Option(help="What will be labelled, child:parent; may be repeated. Default: plate:vehicle."),
    ] = None,
    by: Annotated[str, typer.Option(help="video or folder: what never spans two splits.")] = "video",
    similar: Annotated[
        float, typer.Option(help="Drop a frame whose hash differs from a kept one's in this share of bits or fewer.")
    ] = 0.25,
    blurred: Annotated[float, typer.Option(help="Drop a frame of more blur, 0 to 1.")] = 0.5,
    night_below: Annotated[
        float, typer.Option(help="Night: the upper half's median luma (0-255) is below this.")
    ] = 65.0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed takes the same frames.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Take frames at random times, none blurred, no two alike, half by day, half by night, split by video.

    Killed, the same command goes on where it was. A report, and sheets of frames taken and dropped, lie in the folder.

    Example: icr data from-video drives/ --out frames --train 2400 --val 300 --test 300
    """
    from icr.cli.output import answer, answer_json, chatter_on_stderr, progress, say
    from icr.data.video import VideoSettings, extract
    from icr.data.video.report import as_text
    from icr.relations import Relation, resolve

    relations = tuple(Relation.parse(text) for text in relation or ("plate:vehicle",))
    counts = {"train": train, "val": val, "test": test}
    settings = VideoSettings(counts, seed, similar, blurred, night_below, by, relations)  # type: ignore[arg-type]
    resolve(relations, settings.names)
    with chatter_on_stderr(), progress("frames") as told:
        report = extract(source, out, settings, say=say, progress=told)
    if json:
        answer_json({"out": str(out), **report})
        return
    answer(as_text(report))
    say(f"\nin {out}: images/, data.yaml, manifest.json, report.json; look at taken.jpg and dropped.jpg")
    taken, to = shlex.quote(str(out / "data.yaml")), shlex.quote(f"{out}-cvat")
    say(f"next: icr data convert {taken} --to cvat --out {to}")
