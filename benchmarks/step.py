"""What the ICR loss costs in a training step with Ultralytics: time and peak memory, as ratios from one run.

    python benchmarks/step.py                      # CPU, yolo11n, 320 px, batch 8
    python benchmarks/step.py --device 0 --imgsz 640 --batch 16

Two networks of the same weights take turns, step by step, on the same batch: one with Ultralytics' loss, one with ICR.
The ratio of a round is that of two neighbouring steps, so that a busy machine slows both; reported is the median over
the rounds. Peak memory is measured in a fresh process for each: the high-water mark of the process on a CPU, of
PyTorch's allocator on a GPU. Loading is measured apart: the same pictures through mosaic and affine, with ids on the
boxes and without.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("YOLO_OFFLINE", "1")

import numpy as np
import torch
import ultralytics
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel
from ultralytics.utils import LOGGER

import icr
from icr.relations import ResolvedRelation
from icr.runs import hardware
from icr.ultralytics.dataset import PARENT, PairedDataset
from icr.ultralytics.loss import related
from icr.ultralytics.settings import BoxLoss

RESULTS = Path(__file__).with_name("results")
RELATIONS = (ResolvedRelation(0, (1,), 2.5),)
TARGET = 1.03


def scene(chance: np.random.Generator, vehicles: int) -> list[tuple[int, float, float, float, float]]:
    """Rows (class, cx, cy, w, h) of a road scene: vehicles, each with a plate, as shares of the picture's sides."""
    rows: list[tuple[int, float, float, float, float]] = []
    for _ in range(vehicles):
        width, height = chance.uniform(0.1, 0.35, 2)
        x, y = chance.uniform(width / 2, 1 - width / 2), chance.uniform(height / 2, 1 - height / 2)
        plate = width * chance.uniform(0.15, 0.3)
        plate_x = x + chance.uniform(-0.3, 0.3) * (width - plate)
        rows += [(0, plate_x, y + 0.25 * height, plate, plate / 3), (1, x, y, width, height)]
    return rows


def batch(size: int, imgsz: int, seed: int, device: torch.device) -> dict[str, Any]:
    """A batch as mosaic makes it: about twelve vehicles with their plates in each picture."""
    chance = np.random.default_rng(seed)
    pictures = [scene(chance, int(chance.integers(8, 17))) for _ in range(size)]
    rows = torch.tensor([row for picture in pictures for row in picture], dtype=torch.float32)
    index = torch.arange(len(rows))
    made = {
        "img": torch.rand(size, 3, imgsz, imgsz, generator=torch.Generator().manual_seed(seed)),
        "batch_idx": torch.tensor([float(at) for at, picture in enumerate(pictures) for _ in picture]),
        "cls": rows[:, :1],
        "bboxes": rows[:, 1:],
        PARENT: torch.where(rows[:, 0] == 0, index + 1, -1),
    }
    return {key: value.to(device) for key, value in made.items()}


def stepper(with_icr: bool, model: str, data: dict[str, Any], seed: int) -> Callable[[], None]:
    """A function that takes one training step."""
    torch.manual_seed(seed)
    network = DetectionModel(f"{model}.yaml", nc=2, verbose=False)
    network.args = get_cfg()
    if with_icr:
        related(network, BoxLoss("ciou", "product", RELATIONS))
    network = network.to(data["img"].device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        network(data)[0].sum().backward()
        optimizer.step()
        if data["img"].is_cuda:
            torch.cuda.synchronize()

    return step


def timed(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare(stock: Callable[[], None], ours: Callable[[], None], rounds: int, warm_up: int = 3) -> dict[str, Any]:
    """Let two actions take turns, each first in every other round."""
    for _ in range(warm_up):
        stock(), ours()
    seconds: dict[str, list[float]] = {"stock": [], "icr": []}
    for turn in range(rounds):
        pair = [("stock", stock), ("icr", ours)]
        for name, action in pair if turn % 2 else reversed(pair):
            seconds[name].append(timed(action))
    ratios = sorted(b / a for a, b in zip(seconds["stock"], seconds["icr"], strict=True))
    return {
        "rounds": rounds,
        "stock_ms": round(1e3 * statistics.median(seconds["stock"]), 2),
        "icr_ms": round(1e3 * statistics.median(seconds["icr"]), 2),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_quartiles": [round(ratios[len(ratios) // 4], 4), round(ratios[(3 * len(ratios)) // 4], 4)],
    }


def peak(options: argparse.Namespace) -> dict[str, Any]:
    """Peak memory of a few steps of each kind, in MiB, in processes that do nothing else; the median of three each."""
    found: dict[str, list[float]] = {"stock": [], "icr": []}
    for _ in range(3):
        for kind in found:
            command = [sys.executable, __file__, "--measure-peak", kind, *options.same]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[kind].append(float(done.stdout.split()[-1]))
    stock, ours = statistics.median(found["stock"]), statistics.median(found["icr"])
    return {"stock_mib": round(stock, 1), "icr_mib": round(ours, 1), "ratio": round(ours / stock, 4)}


def measure_peak(options: argparse.Namespace) -> float:
    data = batch(options.batch, options.imgsz, options.seed, options.at)
    step = stepper(options.measure_peak == "icr", options.model, data, options.seed)
    for _ in range(3):
        step()
    if options.at.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform != "darwin" else 2**20)


def loading(options: argparse.Namespace) -> dict[str, Any]:
    """Time to load and collate a batch."""
    import cv2

    chance = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for kind in ("images", "labels"):
            (root / kind).mkdir()
        for index in range(4 * options.batch):
            cv2.imwrite(str(root / "images" / f"{index}.jpg"), chance.integers(0, 255, (360, 640, 3), dtype=np.uint8))
            rows = scene(chance, int(chance.integers(2, 5)))
            text = "".join(f"{label} {' '.join(f'{value:.6f}' for value in box)}\n" for label, *box in rows)
            (root / "labels" / f"{index}.txt").write_text(text)

        def loader(relations: tuple[ResolvedRelation, ...]) -> Callable[[], None]:
            dataset = PairedDataset(
                img_path=str(root / "images"),
                imgsz=options.imgsz,
                hyp=get_cfg(),
                batch_size=options.batch,
                data={"names": {0: "plate", 1: "vehicle"}, "channels": 3},
                relations=relations,
            )

            def load() -> None:
                random.seed(0), np.random.seed(0)
                dataset.collate_fn([dataset[index] for index in range(options.batch)])

            return load

        return compare(loader(()), loader(RELATIONS), options.rounds)


def table(result: dict[str, Any]) -> str:
    step, memory, load = result["step"], result["memory"], result["loading"]
    kind = f"{result['model']}, {result['imgsz']} px, batch {result['batch']}, {result['device']}"
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    low, high = step["ratio_quartiles"]
    return (
        f"# Cost of ICR in a training step\n\n{kind}; {result['pairs']} pairs in the batch; seed {result['seed']}.\n\n"
        "| | Ultralytics' loss | ICR(CIoU) | ratio |\n|---|---:|---:|---:|\n"
        f"| step (forward, loss, backward, optimizer) | {step['stock_ms']:.1f} ms | {step['icr_ms']:.1f} ms | "
        f"**{step['ratio']:.3f}** (quartiles {low:.3f} to {high:.3f}, {step['rounds']} rounds) |\n"
        f"| peak memory | {memory['stock_mib']:.0f} MiB | {memory['icr_mib']:.0f} MiB | **{memory['ratio']:.3f}** |\n"
        f"| loading a batch (mosaic, affine, collate) | {load['stock_ms']:.1f} ms | {load['icr_ms']:.1f} ms | "
        f"{load['ratio']:.3f} |\n\n"
        f"To reach: {TARGET} for step and memory. A step's ratio varies by a few hundredths on a busy machine; "
        "differences of the medians within the quartiles mean nothing.\n\n"
        f"{result['hardware']['cpu']}, {result['hardware']['cores']} cores, {result['threads']} threads"
        f"{', ' + ', '.join(result['hardware']['gpus']) if result['hardware']['gpus'] else ''}; {versions}; "
        f"`{result['command']}`\n"
    )


def main() -> None:
    """Measure, print the table, and leave it in `results/`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="yolo11n")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="cpu", help="cpu, or a GPU's index")
    parser.add_argument("--rounds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for step.json and step.md")
    parser.add_argument("--measure-peak", choices=("stock", "icr"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    LOGGER.setLevel(logging.ERROR)
    options.at = torch.device(options.device if options.device == "cpu" else f"cuda:{options.device}")
    options.same = [f"--{name}={getattr(options, name)}" for name in ("model", "imgsz", "batch", "device", "seed")]
    if options.measure_peak:
        print(measure_peak(options))
        return
    data = batch(options.batch, options.imgsz, options.seed, options.at)
    kinds = [stepper(with_icr, options.model, data, options.seed) for with_icr in (False, True)]
    result = {
        "command": f"python benchmarks/step.py {' '.join(sys.argv[1:])}".strip(),
        **{name: getattr(options, name) for name in ("model", "imgsz", "batch", "device", "seed")},
        "pairs": int((data[PARENT] >= 0).sum()),
        "step": compare(*kinds, options.rounds),
        "memory": peak(options),
        "loading": loading(options),
        "threads": torch.get_num_threads(),
        "hardware": hardware(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "ultralytics": ultralytics.__version__,
            "icr": icr.__version__,
        },
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "step.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (options.out / "step.md").write_text(table(result), encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
