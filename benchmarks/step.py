"""What the ICR loss costs in a training step of each detector: time and peak memory, as ratios from one run.

    python benchmarks/step.py                                  # CPU, yolo11n, 320 px, batch 8
    python benchmarks/step.py --model yolov9-t rtdetrv2-r18    # several
    python benchmarks/step.py --all --budget 40                # the paper's ten rows, 40 seconds of steps for each
    python benchmarks/step.py --all --device 0 --imgsz 640 --batch 32 --amp bf16

Steps with the engine's own loss, as `icr train --no-icr` has it, and with ICR take turns on the same batch and the same
weights in memory. The ratio of a round is that of two neighbouring steps, so that a busy machine slows both; reported
is the median over an even number of rounds, as each kind goes first in every other one. Peak memory is measured in a
fresh process for each: the high-water mark of the process on a CPU, of PyTorch's allocator on a GPU. Loading is
measured apart, for Ultralytics: the same pictures through mosaic and affine, with ids on the boxes and without. A call
adds to what `step.json` holds of the same device, size, batch and precision; a detector that is measured again is
replaced.
"""

from __future__ import annotations

import argparse
import json
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
from stepping import PRECISIONS, RELATIONS, batch, pairs, scene, steppers

from icr.models import models
from icr.relations import ResolvedRelation
from icr.runs import hardware, package_versions, write_json

RESULTS = Path(__file__).with_name("results")
TARGETS = {"cpu": 1.02, "cuda": 1.01}
LEAST_ROUNDS = 6


def timed(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare(
    stock: Callable[[], None], ours: Callable[[], None], rounds: int, budget: float, warm_up: int = 3
) -> dict[str, Any]:
    """Let two actions take turns, each first in every other round, until the rounds or the seconds are used up."""
    end = time.perf_counter() + budget
    for _ in range(warm_up):
        stock(), ours()
        if time.perf_counter() > end - budget / 2:
            break
    seconds: dict[str, list[float]] = {"stock": [], "icr": []}
    for turn in range(rounds):
        if turn >= LEAST_ROUNDS and turn % 2 == 0 and time.perf_counter() > end:
            break
        pair = [("stock", stock), ("icr", ours)]
        for name, action in pair if turn % 2 else reversed(pair):
            seconds[name].append(timed(action))
    ratios = sorted(b / a for a, b in zip(seconds["stock"], seconds["icr"], strict=True))
    return {
        "rounds": len(ratios),
        "stock_ms": round(1e3 * statistics.median(seconds["stock"]), 2),
        "icr_ms": round(1e3 * statistics.median(seconds["icr"]), 2),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_quartiles": [round(ratios[len(ratios) // 4], 4), round(ratios[(3 * len(ratios)) // 4], 4)],
    }


def peak(model: str, options: argparse.Namespace) -> dict[str, Any]:
    """Peak memory of a few steps of each kind, in MiB, in processes that do nothing else; the median of several."""
    found: dict[str, list[float]] = {"stock": [], "icr": []}
    for _ in range(options.peaks):
        for kind in found:
            command = [sys.executable, __file__, "--measure-peak", kind, "--model", model, *options.same]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[kind].append(float(done.stdout.split()[-1]))
    stock, ours = statistics.median(found["stock"]), statistics.median(found["icr"])
    return {"stock_mib": round(stock, 1), "icr_mib": round(ours, 1), "ratio": round(ours / stock, 4)}


def measure_peak(model: str, options: argparse.Namespace) -> float:
    data = batch(options.batch, options.imgsz, options.seed, options.at)
    (step,) = steppers((options.measure_peak == "icr",), model, data, options.seed, options.amp)
    for _ in range(2):
        step()
    if options.at.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform != "darwin" else 2**20)


def loading(options: argparse.Namespace) -> dict[str, Any]:
    """Time to load and collate a batch with Ultralytics."""
    import cv2
    from ultralytics.cfg import get_cfg

    from icr.ultralytics.dataset import PairedDataset

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

        return compare(loader(()), loader(RELATIONS), options.rounds, options.budget)


def measure(model: str, options: argparse.Namespace) -> dict[str, Any]:
    """Time and memory of one detector."""
    data = batch(options.batch, options.imgsz, options.seed, options.at)
    stock, ours = steppers((False, True), model, data, options.seed, options.amp)
    step = compare(stock, ours, options.rounds, options.budget)
    del stock, ours
    return {"pairs": pairs(data), "step": step, "memory": peak(model, options) if options.peaks else None}


def table(result: dict[str, Any]) -> str:
    """The page: one line a detector."""
    target = TARGETS["cpu" if result["device"] == "cpu" else "cuda"]
    setting = f"{result['imgsz']} px, batch {result['batch']}, {result['device']}, {result['amp']}"
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    lines = [
        "# Cost of ICR in a training step",
        "",
        f"A step is forward, loss, backward and optimiser, on {setting}; seed {result['seed']}. Ratios are those of "
        "ICR to the engine's own loss, as `icr train --no-icr` has it; for a step the median over rounds of two "
        "neighbouring steps, with quartiles.",
        "",
        "| detector | own loss, a step | with ICR | ratio | rounds | images/s without, with | peak memory | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for model, found in result["models"].items():
        step, memory = found["step"], found["memory"]
        low, high = step["ratio_quartiles"]
        speeds = ", ".join(f"{1e3 * result['batch'] / step[kind]:.3g}" for kind in ("stock_ms", "icr_ms"))
        peaks = (
            f"{memory['stock_mib']:.0f} → {memory['icr_mib']:.0f} MiB | {memory['ratio']:.3f}" if memory else "- | -"
        )
        lines.append(
            f"| `{model}` | {step['stock_ms']:.0f} ms | {step['icr_ms']:.0f} ms | **{step['ratio']:.3f}** "
            f"({low:.3f} to {high:.3f}) | {step['rounds']} | {speeds} | {peaks} |"
        )
    load = result.get("loading")
    if load:
        lines += [
            "",
            f"Loading a batch with Ultralytics (mosaic, affine, collate): {load['stock_ms']:.1f} ms, with pairs "
            f"{load['icr_ms']:.1f} ms, ratio {load['ratio']:.3f}.",
        ]
    lines += [
        "",
        f"To reach: {target} for step and memory. A step's ratio varies by a few hundredths on a busy machine; "
        "differences of the medians within the quartiles mean nothing. Transformers' own loss computes its IoU term as "
        "a matrix of all pairs, ours pair by pair, so that a ratio below 1 is possible.",
        "",
        f"{result['hardware']['cpu']}, {result['hardware']['cores']} cores, {result['threads']} threads"
        f"{', ' + ', '.join(result['hardware']['gpus']) if result['hardware']['gpus'] else ''}; {versions}; "
        f"`{result['command']}`",
    ]
    return "\n".join(lines) + "\n"


def begun(options: argparse.Namespace) -> dict[str, Any]:
    """What this call adds to: what was measured before in the same setting, on the same machine."""
    setting = {name: getattr(options, name) for name in ("imgsz", "batch", "device", "amp", "seed")}
    setting |= {"threads": torch.get_num_threads(), "hardware": hardware()}
    setting["versions"] = {"python": platform.python_version(), **package_versions()}
    file = options.out / f"{options.name}.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    same = all(before.get(key) == value for key, value in setting.items())
    kept = {key: before[key] for key in ("models", "loading") if same and key in before}
    return {"command": f"python benchmarks/step.py {' '.join(sys.argv[1:])}".strip(), **setting, "models": {}, **kept}


def main() -> None:
    """Measure, print the table, and leave it in `results/`, after each detector."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", nargs="+", default=["yolo11n"])
    parser.add_argument("--all", action="store_true", help="the detectors of the paper's ten rows")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--device", default="cpu", help="cpu, or a GPU's index")
    parser.add_argument("--amp", choices=list(PRECISIONS), default="fp32")
    parser.add_argument("--rounds", type=int, default=120, help="at most")
    parser.add_argument("--budget", type=float, default=120.0, help="seconds of steps for each detector, about")
    parser.add_argument("--peaks", type=int, default=3, help="processes of each kind that measure memory; 0: none")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--name", default="step", help="of the results: NAME.json and NAME.md")
    parser.add_argument("--measure-peak", choices=("stock", "icr"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.at = torch.device(options.device if options.device == "cpu" else f"cuda:{options.device}")
    options.same = [f"--{name}={getattr(options, name)}" for name in ("imgsz", "batch", "device", "amp", "seed")]
    if options.measure_peak:
        print(measure_peak(options.model[0], options))
        return
    result = begun(options)
    options.out.mkdir(parents=True, exist_ok=True)
    for model in [each.name for each in models() if each.paper] if options.all else options.model:
        result["models"][model] = measure(model, options)
        write_json(options.out / f"{options.name}.json", result)
        (options.out / f"{options.name}.md").write_text(table(result), encoding="utf-8")
        print(model, json.dumps(result["models"][model]), flush=True)
    if "loading" not in result:
        result["loading"] = loading(options)
    write_json(options.out / f"{options.name}.json", result)
    (options.out / f"{options.name}.md").write_text(table(result), encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
