"""Pictures with something to see, each its own, and label rows that look measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from icr.data.dataset import Finding

NAMES = "train: images/train\nval: images/val\ntest: images/test\nnames: [plate, car]\n"
YAML = NAMES + "relations: [{child: plate, parent: car}]\n"


def view(seed: int, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """A picture of soft shapes; another seed shows something else."""
    cells = np.random.default_rng(seed).integers(30, 225, (9, 12, 3), np.uint8)
    return Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC)


def save(image: Image.Image, file: Path, **options: object) -> Path:
    """Write a picture, its folder too."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, **options)
    return file


def rows(seed: int, *, swapped: bool = False, plates: int = 1) -> list[str]:
    """A car and its plates, at numbers that no other seed has."""
    chance = np.random.default_rng(seed)
    x, y = chance.uniform(0.3, 0.7, 2)
    car, plate = (0, 1) if swapped else (1, 0)
    held = [f"{plate} {x + 0.06 * at:.6f} {y + 0.1:.6f} 0.051234 0.031234" for at in range(plates)]
    return [*held, f"{car} {x:.6f} {y:.6f} 0.301234 0.341234"]


def scenes(root: Path, splits: Mapping[str, Sequence[str]], *, yaml: str = YAML) -> Path:
    """Write a YOLO set without fault: for each split the names of its pictures, all of them different."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "data.yaml").write_text(yaml)
    seed = 0
    for split in ("train", "val", "test"):
        for name in splits.get(split, [f"{split}_sound"]):
            seed += 1
            save(view(seed), root / "images" / split / f"{name}.jpg", quality=90)
            label(root, split, name, rows(seed))
    return root


def label(root: Path, split: str, name: str, lines: Sequence[str]) -> None:
    """Write a label file."""
    file = root / "labels" / split / f"{name}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))


def where(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Id and file name of findings."""
    return [(each.id, Path(each.file).name) for each in findings]
