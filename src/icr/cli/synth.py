"""`icr data synth`: a generated data set with exact pairs."""

from __future__ import annotations

import json as json_module
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from icr.errors import InputError


def synth(
    out: Annotated[Path, typer.Argument(help="The folder to write; new or empty.")],
    images: Annotated[
        int | None,
        typer.Option(help="Images in all, a tenth each for val and test. Default: 300; 3000 with --svmlp."),
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
    svmlp: Annotated[
        bool, typer.Option("--svmlp", help="The stand-in for the paper's data set: its resolutions, numbers and sizes.")
    ] = False,
    crowded: Annotated[bool, typer.Option("--crowded", help="8 to 30 plates an image, seen from a bridge.")] = False,
    scene: Annotated[
        str, typer.Option(help="road: plates on vehicles; rider: helmets, riders, motorcycles; door: handles on doors.")
    ] = "road",
    label_noise: Annotated[
        float,
        typer.Option(
            help="Share of the children in the training split whose label is spoiled; the clean ones stay beside."
        ),
    ] = 0.0,
    workers: Annotated[int | None, typer.Option(help="Processes that draw. Default: one a core.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a summary as one JSON object.")] = False,
) -> None:
    """Generate scenes by day and night, with vehicles, plates and exact pairs, or with other relations.

    The folder appears when it is complete; interrupted or killed, the same command goes on where it was.

    Example: icr data synth scenes --images 300 --seed 0
    """
    from icr.cli.output import answer, answer_json, progress, say
    from icr.data.synth import CROWDED, SVMLP, generate

    named = {"--close": close, "--svmlp": svmlp, "--crowded": crowded, f"--scene {scene}": scene != "road"}
    chosen = [name for name, given in named.items() if given]
    if len(chosen) > 1:
        raise InputError(f"{' and '.join(chosen)} say different things about the scenes: give one of them")
    if svmlp and size is not None:
        raise InputError("--size stands beside --svmlp, which has the sizes of its own pictures: leave one out")
    counts = read_counts(images, train, val, test, 3000 if svmlp else 300)
    pixels = read_size(size) if size is not None else None
    try:
        with progress("drawing") as drawn:
            generate(
                out,
                counts=counts,
                size=pixels,
                seed=seed,
                close=SVMLP if svmlp else CROWDED if crowded else close,
                workers=workers,
                progress=drawn,
                scene=scene,
                label_noise=label_noise,
                say=say,
            )
    except KeyboardInterrupt:
        say(f"interrupted; the same command goes on with {out}")
        raise
    manifest = json_module.loads((out / "manifest.json").read_text(encoding="utf-8"))
    names = list(manifest["images"][0]["objects"])
    objects = {name: sum(entry["objects"][name] for entry in manifest["images"]) for name in names}
    pairs = sum(entry["pairs"] for entry in manifest["images"])
    spoiled = sum(len(entry.get("spoiled", ())) for entry in manifest["images"])
    if json:
        # On the road the classes also stand under the names that scripts have read from the beginning.
        plural = {"plates": objects["plate"], "vehicles": objects["vehicle"]} if scene == "road" else {}
        answer_json(
            {
                "out": str(out),
                "images": manifest["counts"],
                "objects": objects,
                **plural,
                "pairs": pairs,
                "spoiled": spoiled,
                "size": manifest["settings"]["size"],
                "seed": seed,
                "labels_sha256": manifest["labels_sha256"],
            }
        )
        return
    splits = ", ".join(f"{split} {count}" for split, count in manifest["counts"].items())
    held = ", ".join(f"{count} x {name}" for name, count in objects.items())
    answer(f"{out}: {sum(counts.values())} images ({splits}): {held}; {pairs} pairs")
    if spoiled:
        answer(f"{spoiled} training labels are spoiled; the clean ones lie in {out}/labels-clean and pairs-clean")
    say(f"next: icr data show {shlex.quote(str(out / 'data.yaml'))}")


def read_counts(
    images: int | None, train: int | None, val: int | None, test: int | None, usual: int = 300
) -> dict[str, int]:
    """Images of each split from the options; `usual` in all where they name none.

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
    images = usual if images is None else images
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
