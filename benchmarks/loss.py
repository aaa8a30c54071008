"""Time ICR(CIoU) and CIoU, forward and backward, against the CIoU losses of torchvision and Ultralytics.

    python benchmarks/loss.py --out benchmarks/results/loss.json

All contenders run in one process on the same boxes, in turn within each round, in an order that changes from round to
round; the figures are each contender's fastest round, which a busy machine disturbs least, and their ratios. The
medians are kept beside them in the JSON. Compiled contenders are compiled once, with dynamic shapes. A step counts as
forward, sum and backward to the predicted boxes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor
from torchvision.ops import complete_box_iou_loss
from ultralytics.utils.metrics import bbox_iou

import icr

PAIRS = (256, 2_048, 16_384, 262_144)
RIVALS = ("torchvision CIoU", "Ultralytics CIoU")
OURS = ("CIoU", "ICR(CIoU)", "CIoU compiled", "ICR(CIoU) compiled")
TARGETS = {  # contender -> pairs -> largest ratio to Ultralytics' CIoU
    "ICR(CIoU)": {256: 1.35, 2_048: 1.35, 16_384: 1.35},
    "ICR(CIoU) compiled": {2_048: 0.6, 16_384: 1.2},
}

Step = Callable[[Tensor, Tensor, Tensor], Tensor]


def boxes(pairs: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions near their targets, as late in a training at 640 px: plates, and the vehicles around them."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(pairs, generator=generator) * (high - low) + low

    width = 30 * torch.exp(0.5 * torch.randn(pairs, generator=generator))
    half = torch.stack((width, width / 3), -1) / 2
    centre = torch.stack((uniform(80, 560), uniform(80, 560)), -1)
    target = torch.cat((centre - half, centre + half), -1)
    shift = torch.randn(pairs, 2, generator=generator) * half * 0.6
    grown = half * torch.exp(0.2 * torch.randn(pairs, 2, generator=generator))
    pred = torch.cat((centre + shift - grown, centre + shift + grown), -1)
    # the plate sits low in the middle of a vehicle five times as wide
    reach = torch.stack((width * 2.5, width * 2), -1)
    middle = centre + torch.stack((uniform(-1, 1) * width, -width * 1.7), -1)
    return pred, target, torch.cat((middle - reach, middle + reach), -1)


def contenders() -> dict[str, Step]:
    """Name every loss under test; each gives the sum over the pairs, in the way its own package offers."""
    ciou_compiled = torch.compile(icr.box_loss, fullgraph=True, dynamic=True)
    icr_compiled = torch.compile(icr.icr_loss, fullgraph=True, dynamic=True)
    return {
        "torchvision CIoU": lambda pred, target, parent: complete_box_iou_loss(pred, target, reduction="sum"),
        "Ultralytics CIoU": lambda pred, target, parent: (1 - bbox_iou(pred, target, xywh=False, CIoU=True)).sum(),
        "CIoU": lambda pred, target, parent: icr.box_loss(pred, target, reduction="sum"),
        "ICR(CIoU)": lambda pred, target, parent: icr.icr_loss(pred, target, parent, reduction="sum"),
        "CIoU compiled": lambda pred, target, parent: ciou_compiled(pred, target, reduction="sum"),
        "ICR(CIoU) compiled": lambda pred, target, parent: icr_compiled(pred, target, parent, reduction="sum"),
    }


def seconds(loss: Step, data: tuple[Tensor, Tensor, Tensor], repeats: int) -> float:
    """Time one step of forward and backward, averaged over a few in a row."""
    pred, target, parent = data
    began = time.perf_counter()
    for _ in range(repeats):
        leaf = pred.detach().requires_grad_(True)
        loss(leaf, target, parent).backward()
    return (time.perf_counter() - began) / repeats


def measure(losses: dict[str, Step], pairs: int, rounds: int, seed: int) -> dict[str, list[float]]:
    """Seconds of a step in every round, for every contender."""
    data = boxes(pairs, seed)
    repeats = max(1, 32_768 // pairs)
    times: dict[str, list[float]] = {name: [] for name in losses}
    for loss in losses.values():
        seconds(loss, data, 3)
    order, chance = list(losses), random.Random(seed)
    for _ in range(rounds):
        chance.shuffle(order)
        for name in order:
            times[name].append(seconds(losses[name], data, repeats))
    return times


def agreement(seed: int) -> float:
    """Largest difference of our CIoU, eager and compiled, from Ultralytics': no one wins by computing less."""
    pred, target, _ = boxes(4_096, seed)
    reference = 1 - bbox_iou(pred, target, xywh=False, CIoU=True).squeeze(-1)
    compiled = torch.compile(icr.box_loss, fullgraph=True, dynamic=True)
    return max((loss(pred, target) - reference).abs().max().item() for loss in (icr.box_loss, compiled))


def table(seconds_of: dict[int, dict[str, float]]) -> str:
    """Times of the rivals and ratios of ours to Ultralytics' CIoU, as Markdown."""
    rows = ["| loss | " + " | ".join(f"{pairs:,}" for pairs in seconds_of) + " |", "|---" * (len(seconds_of) + 1) + "|"]
    for name in RIVALS:
        rows.append(
            f"| {name}, µs | " + " | ".join(f"{times[name] * 1e6:,.0f}" for times in seconds_of.values()) + " |"
        )
    for rival in reversed(RIVALS):
        for name in OURS:
            cells = []
            for pairs, times in seconds_of.items():
                ratio = times[name] / times[rival]
                goal = TARGETS.get(name, {}).get(pairs) if rival == "Ultralytics CIoU" else None
                cells.append(f"{ratio:.2f}" + (f" (≤ {goal})" if goal else ""))
            rows.append(f"| {name} / {rival} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def processor() -> str:
    """Model name of the processor where the system tells, else its kind."""
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write this JSON, and the table beside it as .md")
    parser.add_argument("--pairs", type=int, nargs="+", default=list(PAIRS))
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args()
    torch.set_num_threads(1)

    losses = contenders()
    difference = agreement(settings.seed)
    assert math.isfinite(difference) and difference < 1e-4, f"the CIoU losses disagree by {difference}"
    rounds = {pairs: measure(losses, pairs, settings.rounds, settings.seed) for pairs in settings.pairs}
    fastest = {pairs: {name: min(values) for name, values in times.items()} for pairs, times in rounds.items()}
    medians = {
        pairs: {name: statistics.median(values) for name, values in times.items()} for pairs, times in rounds.items()
    }
    text = table(fastest)
    print(text)

    missed = [
        f"{name} at {pairs:,} pairs: {fastest[pairs][name] / fastest[pairs]['Ultralytics CIoU']:.2f}, target {goal}"
        for name, goals in TARGETS.items()
        for pairs, goal in goals.items()
        if pairs in fastest and fastest[pairs][name] > goal * fastest[pairs]["Ultralytics CIoU"]
    ]
    for line in missed:
        print("missed:", line, file=sys.stderr)
    if settings.out:
        write(settings.out, settings, fastest, medians, difference, text)
    return 1 if missed else 0


def write(
    out: Path,
    settings: argparse.Namespace,
    fastest: dict[int, dict[str, float]],
    medians: dict[int, dict[str, float]],
    difference: float,
    text: str,
) -> None:
    """Keep the figures with all that is needed to judge and repeat them."""
    packages = {name: version(name) for name in ("torch", "torchvision", "ultralytics")}
    command = f"python benchmarks/loss.py --out {settings.out} --rounds {settings.rounds} --seed {settings.seed}"
    hardware = {"processor": processor(), "cores": os.cpu_count(), "threads": 1, "system": platform.platform()}
    record = {
        "command": command,
        "hardware": hardware,
        "python": platform.python_version(),
        "packages": packages,
        "seed": settings.seed,
        "rounds": settings.rounds,
        "largest_difference_from_ultralytics": difference,
        "fastest_seconds": {str(pairs): times for pairs, times in fastest.items()},
        "median_seconds": {str(pairs): times for pairs, times in medians.items()},
        **{
            f"ratio_to_ultralytics_{kind}": {
                str(pairs): {name: times[name] / times["Ultralytics CIoU"] for name in times}
                for pairs, times in chosen.items()
            }
            for kind, chosen in (("fastest", fastest), ("median", medians))
        },
    }
    page = f"""# ICR(CIoU) and CIoU, forward and backward, on one CPU thread

Columns are pairs of boxes; rows are ratios of the fastest rounds in one run, with the target in brackets
(the ratios of the medians are in the JSON). "Compiled" is
`torch.compile(fullgraph=True, dynamic=True)`; the rivals run eagerly, as their packages do.

{text}

- Hardware: {hardware["processor"]}, {hardware["cores"]} cores, 1 thread used; {hardware["system"]}
- Python {platform.python_version()}, {", ".join(f"{name} {number}" for name, number in packages.items())}
- float32, seed {settings.seed}, {settings.rounds} interleaved rounds, the fastest of each contender
- Largest difference of our CIoU from Ultralytics' on 4,096 pairs: {difference:.1e}
- Command: `{command}`

Not meaningful: the times themselves (the machine was shared), and any ratio as a share of training: the loss is under a
thousandth of a training step.
"""
    for path, content in ((out, json.dumps(record, indent=2) + "\n"), (out.with_suffix(".md"), page)):
        temporary = path.with_name(path.name + ".partial")
        temporary.write_text(content)
        temporary.replace(path)


if __name__ == "__main__":
    raise SystemExit(main())
