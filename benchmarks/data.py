"""Files checked per second and the memory it takes, against reading them with supervision; pictures drawn per second.

    python benchmarks/data.py                      # 1,000 and 100,000 pictures with labels, 20 drawn of each scene
    python benchmarks/data.py --files 1000 20000 --rounds 3
    python benchmarks/data.py --files --draw svmlp close   # what is not measured stays as stored, with its own run

A YOLO set of small pictures is made, all different, one to four vehicles with a plate in each. Each measurement is a
process of its own, in turn within each round: reading with `icr`, `icr data check` with an empty cache and again with
what the first left there, and `supervision.DetectionDataset.from_yolo`. Reported is the fastest round. Memory is the
high-water mark of the process less what it held after its imports. Without supervision its column stays empty.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import icr
from icr.runs import hardware, write_json

RESULTS = Path(__file__).with_name("results")
READ, FIRST, AGAIN, RIVAL = "icr: read", "icr: first check", "icr: check again", "supervision: from_yolo"
TARGET_FILES, TARGET_SECONDS = 100_000, 60
SCENES, OPTIONS, TARGET_DRAWN = ("road", "rider", "door"), ("svmlp", "crowded", "close"), 5
CONFIG = "train: images/train\nnames: [plate, vehicle]\nrelations: [{child: plate, parent: vehicle}]\n"


def make(root: Path, files: int, seed: int = 0) -> None:
    """Write a YOLO set: pictures of 128 by 96 pixels, at most one vehicle with its plate in each quarter."""
    chance = np.random.default_rng(seed)
    for kind in ("images", "labels"):
        (root / kind / "train").mkdir(parents=True)
    (root / "data.yaml").write_text(CONFIG)
    for number in range(files):
        cells = Image.fromarray(chance.integers(20, 235, (9, 12, 3), np.uint8))
        cells.resize((128, 96)).save(root / f"images/train/{number:06}.jpg", quality=60)
        rows = []
        for quarter in chance.permutation(4)[: chance.integers(1, 5)]:
            width, height = chance.uniform(0.2, 0.4, 2)
            x, y = 0.25 + 0.5 * (quarter % 2), 0.25 + 0.5 * (quarter // 2)
            rows.append(f"0 {x:.6f} {y + height / 4:.6f} {width / 4:.6f} {height / 8:.6f}\n")
            rows.append(f"1 {x:.6f} {y:.6f} {width:.6f} {height:.6f}\n")
        (root / f"labels/train/{number:06}.txt").write_text("".join(rows))


def reading(root: Path) -> Callable[[], int]:
    """Read the set, pairs and all."""
    import torch  # noqa: F401 (what later imports take is no memory of the set)

    from icr.data import formats

    return lambda: sum(map(len, formats.read(root).splits.values()))


def checking(root: Path) -> Callable[[], int]:
    """All that `icr data check` does."""
    import torch  # noqa: F401

    from icr.data import formats
    from icr.data.check import check

    def run() -> int:
        dataset = formats.read(root, skim=True)
        faults = [each for each in check(dataset) if each.severity == "error"]
        assert not faults, faults[0]
        return sum(map(len, dataset.splits.values()))

    return run


def rival(root: Path) -> Callable[[], int]:
    """Read the set with supervision."""
    from supervision import DetectionDataset

    folders = str(root / "images/train"), str(root / "labels/train"), str(root / "data.yaml")
    return lambda: len(DetectionDataset.from_yolo(*folders))


JOBS = {READ: reading, FIRST: checking, AGAIN: checking, RIVAL: rival}


def most_held() -> int:
    """Bytes that this process held at most: on Linux since `forget`, elsewhere since it began."""
    status = Path("/proc/self/status")
    if status.is_file():
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget() -> None:
    """Begin the high-water mark anew, where the system can; imports reach a mark of their own."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def measure(job: str, root: Path) -> dict[str, float]:
    """Run one job in this process, after a run on a few files that imports what it needs."""
    JOBS[job](root.parent / "few")()
    run = JOBS[job](root)
    forget()
    before, began, busy = most_held(), time.perf_counter(), time.process_time()
    files = run()
    return {
        "files": files,
        "seconds": time.perf_counter() - began,
        "processor_seconds": time.process_time() - busy,
        "memory": most_held() - before,
        "memory_of_imports": before,
    }


def apart(job: str, root: Path, cache: Path) -> dict[str, float]:
    """Run one job in a process of its own."""
    command = [sys.executable, __file__, "--measure", job, str(root)]
    done = subprocess.run(command, env={**os.environ, "ICR_CACHE": str(cache)}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{job}: {done.stderr.strip()}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def drawings() -> dict[str, dict[str, Any]]:
    """What `icr data synth` is asked for, with the arguments of `generate` that it means."""
    from icr.data.synth import CROWDED, SVMLP

    scenes: dict[str, dict[str, Any]] = {name: {"scene": name} for name in SCENES}
    return {**scenes, "svmlp": {"close": SVMLP}, "crowded": {"close": CROWDED}, "close": {"close": True}}


def draw(asked: dict[str, Any], images: int, rounds: int, work: Path) -> dict[str, float]:
    """Draw pictures in this process, on one core; the round that took least of the processor."""
    from icr.data.synth import generate

    generate(Path(tempfile.mkdtemp(dir=work)), counts={"train": 1}, workers=1, **asked)
    runs = []
    for _ in range(rounds):
        out = Path(tempfile.mkdtemp(dir=work))
        began, busy = time.perf_counter(), time.process_time()
        generate(out, counts={"train": images}, workers=1, **asked)
        seconds, processor = time.perf_counter() - began, time.process_time() - busy
        runs.append({"images": images, "seconds": seconds, "processor_seconds": processor})
    return min(runs, key=lambda run: run["processor_seconds"])


def rounds_of(root: Path, files: int, rounds: int, jobs: list[str]) -> dict[str, dict[str, float]]:
    """The fastest round of each job, with the least memory of any, on a set of so many files."""
    runs: dict[str, list[dict[str, float]]] = {job: [] for job in jobs}
    for number in range(rounds):
        cache = root.parent / f"cache-{files}-{number}"
        for job in jobs:
            runs[job].append(apart(job, root, cache))
            print(f"{files:,} files, round {number + 1}, {job}: {runs[job][-1]['seconds']:.1f} s", file=sys.stderr)
    assert all(each["files"] == files for job in jobs for each in runs[job])
    return {job: min(each, key=lambda run: run["seconds"]) for job, each in runs.items()}


def table(record: dict[str, Any]) -> str:
    """Rates and memory as Markdown."""
    rows = ["| | " + " | ".join(JOBS) + " |", "|---" * (len(JOBS) + 1) + "|"]
    for files, jobs in record["sets"].items():
        count = int(files)
        shown: Callable[[dict[str, float]], str]
        for what, shown in (
            ("seconds", lambda run: f"{run['seconds']:.1f}"),
            ("processor seconds", lambda run: f"{run['processor_seconds']:.1f}"),
            ("files a second", lambda run: f"{run['files'] / run['seconds']:,.0f}"),
            ("memory, MB", lambda run: f"{run['memory'] / 1e6:,.0f}"),
            ("memory a file, bytes", lambda run: f"{run['memory'] / run['files']:,.0f}"),
        ):
            cells = [shown(jobs[job]) if job in jobs else "absent" for job in JOBS]
            rows.append(f"| {count:,} files: {what} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def provenance(part: dict[str, Any]) -> str:
    """On what, with what and how a part of the result was measured."""
    machine = f"{part['hardware']['cpu']}, {part['hardware']['cores']} cores, {part['hardware']['system']}"
    versions = ", ".join(f"{name} {number}" for name, number in part["versions"].items())
    return f"""- Machine: {machine}; load when it began: {part["load"]}
- {versions}
- Command: `{part["command"]}`"""


def drawn_table(run: dict[str, Any]) -> str:
    """Pictures a second of one run as Markdown, and where they come from."""
    rows = "\n".join(
        f"| `{'--scene ' if name in SCENES else '--'}{name}` | {each['images']} | "
        f"{each['images'] / each['seconds']:.2f} | {each['images'] / each['processor_seconds']:.2f} |"
        for name, each in run["drawn"].items()
    )
    head = "| `icr data synth` | pictures | a second | a second of processor time |\n|---|---|---|---|"
    return f"{head}\n{rows}\n\n{provenance(run)}"


def stored(file: Path, reading: dict[str, Any], drawing: dict[str, Any]) -> dict[str, Any]:
    """What was measured now, and of what is stored in a file whatever was not."""
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"reading": {}, "drawing": []}
    others = [
        {**run, "drawn": {name: each for name, each in run["drawn"].items() if name not in drawing["drawn"]}}
        for run in before["drawing"]
    ]
    runs = [run for run in [*others, drawing] if run["drawn"]]
    return {"reading": reading if reading["sets"] else before["reading"], "drawing": runs}


def page(record: dict[str, Any]) -> str:
    """The result as a page."""
    reading = record["reading"] or {"sets": {}}
    drawn = "\n\n".join(map(drawn_table, record["drawing"]))
    goal = reading["sets"].get(str(TARGET_FILES), {}).get(AGAIN)
    target = (
        f"To reach: {TARGET_FILES:,} files checked in under {TARGET_SECONDS} s after a first pass; "
        f"measured: {goal['seconds']:.1f} s.\n\n"
        if goal
        else ""
    )
    return f"""# Reading and checking data sets, and drawing them

{target}{table(reading)}

{provenance(reading) if reading["sets"] else ""}

Pictures drawn on one core: 1,280 x 720, but --svmlp 1,080 x 1,280 to 1,920 x 1,080 and --close 384 x 288. To reach at
1,280 x 720: {TARGET_DRAWN} a second.

{drawn}

A check reads the labels, decodes every picture to its end (the first time), looks for copies and near-copies, and
holds pairs against geometry. supervision reads boxes and the size of each picture. The pictures are of 128 x 96 pixels
and lie in the memory of the operating system; photographs take longer to decode, but only the first time.
Memory is the high-water mark of the process less what it held after its imports. `icr: read` holds every box and its
file, as training does; a check holds of each picture its packed path, its hashes, its boxes on a coarse grid and a few
numbers, and a few megabytes whatever the size of the set.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="*", default=[1_000, TARGET_FILES], help="none: drawing alone")
    parser.add_argument("--images", type=int, default=20, help="pictures of each scene to draw")
    every = [*SCENES, *OPTIONS]
    parser.add_argument("--draw", nargs="*", default=every, choices=every, help="what to draw; none: reading alone")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS / "data.json", help="this JSON, and the page beside it")
    parser.add_argument("--measure", nargs=2, metavar=("JOB", "FOLDER"), help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.measure:
        print(json.dumps(measure(settings.measure[0], Path(settings.measure[1]))))
        return 0
    versions = {"python": platform.python_version(), "icr": icr.__version__}
    for name in ("numpy", "pillow", "torch", "supervision"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    jobs = [job for job in JOBS if job != RIVAL or versions["supervision"] != "absent"]
    run: dict[str, Any] = {
        "command": f"python benchmarks/data.py {' '.join(['--files', *map(str, settings.files)])} "
        + (f"--draw {' '.join(settings.draw)} " if settings.draw != every else "")
        + f"--images {settings.images} --rounds {settings.rounds}",
        "hardware": hardware(),
        "load": ", ".join(f"{each:.1f}" for each in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown",
        "versions": versions,
    }
    sets: dict[str, Any] = {}
    work = Path(tempfile.mkdtemp(prefix="icr-benchmark-"))
    try:
        make(work / "few", 8, seed=1)
        for files in settings.files:
            make(work / str(files), files)
            sets[str(files)] = rounds_of(work / str(files), files, settings.rounds, jobs)
            shutil.rmtree(work / str(files))
        drawn = {name: draw(drawings()[name], settings.images, settings.rounds, work) for name in settings.draw}
    finally:
        shutil.rmtree(work, ignore_errors=True)
    record = stored(settings.out, {**run, "sets": sets}, {**run, "drawn": drawn})
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(settings.out, record)
    part = settings.out.with_suffix(".md.part")
    part.write_text(page(record), encoding="utf-8")
    part.replace(settings.out.with_suffix(".md"))
    print(page(record))
    slow = sets.get(str(TARGET_FILES), {}).get(AGAIN, {"seconds": 0})["seconds"] > TARGET_SECONDS
    return 1 if slow else 0


if __name__ == "__main__":
    raise SystemExit(main())
