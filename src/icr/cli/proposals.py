"""A detector's proposals for `icr data convert`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from icr.data.dataset import Dataset
    from icr.data.proposals import Proposed
    from icr.relations import ResolvedRelation


def add_proposals(
    dataset: Dataset,
    weights: Path,
    relations: Sequence[ResolvedRelation],
    *,
    conf: float,
    imgsz: int | None,
    device: str | None,
) -> Proposed:
    """Put a detector's proposals into the pictures without boxes, in place, and say how many."""
    from icr import detectors
    from icr.cli.output import chatter_on_stderr, progress, say
    from icr.data.proposals import propose

    with chatter_on_stderr():
        predictor = detectors.load(weights, device or detectors.first_device())
        with progress("looking for proposals") as told:
            proposed = propose(dataset, predictor, relations, conf=conf, imgsz=imgsz, progress=told)
        if proposed.ignored:
            say(f"not among the classes, so left out: {', '.join(proposed.ignored[:12])}")
        say(f"proposed: {proposed.boxes:,} boxes in {proposed.pictures:,} pictures, {proposed.pairs:,} pairs")
    return proposed
