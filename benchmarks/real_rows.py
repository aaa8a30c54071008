"""Every row of the paper's Table 2, trained for real: train, eval, predict and export as a user types them.

    python benchmarks/real_rows.py plates/                       # all ten rows, 2 epochs, 160 px
    python benchmarks/real_rows.py plates/ --relation plate:car --device 0 --imgsz 640 --epochs 10 yolov9-t uav-detr-r18

Each row is a few commands in processes of their own. What they printed is kept beside the runs, so that a second call
goes on where the first one was stopped; a training that was cut off is resumed. The page lists the commands and their
printed tables. Two epochs from scratch on a small picture show that a detector trains, not what it is worth.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icr import models, runs
from icr.data.formats import read
from icr.runs import hardware, package_versions

RESULTS = Path(__file__).with_name("results") / "real-rows.md"
PRESETS = {"yolo": "paper", "uav-detr": "paper-appendix", "rtdetrv2": "paper-rtdetrv2"}


@dataclass(frozen=True)
class Step:
    """One command: what it is called, and its words."""

    name: str
    words: list[str]


def rows() -> list[str]:
    """The detectors of the ten rows, in the paper's order."""
    return [each.name for each in models.models(with_presets=False) if each.paper]


def preset(name: str) -> str:
    return next(each for start, each in PRESETS.items() if name.startswith(start))


def train_words(name: str, options: argparse.Namespace, out: Path) -> list[str]:
    words = ["train", str(options.data), "--model", name, "--preset", preset(name), "--epochs", str(options.epochs)]
    words += ["--imgsz", str(options.imgsz), "--batch", str(options.batch), "--device", options.device]
    words += ["--relation", options.relation] if options.relation else []
    words += ["--workers", str(options.workers), "--out", str(out)]
    return words + (["--resume"] if (out / runs.RECORD).is_file() else [])


def use_words(name: str, options: argparse.Namespace, out: Path) -> list[Step]:
    """The commands that use what was trained; the pictures to predict are the first of the validation split."""
    weights = runs.weights_of(out)
    exported, device = out.parent / f"{name}.onnx", ["--device", options.device]
    relation = ["--relation", options.relation] if options.relation else []
    pictures = [str(sample.image) for sample in read(options.data).splits["val"][: options.pictures]]
    found, data = ["--conf", "0.001", *device], str(options.data)
    folders = [str(out.parent / f"{name}{ending}") for ending in ("-found", "-found-onnx")]
    measured = ["--split", "val", "--resamples"]
    return [
        Step("eval", ["eval", str(weights), data, *measured, "200", *device]),
        Step("predict", ["predict", str(weights), *pictures, *found, "--out", folders[0]]),
        Step("export", ["export", str(weights), "--format", "onnx", "--out", str(exported)]),
        Step("eval of the ONNX", ["eval", str(exported), data, *measured, "0", *relation]),
        Step("predict with the ONNX", ["predict", str(exported), *pictures, *found, *relation, "--out", folders[1]]),
    ]


def run(step: Step) -> dict[str, Any]:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "icr", *step.words],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "step": step.name,
        "words": step.words,
        "status": done.returncode,
        "seconds": round(time.perf_counter() - began, 1),
        "stdout": done.stdout.strip(),
        "stderr": done.stderr[-3000:],
    }


def row(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run what is missing of a row; what is done is read back."""
    out = options.work / name
    kept = options.work / f"{name}.json"
    done: list[dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else []
    done = [each for each in done if each["status"] == 0]

    def take(step: Step) -> bool:
        if any(each["step"] == step.name for each in done):
            return True
        print(f"{name}: {step.name} …", flush=True)
        done.append(run(step))
        runs.write_json(kept, done)
        if done[-1]["status"]:
            print(f"{name}: {step.name} ended with {done[-1]['status']}: {done[-1]['stderr'][-600:]}", flush=True)
        return not done[-1]["status"]

    if take(Step("train", train_words(name, options, out))):
        all(take(step) for step in use_words(name, options, out))
    return done


def page(found: dict[str, list[dict[str, Any]]], options: argparse.Namespace) -> str:
    """The commands and what they printed, as Markdown."""
    machine, versions = hardware(), package_versions()
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    where = ", ".join(machine["gpus"]) or f"{machine['cpu']}, {machine['cores']} cores"
    lines = [
        "# The ten rows of the paper's Table 2, trained for real",
        "",
        f"`{options.data.name}`, {options.epochs} epochs from scratch at {options.imgsz} px, batch {options.batch}. "
        "This shows that each row trains, is evaluated, predicts and exports; the figures say nothing else.",
        "",
        f"{where}; {told}. Made by `python benchmarks/real_rows.py`.",
        "",
        "Seconds of each command; and of the last epoch the pairs in a batch, the mean containment R of the boxes that "
        "the network gives their children, and the mean factor of their box loss.",
        "",
        "| detector | " + " | ".join(_STEPS) + " | pairs | R | factor |",
        "|---|" + "---:|" * (len(_STEPS) + 3),
    ]
    for name, steps in found.items():
        by_name = {each["step"]: each for each in steps}
        cells = [*(_cell(by_name.get(step)) for step in _STEPS), *_acted(options.work / name / runs.LOG)]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    for name, steps in found.items():
        lines += ["", f"## {name}", ""]
        for each in steps:
            if each["status"]:
                continue
            shown = [
                *each["stdout"].splitlines(),
                *(each["stderr"].splitlines()[-1:] if "predict" in each["step"] else []),
            ]
            told = [line.replace(str(options.data), options.data.name) for line in shown]
            lines += ["```", f"$ {_shown(each['words'], options)}", *told, "```", ""]
    return "\n".join(lines).rstrip() + "\n"


_STEPS = ("train", "eval", "predict", "export", "eval of the ONNX", "predict with the ONNX")


def _cell(step: dict[str, Any] | None) -> str:
    if step is None:
        return "not run"
    return f"failed ({step['status']})" if step["status"] else f"{step['seconds']:.0f} s"


def _acted(log: Path) -> list[str]:
    """Pairs, containment and factor of the last epoch."""
    if not log.is_file():
        return ["-"] * 3
    with log.open(encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    return [f"{float(last[f'train/icr_{column}']):.3g}" for column in ("pairs", "containment", "factor")]


def _shown(words: list[str], options: argparse.Namespace) -> str:
    """A command as a reader types it: without --resume, folders shortened, many pictures as one pattern."""
    pictures = [word for word in words if word.lower().endswith((".jpg", ".jpeg", ".png"))]
    short = [word.replace(str(options.data), options.data.name) for word in words if word != "--resume"]
    if len(pictures) > 1:
        short = [word for word in short if not word.lower().endswith((".jpg", ".jpeg", ".png"))]
        short.insert(2, "PICTURES")
    return " ".join(["icr", *map(shlex.quote, short)])


def main() -> None:
    """Run the rows that are asked for, and write the page after each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="a data set with train and val, such as a data.yaml or a COCO folder")
    parser.add_argument("names", nargs="*", help="detectors; the paper's ten rows if none is named")
    parser.add_argument("--relation", help="child:parent; the data's own if not given")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--imgsz", type=int, default=160)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--pictures", type=int, default=4, help="how many to predict")
    parser.add_argument("--work", type=Path, default=Path("runs/real-rows"), help="where runs and outputs are kept")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the page")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for name in options.names or rows():
        found[name] = row(name, options)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(page(found, options), encoding="utf-8")
    print(f"the page is {options.out}")
    sys.exit(any(each["status"] for steps in found.values() for each in steps))


if __name__ == "__main__":
    main()
