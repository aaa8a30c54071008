"""Data sets in memory with classes that lie in one another, or at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from icr.data.dataset import UNSTATED, Dataset, Sample

WIDTH, HEIGHT = 1280, 720
Boxes = npt.NDArray[np.float64]


def scattered(random: np.random.Generator, count: int, smallest: float, largest: float) -> Boxes:
    """Boxes anywhere in the picture, their sides as shares of the picture's."""
    sides = random.uniform(smallest, largest, (count, 2)) * (WIDTH, HEIGHT)
    corner = random.uniform(0, 1, (count, 2)) * ((WIDTH, HEIGHT) - sides)
    return np.concatenate([corner, corner + sides], 1)


def within(random: np.random.Generator, outer: Boxes, smallest: float, largest: float) -> Boxes:
    """One box anywhere in each of the others, its area as a share of theirs."""
    sides = (outer[:, 2:] - outer[:, :2]) * np.sqrt(random.uniform(smallest, largest, (len(outer), 1)))
    corner = outer[:, :2] + (outer[:, 2:] - outer[:, :2] - sides) * random.uniform(0, 1, sides.shape)
    return np.concatenate([corner, corner + sides], 1)


def dataset(names: list[str], pictures: list[list[Boxes]]) -> Dataset:
    """A data set from the boxes of each class in each picture."""
    samples = []
    for index, boxes in enumerate(pictures):
        labels = np.repeat(np.arange(len(boxes)), [len(each) for each in boxes])
        parents = np.full(len(labels), UNSTATED, np.int64)
        samples.append(Sample(Path(f"{index}.jpg"), WIDTH, HEIGHT, np.concatenate(boxes), labels, parents))
    return Dataset(Path("made-up"), "yolo", names, {"train": samples})


def riders(seed: int, count: int = 40) -> Dataset:
    """Helmets on riders on motorcycles, and trees anywhere."""
    random = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        motorcycles = scattered(random, int(random.integers(1, 4)), 0.1, 0.3)
        people = within(random, motorcycles, 0.5, 0.75)
        trees = scattered(random, int(random.integers(0, 3)), 0.02, 0.2)
        pictures.append([within(random, people, 0.05, 0.12), people, motorcycles, trees])
    return dataset(["helmet", "rider", "motorcycle", "tree"], pictures)


def doors(seed: int, count: int = 40) -> Dataset:
    """Handles on doors, in walls of one or two doors."""
    random = np.random.default_rng(seed)
    pictures = []
    for _ in range(count):
        leaves = scattered(random, int(random.integers(1, 3)), 0.15, 0.4)
        pictures.append([leaves, within(random, leaves, 0.002, 0.01)])
    return dataset(["door", "handle"], pictures)


def at_random(seed: int, classes: int, count: int) -> Dataset:
    """Classes of any size, each anywhere."""
    random = np.random.default_rng(seed)
    scales = random.uniform(0.01, 0.5, classes)
    pictures = [
        [scattered(random, int(random.integers(0, 5)), scale / 2, min(1, scale * 2)) for scale in scales]
        for _ in range(count)
    ]
    return dataset([f"class {index}" for index in range(classes)], pictures)
