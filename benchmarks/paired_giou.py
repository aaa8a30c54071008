"""The box term of Transformers' RT-DETR computed pair by pair, against upstream's diagonal of the N·N matrix.

    python benchmarks/paired_giou.py                       # CPU, one thread
    python benchmarks/paired_giou.py --device cuda         # a GPU

Each contender runs `loss_boxes` (L1 and IoU term), forward and backward, on the same matched boxes. The contenders take
turns, so that a busy machine slows all; reported are ratios of the fastest rounds in one run. Peak memory is what a
call adds to the process (on a CPU, in a fork of its own, before anything large was allocated) or to PyTorch's
allocator. On a CPU the processor's time of the process counts, which hardly depends on what else the machine does.

The last row is the whole loss of a training step as RT-DETRv2-R18 makes it (matching, class and box terms of 1 + 2 + 1
+ 3 parts, forward and backward), on recorded outputs of the network.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers.loss.loss_rt_detr import RTDetrForObjectDetectionLoss, RTDetrLoss

from icr.runs import hardware
from icr.transformers import build, loss_function
from icr.transformers.criterion import RelationalRTDetrLoss

RESULTS = Path(__file__).with_name("results")
PAIRS = (32, 128, 512, 2048)
NAMES = ["plate", "vehicle"]
CONTENDERS = ("upstream", "paired", "paired with ICR")


def boxes(count: int, chance: torch.Generator) -> tuple[Tensor, Tensor]:
    """Predicted and true boxes (count, 4), cxcywh: every second one a plate, the next one its vehicle."""
    vehicle = torch.cat((torch.rand(count // 2, 2, generator=chance), torch.full((count // 2, 2), 0.2)), -1)
    plate = torch.cat((vehicle[:, :2], torch.full((count // 2, 2), 0.05)), -1)
    truth = torch.stack((plate, vehicle), 1).flatten(0, 1)
    return (truth + 0.03 * torch.randn(count, 4, generator=chance)).clamp(0.01, 1), truth


def box_terms(count: int, device: str, seed: int) -> dict[str, Callable[[], float]]:
    """For each contender a call that computes the box terms of `count` matched pairs, forward and backward."""
    pred, truth = boxes(count, torch.Generator().manual_seed(seed))
    pictures = 4
    per = count // pictures
    labels = [
        {
            "boxes": truth[i * per : (i + 1) * per].to(device),
            "class_labels": torch.tensor([0, 1] * (per // 2), device=device),
            "parent": torch.tensor([each for k in range(0, per, 2) for each in (k + 1, -1)], device=device),
        }
        for i in range(pictures)
    ]
    indices = [(torch.arange(per), torch.arange(per)) for _ in range(pictures)]
    outputs = {"pred_boxes": pred.reshape(pictures, per, 4).to(device).requires_grad_()}
    model = build("rtdetrv2-r18", NAMES)

    def call(criterion: Any) -> Callable[[], float]:
        def run() -> float:
            outputs["pred_boxes"].grad = None
            terms = criterion.loss_boxes(outputs, labels, indices, float(count))
            loss = sum(terms.values())
            loss.backward()
            return float(loss.detach())

        return run

    made = {"upstream": call(RTDetrLoss(model.config))}
    for name, on in (("paired", False), ("paired with ICR", True)):
        criterion = RelationalRTDetrLoss(model.config)
        criterion.icr = loss_function(model, "plate:vehicle", main=on)
        criterion._parts, criterion._truth = {id(outputs): "main"}, criterion.icr.truth(labels)
        made[name] = call(criterion)
    return made


def whole_loss(device: str, seed: int, batch: int, each: int) -> dict[str, Callable[[], float]]:
    """For each contender a call that computes the loss of a step of R18 on recorded outputs, forward and backward."""
    torch.manual_seed(seed)
    model = build("rtdetrv2-r18", NAMES).to(device)
    recorded: list[Any] = []

    def record(*args: Any, **kwargs: Any) -> Any:
        recorded[:] = args, kwargs
        return RTDetrForObjectDetectionLoss(*args, **kwargs)

    model.loss_function = record
    labels = []
    for _ in range(batch):
        _, truth = boxes(each, torch.Generator().manual_seed(seed + len(labels)))
        labels.append({"boxes": truth.to(device), "class_labels": torch.tensor([0, 1] * (each // 2), device=device)})
    with torch.no_grad():
        model(torch.rand(batch, 3, 160, 160, device=device), labels=labels)
    args, kwargs = recorded
    inputs: list[Tensor] = []

    def leaf(value: Any) -> Any:
        if not (isinstance(value, Tensor) and value.is_floating_point()):
            return value
        inputs.append(value.detach().clone().requires_grad_())
        return inputs[-1]

    args, kwargs = [leaf(value) for value in args], {name: leaf(value) for name, value in kwargs.items()}

    def call(function: Callable[..., Any]) -> Callable[[], float]:
        def run() -> float:
            for each_input in inputs:
                each_input.grad = None
            loss, *_ = function(*args, **kwargs)
            loss.backward()
            return float(loss.detach())

        return run

    off = {"main": False, "auxiliary": False, "encoder": False, "denoising": False}
    return {
        "upstream": call(RTDetrForObjectDetectionLoss),
        "paired": call(loss_function(model, "plate:vehicle", **off)),
        "paired with ICR": call(loss_function(model, "plate:vehicle")),
    }


def fastest(calls: dict[str, Callable[[], float]], rounds: int, device: str) -> dict[str, dict[str, float]]:
    """Milliseconds of each contender, fastest and median, over rounds in which they take turns."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(rounds + 2):
        for name, call in calls.items():
            start = clock()
            call()
            if device != "cpu":
                torch.cuda.synchronize()
            if round_ >= 2:
                spent[name].append((clock() - start) * 1e3)
    return {name: {"fastest": min(each), "median": statistics.median(each)} for name, each in spent.items()}


def peak_mib(call: Callable[[], float], warm: Callable[[], float], device: str) -> float:
    """MiB that one call adds at its peak."""
    if device != "cpu":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        warm()  # pages shared with the parent are copied on the first touch, which is no cost of the call
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
        before = _status("VmRSS")
        call()
        os.write(writing, str(_status("VmHWM") - before).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return max(float(pipe.read()) / 1024, 0.0)


def _status(key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


def measure(device: str, rounds: int, seed: int, batch: int, each: int) -> list[dict[str, Any]]:
    """All rows."""
    calls = {f"loss_boxes, {count} pairs": box_terms(count, device, seed) for count in PAIRS}
    calls[f"whole loss of R18, batch {batch}, {each} boxes a picture"] = whole_loss(device, seed, batch, each)
    small = calls[f"loss_boxes, {PAIRS[0]} pairs"]["paired"]
    peaks = {
        what: {name: peak_mib(call, small, device) for name, call in contenders.items()}
        for what, contenders in calls.items()
    }
    rows = []
    for what, contenders in calls.items():
        losses = {name: call() for name, call in contenders.items()}
        slow = "whole" in what or str(PAIRS[-1]) in what
        rows.append(
            {
                "what": what,
                "ms": fastest(contenders, max(rounds // (4 if slow else 1), 5), device),
                "peak_mib": peaks[what],
                "difference": abs(losses["paired"] - losses["upstream"]) / losses["upstream"],
            }
        )
    return rows


def page(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        f"# Paired GIoU against the N·N matrix, {result['device']}",
        "",
        "Forward and backward. Speed-up: upstream's fastest round over ours, in one run. Peak: MiB that a call adds.",
        "",
        "| | upstream, ms | paired | speed-up | with ICR | speed-up | upstream, peak MiB | paired | with ICR |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["rows"]:
        ms = {name: row["ms"][name]["fastest"] for name in CONTENDERS}
        peak = row["peak_mib"]
        lines.append(
            f"| {row['what']} | {ms['upstream']:.2f} | {ms['paired']:.2f} | **{ms['upstream'] / ms['paired']:.2f}** | "
            f"{ms['paired with ICR']:.2f} | {ms['upstream'] / ms['paired with ICR']:.2f} | {peak['upstream']:.1f} | "
            f"{peak['paired']:.1f} | {peak['paired with ICR']:.1f} |"
        )
    largest = max(row["difference"] for row in result["rows"])
    machine = result["hardware"]
    lines += [
        "",
        f"- Largest relative difference of a sum from upstream's, without ICR: {largest:.1e}",
        f"- Hardware: {', '.join(machine['gpus']) or machine['cpu']}, {machine['cores']} cores, "
        f"{result['threads']} thread used; {machine['system']}",
        f"- Python {platform.python_version()}, torch {result['torch']}, transformers {result['transformers']}; "
        f"float32, seed {result['seed']}, {result['rounds']} rounds (a quarter for 2,048 pairs and for the whole)",
        f"- Command: `{result['command']}`",
        "",
        "The class term and the matcher of upstream build N·N matrices of their own, which stay as they are: hence the",
        "smaller gain in the whole loss. Not meaningful: the times themselves (the machine was shared), differences of",
        "a tenth between the two paired columns, and peaks of a few MiB, which fit into memory that was there already.",
        "",
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and leave `results/paired_giou.{md,json}`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--boxes", type=int, default=20, help="in each picture of the whole loss")
    parser.add_argument("--out", type=Path, default=RESULTS / "paired_giou.json")
    asked = parser.parse_args(argv)
    torch.set_num_threads(1)
    rows = measure(asked.device, asked.rounds, asked.seed, asked.batch, asked.boxes)
    result = {
        "device": asked.device,
        "rows": rows,
        "hardware": hardware(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "seed": asked.seed,
        "rounds": asked.rounds,
        "command": " ".join(["python", "benchmarks/paired_giou.py", *(sys.argv[1:] if argv is None else argv)]),
    }
    asked.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    asked.out.with_suffix(".md").write_text(page(result), encoding="utf-8")
    print(page(result))


if __name__ == "__main__":
    main()
