"""How often `labels.shifted` is found where labels slipped by one picture, and how often where they did not.

    python benchmarks/shifted.py                            # 200 generated scenes
    python benchmarks/shifted.py FOLDER --trials 4000      # a set of one's own besides: COCO, YOLO, …

Every picture of a set is decoded once, as a check does, and the boxes of every file are held against every picture, so
that a trial only deals them anew. Each trial draws pictures in an order of its own. In the first table the labels are
right, or chance deals them, and any finding is a false alarm; in the second those from some file on slip by one, on or
back, and it counts as found what names the right way. Loose labels are those of the set with each side off by up to a
fifth of the box's own width or height.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import icr
from icr.data import formats
from icr.data.dataset import Sample
from icr.data.pictures import decode
from icr.data.shifted import ALIKE, BETTER, CERTAIN, UNTOLD, WORSE, Edges, Run, Votes, alike, cells
from icr.data.synth import generate
from icr.runs import hardware, write_json

RESULTS = Path(__file__).with_name("results")
LOOSE = 0.2
SLIPPED = (20, 30, 40, 50, 60, 80, 100)
LEVELS = (0.1, 0.01, 0.001, CERTAIN)

Order = npt.NDArray[np.intp]
Chance = np.random.Generator


class Kept:
    """A question whose answer is kept here: the outlines of the picture."""

    key = b"outlines"
    edges: Edges

    def answer(self, luma: Image.Image) -> bytes:
        self.edges = Edges(luma)
        return b"\0\0"


@dataclass(frozen=True)
class Held:
    """The boxes of every file held against every picture.

    Attributes:
        fits: float64 (N, N), how well the boxes of a file (column) fit a picture (row).
        alike: bool (N, N), whether the boxes of two files are too alike to tell.
        largest: float64 (N,), the area of the largest box of each file.
    """

    fits: npt.NDArray[np.float64]
    alike: npt.NDArray[np.bool_]
    largest: npt.NDArray[np.float64]

    def votes(self, pictures: Order, own: Order, other: Order) -> npt.NDArray[np.uint8]:
        """As `icr.data.shifted.Question.answer`, of many pictures."""
        gain = self.fits[pictures, other] - self.fits[pictures, own]
        gain[self.alike[own, other]] = 0
        return np.select([gain > 1e-9, gain < -1e-9], [BETTER, WORSE], UNTOLD).astype(np.uint8)

    def runs(self, pictures: Order, labels: Order, certain: float = CERTAIN) -> list[Run]:
        """What is found where the picture at a place bears the labels at that place."""
        votes = Votes(certain)
        asked = np.full((len(pictures), 2), UNTOLD, np.uint8)
        asked[1:, 0] = self.votes(pictures[1:], labels[1:], labels[:-1])
        asked[:-1, 1] = self.votes(pictures[:-1], labels[:-1], labels[1:])
        for at, each in enumerate(asked):
            votes.add("", at, each.tobytes())
        return votes.runs()


def hold(samples: Sequence[Sample], loose: float, chance: Chance) -> Held:
    """Hold the boxes of every file against every picture; each side of a box is off by up to `loose` of its length."""
    boxes, edges = [], []
    for sample in samples:
        sides = np.tile(sample.boxes[:, 2:] - sample.boxes[:, :2], 2)
        off = sample.boxes + sides * chance.uniform(-loose, loose, sides.shape)
        packed = cells(Sample(sample.image, sample.width, sample.height, off, sample.labels, sample.parents))
        question = Kept()
        decode(sample.image, question)
        if packed and hasattr(question, "edges"):
            boxes.append(np.frombuffer(packed, np.uint8).reshape(-1, 4))
            edges.append(question.edges)
    ends = np.cumsum([0, *map(len, boxes)])
    every = np.concatenate(boxes)
    fits = np.stack([np.add.reduceat(each.fit(every), ends[:-1]) / np.diff(ends) for each in edges])
    same = np.array([[alike(one, other) > ALIKE for other in boxes] for one in boxes])
    corners = [each.astype(np.float64) for each in boxes]
    return Held(fits, same, np.array([(each[:, 2:] - each[:, :2]).prod(1).max() for each in corners]))


def right(held: Held, count: int, chance: Chance) -> tuple[Order, Order]:
    """Pictures with their own labels, in any order."""
    drawn = chance.choice(len(held.fits), count, replace=count > len(held.fits))
    return drawn, drawn


def dealt(held: Held, count: int, chance: Chance) -> tuple[Order, Order]:
    """Labels that have nothing to do with the pictures."""
    return right(held, count, chance)[0], right(held, count, chance)[0]


def by_size(held: Held, count: int, chance: Chance) -> tuple[Order, Order]:
    """The same, the labels in order of their largest box: those after fit any picture a little better or worse."""
    pictures, labels = dealt(held, count, chance)
    return pictures, labels[np.argsort(held.largest[labels], kind="stable")]


HARMLESS: dict[str, Callable[[Held, int, Chance], tuple[Order, Order]]] = {
    "right labels": right,
    "labels dealt by chance": dealt,
    "dealt by chance, in order of size": by_size,
}


def alarms(held: Held, count: int, trials: int, chance: Chance) -> dict[str, dict[str, float]]:
    """The share of trials with a finding at each level, of sets in which nothing slipped."""
    told: dict[str, dict[str, float]] = {}
    for name, make in HARMLESS.items():
        least = [
            min((run.probability for run in held.runs(*make(held, count, chance), 0.5)), default=1.0)
            for _ in range(trials)
        ]
        told[name] = {f"{level:g}": float(np.mean(np.array(least) < level)) for level in LEVELS}
    return told


def slipped(held: Held, count: int, many: int, trials: int, chance: Chance) -> dict[str, float | None]:
    """The share of trials in which the last `many` labels slipped by one and that is found, and how exactly."""
    hits, off = 0, []
    for trial in range(trials):
        pictures, _ = right(held, count, chance)
        step = 1 if trial % 2 else -1
        labels = pictures.copy()
        start = count - many
        # On: the file at a place gets what belongs to the picture before; back: what belongs to the one after.
        labels[start:] = pictures[start - 1 : -1] if step == 1 else np.append(pictures[start + 1 :], pictures[start])
        runs = [run for run in held.runs(pictures, labels) if run.step == -step]
        hits += bool(runs)
        off += [abs(runs[0].first - start)] if runs else []
    return {
        "found": hits / trials,
        "start_off_median": float(np.median(off)) if off else None,
        "start_off_95": float(np.percentile(off, 95)) if off else None,
    }


def measured(samples: Sequence[Sample], trials: int, count: int, seed: int) -> dict[str, Any]:
    """All rates of one set, with its own labels and with loose ones."""
    told: dict[str, Any] = {}
    for name, loose in (("own labels", 0.0), ("loose labels", LOOSE)):
        chance = np.random.default_rng(seed)
        held = hold(samples, loose, chance)
        n = min(count, len(held.fits))
        away = ~np.eye(len(held.fits), dtype=np.bool_) & ~held.alike
        better = np.diag(held.fits)[:, None] > held.fits
        told[name] = {
            "pictures": len(held.fits),
            "drawn": n,
            "own_fits_better": float(better[away].mean()),
            "alarms": alarms(held, n, trials, chance),
            "slipped": {
                str(many): slipped(held, n, many, max(trials // 20, 2), chance) for many in SLIPPED if many < n - 5
            },
        }
    return told


def page(record: dict[str, Any]) -> str:
    """The result as a page."""
    lines = ["# Labels that slipped by one picture", ""]
    rows = [(f"{name}, {which}", each) for name, own in record["sets"].items() for which, each in own.items()]
    levels = [f"{level:g}" for level in LEVELS]
    lines += [
        "## False alarms",
        "",
        f"Share of {record['trials']:,} trials in which a run of a probability below p is found.",
        "",
    ]
    lines += [
        "| set | pictures | " + " | ".join(f"p < {level}" for level in levels) + " |",
        "|---" * (len(levels) + 2) + "|",
    ]
    for name, each in rows:
        for what, shares in each["alarms"].items():
            lines.append(
                f"| {name}: {what} | {each['drawn']} | " + " | ".join(f"{shares[level]:.5f}" for level in levels) + " |"
            )
    lines += ["", f"A check reports what lies below {CERTAIN:g}.", "", "## Found", ""]
    lines += [
        f"Share of {max(record['trials'] // 20, 2):,} trials in which the slip is found, by how many labels slipped.",
        "",
    ]
    lines += [
        "| set | pictures | own fits better than another | "
        + " | ".join(map(str, SLIPPED))
        + " | start off by (median, 95 %) |"
    ]
    lines += ["|---" * (len(SLIPPED) + 4) + "|"]
    for name, each in rows:
        cells = [
            f"{each['slipped'][str(many)]['found']:.3f}" if str(many) in each["slipped"] else "" for many in SLIPPED
        ]
        last = list(each["slipped"].values())[-1]
        off = f"{last['start_off_median']:.0f}, {last['start_off_95']:.0f}" if last["found"] else ""
        lines.append(
            f"| {name} | {each['drawn']} | {each['own_fits_better']:.3f} | " + " | ".join(cells) + f" | {off} |"
        )
    machine = f"{record['hardware']['cpu']}, {record['hardware']['cores']} cores, {record['hardware']['system']}"
    lines += ["", f"- {', '.join(f'{name} {number}' for name, number in record['versions'].items())}"]
    lines += [f"- Machine: {machine}; {record['seconds']:.0f} s", f"- Command: `{record['command']}`", ""]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, nargs="*", help="data sets besides the generated one")
    parser.add_argument("--scenes", type=int, default=200, help="scenes to generate")
    parser.add_argument("--trials", type=int, default=4_000)
    parser.add_argument("--count", type=int, default=200, help="pictures of a trial, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "shifted.json", help="this JSON, and the page beside it")
    settings = parser.parse_args()
    began = time.perf_counter()
    record: dict[str, Any] = {
        "command": f"python benchmarks/shifted.py {' '.join(each.name for each in settings.sets)} "
        f"--scenes {settings.scenes} --trials {settings.trials} --count {settings.count} --seed {settings.seed}",
        "trials": settings.trials,
        "hardware": hardware(),
        "versions": {
            "python": platform.python_version(),
            "icr": icr.__version__,
            "numpy": np.__version__,
            "pillow": version("pillow"),
        },
        "sets": {},
    }
    with tempfile.TemporaryDirectory(prefix="icr-benchmark-") as work:
        scenes = Path(work) / "scenes"
        generate(scenes, counts={"train": settings.scenes}, seed=settings.seed)
        for source, name in [*((each, each.name) for each in settings.sets), (scenes, "generated scenes")]:
            samples = [sample for split in formats.read(source).splits.values() for sample in split]
            record["sets"][name] = measured(samples, settings.trials, settings.count, settings.seed)
            print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    record["seconds"] = time.perf_counter() - began
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(settings.out, record)
    settings.out.with_suffix(".md").write_text(page(record), encoding="utf-8")
    print(page(record))
    worst = max(
        shares[f"{CERTAIN:g}"]
        for own in record["sets"].values()
        for each in own.values()
        for shares in each["alarms"].values()
    )
    return 1 if worst > CERTAIN + 3 * (CERTAIN / settings.trials) ** 0.5 else 0


if __name__ == "__main__":
    raise SystemExit(main())
