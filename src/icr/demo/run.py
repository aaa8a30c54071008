"""The demo from end to end; each step leaves its result in the folder, so that a killed demo goes on where it was."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from icr import runs
from icr.demo.progress import Progress, chatter_into
from icr.demo.report import Report, Row, headline
from icr.demo.settings import DemoSettings
from icr.errors import InputError
from icr.writing import write_file

RECORD, REPORT, LOG, NETWORK = "demo.json", "report.html", "log.txt", "small.yaml"
OWN = "icr train DATA --relation child:parent --model yolo11n"

_DATA, _BASELINE, _ICR, _LOOK, _REPORT = (
    "making the pictures",
    "training without ICR",
    "training with ICR",
    "looking at the test pictures with both",
    "writing the report",
)
_NOMINAL = {_DATA: 25.0, _BASELINE: 130.0, _ICR: 135.0, _LOOK: 12.0, _REPORT: 4.0}
_ARMS = (("baseline", False, _BASELINE), ("icr", True, _ICR))


@dataclass(frozen=True)
class Outcome:
    """What a finished demo leaves.

    Attributes:
        report: path of the page.
        headline: the result in one sentence.
        rows: the table.
        runs: the two run folders, by name.
        seconds: time each step took, over all the times it was started.
    """

    report: Path
    headline: str
    rows: Sequence[Row]
    runs: dict[str, Path]
    seconds: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "report": str(self.report),
            "headline": self.headline,
            "rows": [asdict(row) for row in self.rows],
            "runs": {name: str(path) for name, path in self.runs.items()},
            "seconds": {step: round(spent, 1) for step, spent in self.seconds.items()},
        }


def run(out: Path, *, seed: int = 0, settings: DemoSettings | None = None) -> Outcome:
    """Make data, train one small network without ICR and with it, compare, and write the page.

    What a run before has finished in the same folder is kept; a training killed in the middle resumes.

    Args:
        out: the folder; new, or one that a killed demo left.
        seed: of the data, the weights and the order of training.
        settings: sizes; None means the demo's own.

    Raises:
        InputError: the folder holds something else, or a demo with another seed or other settings.
    """
    settings = settings or DemoSettings()
    record = _open(out, seed, settings)
    with chatter_into(out / LOG) as stream:
        print(f"everything goes to {out}, the trainings' own words to {out / LOG}", file=stream, flush=True)
        progress = Progress(_NOMINAL, stream)
        try:
            return _steps(out, seed, settings, record, progress)
        finally:
            progress.close()


def _open(out: Path, seed: int, settings: DemoSettings) -> dict[str, Any]:
    if seed < 0:
        raise InputError(f"--seed {seed}: expected a whole number of at least 0")
    asked = json.loads(json.dumps({"seed": seed, "settings": settings.record()}))
    path = out / RECORD
    if path.is_file():
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            before = {key: record[key] for key in asked}
        except (OSError, ValueError, KeyError, TypeError):
            raise InputError(f"{path} is not what icr demo wrote; give another --out") from None
        changed = runs.first_difference(before, asked)
        if changed:
            what = changed if before["seed"] != seed else "it was made with other settings"
            raise InputError(f"{out} holds another demo ({what}), and nothing is written over; give another --out")
        return dict(record)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is no demo; nothing is written over: give another --out")
    out.mkdir(parents=True, exist_ok=True)
    record = {**asked, "seconds": {}}
    runs.write_json(path, record)
    return record


def _steps(out: Path, seed: int, settings: DemoSettings, record: dict[str, Any], progress: Progress) -> Outcome:
    if (out / "data" / "data.yaml").is_file():
        progress.skip(_DATA, "already made")
    else:
        with _timed(out, record, "data"):
            progress.begin(_DATA)
            _make_data(out, seed, settings, progress)
    if not (out / NETWORK).is_file():
        plan = files("icr.demo").joinpath(NETWORK).read_text(encoding="utf-8")
        write_file(out / NETWORK, plan)
    for name, icr, step in _ARMS:
        if (out / name / _CURVE).is_file():
            progress.skip(step, "already done")
            continue
        if (out / name / runs.RECORD).is_file():
            record["resumed"] = True
        with _timed(out, record, name):
            progress.begin(step, max(0, _lines(out / name / "results.csv") - 1) / settings.epochs)
            _train(out, name, icr, seed, settings, progress)
    with _timed(out, record, "report"):
        progress.begin(_LOOK)
        report = _look(out, seed, settings, record)
        progress.begin(_REPORT)
        from icr.demo.page import render

        write_file(out / REPORT, render(report))
    return Outcome(
        report=out / REPORT,
        headline=headline(report),
        rows=report.rows,
        runs={name: out / name for name, _, _ in _ARMS},
        seconds=record["seconds"],
    )


@contextmanager
def _timed(out: Path, record: dict[str, Any], name: str) -> Iterator[None]:
    """Add the time of a step to the record, whether it comes to its end or is interrupted."""
    began = time.monotonic()
    try:
        yield
    finally:
        record["seconds"][name] = record["seconds"].get(name, 0.0) + time.monotonic() - began
        runs.write_json(out / RECORD, record)


def _make_data(out: Path, seed: int, settings: DemoSettings, progress: Progress) -> None:
    from icr.data.synth import generate

    def tell(done: int, total: int) -> None:
        progress.update(done, total, f"picture {done} of {total}")

    generate(out / "data", counts=settings.counts, seed=seed, close=settings.scenes, progress=tell)


_CURVE = "plate_ap50.json"


def _train(out: Path, name: str, icr: bool, seed: int, settings: DemoSettings, progress: Progress) -> None:
    from icr import training

    folder = out / name
    with _watching(folder, settings.epochs, progress):
        training.train(
            out / "data" / "data.yaml",
            model=str(out / NETWORK),
            out=folder,
            resume=(folder / runs.RECORD).is_file(),
            icr=icr,
            imgsz=settings.imgsz,
            epochs=settings.epochs,
            batch=settings.batch,
            seed=seed,
            workers=1,
            overrides=settings.schedule,
        )
    runs.write_json(folder / _CURVE, _ap50_by_epoch(out, folder, settings))
    for checkpoint in (folder / "weights").glob("epoch*.pt"):
        checkpoint.unlink()


@contextmanager
def _watching(folder: Path, epochs: int, progress: Progress) -> Iterator[None]:
    """Tell of each epoch as its line appears in `results.csv`."""
    over = threading.Event()

    def watch() -> None:
        told = -1
        while not over.wait(0.5):
            done = _lines(folder / "results.csv") - 1
            if done > told and done >= 0:
                told = done
                note = f"epoch {done} of {epochs}" if done < epochs else f"{epochs} epochs done, evaluating"
                progress.update(done, epochs, note)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


def _ap50_by_epoch(out: Path, folder: Path, settings: DemoSettings) -> list[float]:
    """Plate AP50 on the validation pictures after each epoch, from the checkpoints kept."""
    from icr.data.formats import read
    from icr.detectors import load
    from icr.metrics.coco import coco_metrics

    dataset = read(out / "data" / "data.yaml", splits=["val"])
    samples = dataset.splits["val"]
    found = []
    for epoch in range(settings.epochs):
        predictor = load(folder / "weights" / f"epoch{epoch}.pt")
        predictions = list(predictor.predict([sample.image for sample in samples], imgsz=settings.imgsz))
        found.append(coco_metrics(samples, dataset.names, predictions).classes[0]["AP50"])
    return found


def _look(out: Path, seed: int, settings: DemoSettings, record: dict[str, Any]) -> Report:
    from icr.data.formats import read
    from icr.data.pairs import pair
    from icr.demo import gather, measure
    from icr.demo.facts import facts
    from icr.detectors import load
    from icr.relations import resolve

    dataset = read(out / "data" / "data.yaml")
    samples = dataset.splits["test"]
    relations = resolve(dataset.relations, dataset.names)
    detectors = {name: load(out / name / "weights" / "best.pt") for name, _, _ in _ARMS}
    found = {
        name: list(detector.predict([sample.image for sample in samples], imgsz=settings.imgsz))
        for name, detector in detectors.items()
    }
    manifest = json.loads((out / "data" / "manifest.json").read_text(encoding="utf-8"))
    light = {Path(entry["image"]).name: entry["light"] for entry in manifest["images"]}
    results = {name: gather.read_results(out / name / "results.csv") for name in detectors}
    by_epoch = {name: json.loads((out / name / _CURVE).read_text(encoding="utf-8")) for name in detectors}
    return Report(
        seed=seed,
        test_pictures=len(samples),
        test_plates=int(sum((sample.labels == 0).sum() for sample in samples)),
        rows=measure.compare(
            samples, dataset.names, relations, found["baseline"], found["icr"], resamples=settings.resamples
        ),
        pictures=[
            gather.picture(
                samples[place],
                pair(samples[place], relations).parents.tolist(),
                light[samples[place].image.name],
                found["baseline"][place],
                found["icr"][place],
                relations,
            )
            for place in gather.chosen(samples, settings.pictures)
        ],
        picture_rule="They are spaced evenly over the test set, whatever the result.",
        curves=gather.curves(results["baseline"], results["icr"], by_epoch["baseline"], by_epoch["icr"]),
        way=gather.way(settings.starts),
        facts=facts(
            seed, settings, record["seconds"], gather.parameters(detectors["icr"]), record.get("resumed", False)
        ),
        again=settings.compare_command(out / "data" / "data.yaml", out / NETWORK, out / "compare"),
        own=OWN,
    )
