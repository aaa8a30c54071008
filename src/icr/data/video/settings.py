"""What is asked of `icr data from-video`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from icr.data.video.light import NIGHT_BELOW
from icr.errors import InputError, nearest
from icr.relations import Relation

COUNTS = {"train": 2400, "val": 300, "test": 300}
"""Frames of each split, as in the paper's SVMLP."""

By = Literal["video", "folder"]


@dataclass(frozen=True)
class VideoSettings:
    """How frames are taken from videos.

    Attributes:
        counts: frames wanted in each split.
        seed: the same seed takes the same frames of the same files.
        similar: a frame is dropped when its hash differs from that of one already kept in no more than this share of
            its bits. Pictures of different places differ in 0.36 or more.
        blurred: a frame is dropped when its `blur` is larger.
        night_below: a frame counts as night when its `brightness`, 0 to 255, is lower.
        by: what never spans two splits: a ``video``, or all videos of a ``folder``.
        relations: what the written `data.yaml` declares; its classes are those of the relations.
    """

    counts: Mapping[str, int] = field(default_factory=lambda: dict(COUNTS))
    seed: int = 0
    similar: float = 0.25
    blurred: float = 0.5
    night_below: float = NIGHT_BELOW
    by: By = "video"
    relations: tuple[Relation, ...] = (Relation("plate", "vehicle"),)

    def __post_init__(self) -> None:
        for split, count in self.counts.items():
            if count < 0:
                raise InputError(f"--{split} is {count}: expected 0 or more frames")
        if not sum(self.counts.values()):
            raise InputError(f"{' and '.join(f'--{split}' for split in self.counts)} come to 0 frames: expected one")
        for name, value, most in (("similar", self.similar, 1), ("blurred", self.blurred, 1)):
            if not 0 <= value <= most:
                raise InputError(f"--{name} is {value:g}: expected 0 to {most}")
        if not 0 <= self.night_below <= 256:
            raise InputError(f"--night-below is {self.night_below:g}: expected a brightness, 0 to 255")
        if self.by not in ("video", "folder"):
            raise InputError(f"--by is {self.by!r}: expected video or folder{nearest(self.by, ('video', 'folder'))}")

    @property
    def splits(self) -> list[str]:
        """The splits that get frames."""
        return [split for split, count in self.counts.items() if count]

    @property
    def names(self) -> list[str]:
        """The classes, children first, each once."""
        names = [each.child for each in self.relations]
        for each in self.relations:
            names += each.parent if isinstance(each.parent, tuple) else [each.parent]
        return list(dict.fromkeys(map(str, names)))

    def as_json(self) -> dict[str, Any]:
        """The settings as they stand in a file."""
        return {
            **asdict(self),
            "counts": dict(self.counts),
            "relations": [str(each) for each in self.relations],
        }
