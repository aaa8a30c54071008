"""What runs predict on the same pictures, epoch by epoch: strips and a short video (Figs. 8 and 9)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from icr import detectors
from icr.bench.measuring import found_areas
from icr.bench.run_figures import SameData, Say, same_data
from icr.bench.tables import spread
from icr.data.dataset import Sample
from icr.drawing import Picture, annotate, colour_of, contact_sheet, fit, legend, read_picture, write_picture
from icr.errors import InputError
from icr.metrics.evaluation import align
from icr.predicting.video import VideoWriter
from icr.predictions import Predictions
from icr.writing import refuse_filled

TILE = 380
"""Width and height in which a picture is shown, pixels."""

Tiles: TypeAlias = dict[tuple[str, int], list[tuple[Picture, str]]]
"""For each run and epoch, every picture with what is predicted, and what stands below it."""

SECONDS = 0.6
"""An epoch in the video; the last one stays three times as long."""


def epoch_weights(run: Path) -> dict[int, Path]:
    """The weights that a run kept of its epochs, by epoch from 1, rising.

    Files are counted from 0: `epoch0.pt` or `epoch0.safetensors` is what stood after the first epoch.

    Raises:
        InputError: it kept none.
    """
    files = {
        int(found[1]): path
        for path in sorted((run / "weights").glob("epoch*"))
        if (found := re.fullmatch(r"epoch(\d+)\.(pt|safetensors)", path.name))
    }
    if not files:
        raise InputError(f"{run} kept no weights of single epochs; train with --set save_period=1 to keep them")
    first = 1 if 0 in files else 0
    return {epoch + first: files[epoch] for epoch in sorted(files)}


def draw_epochs(
    folders: Sequence[Path],
    out: Path,
    *,
    pictures: int = 3,
    columns: int = 5,
    data: Path | None = None,
    score: float = 0.25,
    device: str = "cpu",
    step: Callable[[int, int], None] = lambda done, total: None,
    say: Say = print,
) -> dict[str, Any]:
    """Draw strips, a picture each: runs below each other, epochs side by side; and a video of all pictures by epoch.

    Args:
        folders: runs on the same pictures that kept the weights of several epochs.
        out: a folder that is new or empty.
        pictures: how many, evenly spread over those with a child.
        columns: at most so many epochs in a strip, the first and the last among them; the video has all.
        data: the data set, None: where the first run says it is.
        score: predictions below it are left out, 0..1.
        device: `cpu`, or the index of a GPU.
        step: called with the weights done so far, and how many there are.
        say: called with what a person should know.

    Returns:
        The files, the epochs that all runs kept, and the names of the pictures.

    Raises:
        InputError: the runs share no epoch or no pictures, or `out` holds something.
    """
    refuse_filled(out)
    same = same_data(folders, data)
    weights = {name: epoch_weights(folder) for name, folder in same.runs.items()}
    epochs = sorted(set.intersection(*(set(each) for each in weights.values())))
    if not epochs:
        raise InputError(f"{', '.join(same.runs)} kept the weights of different epochs; none is common to all")
    chosen = _chosen(same, pictures)
    views = [read_picture(sample.image, (sample.width, sample.height)) for sample in chosen]
    tiles: Tiles = {}
    total = len(epochs) * len(weights)
    for name, files in weights.items():
        for epoch in epochs:
            step(len(tiles), total)
            found = _predict(files[epoch], same, chosen, device, say)
            tiles[name, epoch] = [
                (_drawn(view, each, same, score), f"{name}, epoch {epoch}: {_told(sample, each, same, score)}")
                for view, sample, each in zip(views, chosen, found, strict=True)
            ]
    step(total, total)
    out.mkdir(parents=True, exist_ok=True)
    names = list(weights)
    files_made = [
        str(_strip(same, sample, place, names, spread(epochs, columns), tiles, score, out))
        for place, sample in enumerate(chosen)
    ]
    files_made.append(str(_video(names, epochs, tiles, out)))
    return {"files": files_made, "epochs": epochs, "pictures": [sample.image.name for sample in chosen]}


def _chosen(same: SameData, pictures: int) -> list[Sample]:
    """Pictures evenly spread over those with a child, without a look at any result."""
    children = {relation.child for relation in same.relations}
    having = [sample for sample in same.dataset.splits[same.split] if children & set(sample.labels.tolist())]
    if not having:
        raise InputError(f"{same.dataset.source}: {same.split} holds no child, so there is nothing to show")
    number = min(pictures, len(having))
    return [having[place * len(having) // number] for place in range(number)]


def _predict(weights: Path, same: SameData, chosen: Sequence[Sample], device: str, say: Say) -> list[Predictions]:
    predictor = detectors.load(weights, device.split(",")[0])
    found = list(predictor.predict([sample.image for sample in chosen], batch=min(len(chosen), 8)))
    aligned, said = align(found, predictor.names, same.dataset.names)
    for each in said:
        say(each)
    return aligned


def _drawn(view: Picture, found: Predictions, same: SameData, score: float) -> Picture:
    """The picture in the size of a tile, with what was predicted on it."""
    import torch

    from icr.relations import match_parents

    kept = found.scores >= score
    small, scale = fit(view, TILE, TILE)
    boxes, labels = found.boxes[kept], found.labels[kept]
    parents = match_parents(torch.from_numpy(boxes), torch.from_numpy(labels), same.relations).numpy()
    children = np.isin(labels, [relation.child for relation in same.relations])
    return annotate(
        small, boxes * scale, labels, same.dataset.names, parents, orphans=children & (parents < 0), text=False
    )


def _told(sample: Sample, found: Predictions, same: SameData, score: float) -> str:
    """How many of the picture's children were found."""
    hits = [found_areas([sample], [found], relation.child, score=score).found for relation in same.relations]
    return f"{sum(int(each.sum()) for each in hits)} of {sum(map(len, hits))} found"


def _strip(
    same: SameData,
    sample: Sample,
    place: int,
    names: Sequence[str],
    epochs: Sequence[int],
    tiles: Tiles,
    score: float,
    out: Path,
) -> Path:
    shown = [tiles[name, epoch][place] for name in names for epoch in epochs]
    images, captions = [image for image, _ in shown], [caption for _, caption in shown]
    used = dict.fromkeys(each for relation in same.relations for each in (relation.child, *relation.parents))
    wide = len(epochs) * (max(image.shape[1] for image in images) + 14) + 14
    classes = [(same.dataset.names[label], colour_of(label)) for label in used]
    head = legend(sample.image.name, [f"predicted after an epoch, score ≥ {score:g}"], classes, True, wide)
    path = out / f"epochs-{place + 1}-{sample.image.stem}.jpg"
    write_picture(contact_sheet(images, len(epochs), captions=captions, header=head), path)
    return path


def _video(names: Sequence[str], epochs: Sequence[int], tiles: Tiles, out: Path) -> Path:
    """Runs below each other, pictures side by side, a moment for each epoch."""
    path = out / "epochs.mp4"
    with VideoWriter(path) as video:
        moment = 0.0
        for epoch in epochs:
            shown = [each for name in names for each in tiles[name, epoch]]
            images, captions = [image for image, _ in shown], [caption for _, caption in shown]
            frame = contact_sheet(images, len(tiles[names[0], epoch]), captions=captions)
            for _ in range(3 if epoch == epochs[-1] else 1):
                video.write(frame, moment)
                moment += SECONDS
        # A frame is shown until the next one begins.
        video.write(frame, moment)
    return path
