"""Both arms on several seeds: running what is not finished, then judging."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr import resumption, runs, training
from icr.comparing.judging import Say, judge_runs
from icr.errors import InputError
from icr.training_settings import TrainSettings, check_settings
from icr.writing import write_file

if TYPE_CHECKING:
    from icr.metrics.comparison import Comparison
    from icr.relations import Relation

COMPARISON = "comparison.json"
TABLE = "comparison.md"

BASELINE, ICR = "baseline", "ICR"

SETTINGS = ("model", "relations", "base", "form", "icr", "imgsz", "epochs", "batch", "overrides")
"""What `run.json` says of a run that makes it what it is, the seed aside."""


@dataclass(frozen=True)
class Cell:
    """One run of a comparison.

    Attributes:
        seed: of the weights and of the order and augmentation of the data.
        arm: `baseline` or `ICR`.
        folder: the run folder.
        settings: what sets its arm apart, as arguments of `icr.training.train`.
    """

    seed: int
    arm: str
    folder: Path
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What became of a comparison.

    Attributes:
        comparison: None where not a single seed has both its runs.
        failures: for each run that failed, its folder and why.
        record: all of it as plain values, what `comparison.json` holds.
    """

    comparison: Comparison | None
    failures: tuple[tuple[Path, str], ...]
    record: dict[str, Any]


def default_out(data: Path, model: str) -> Path:
    """The folder of a comparison that was given none: the same command finds it again.

    Example:
        >>> str(default_out(Path("plates/data.yaml"), "yolo11n"))
        'runs/plates-yolo11n-compare'
    """
    return Path(str(training.default_out(data, model, True, 0)).removesuffix("-icr-seed0") + "-compare")


def cells(seeds: Sequence[int], out: Path, base: str | None = None, own: str = "ciou") -> list[Cell]:
    """The runs of a comparison: both arms of one seed together, seed by seed.

    With the base that the detector has itself (`own`), the baseline is its own loss, untouched. With another it is that
    base with λ = 0, so that ICR alone makes the difference.

    Example:
        >>> [str(cell.folder) for cell in cells([0, 1], Path("runs/a"))]
        ['runs/a/seed0-baseline', 'runs/a/seed0-icr', 'runs/a/seed1-baseline', 'runs/a/seed1-icr']
    """
    # λ and form mean nothing to the plain loss; left as they are by default, they cannot make its runs look different.
    untouched = base is None or base == own
    plain = {"icr": not untouched, "weight": None if untouched else 0.0, "form": "product"}
    return [
        Cell(seed, arm, out / f"seed{seed}-{arm.lower()}", settings)
        for seed in seeds
        for arm, settings in ((BASELINE, plain), (ICR, {"icr": True}))
    ]


def compare_seeds(
    data: Path,
    *,
    model: str,
    seeds: Sequence[int],
    out: Path,
    relation: Sequence[str] = (),
    weight: float | None = None,
    resamples: int = 1000,
    train: Callable[..., object] | None = None,
    say: Say = print,
    **settings: Any,
) -> Outcome:
    """Train baseline and ICR on each seed, then judge; the work behind `icr compare`.

    Runs that are finished are not run again, and a killed one goes on, so the same command takes up the work wherever
    it stopped. A run that fails is reported, and the rest goes on. `comparison.json` and `comparison.md` are left in
    `out`.

    Args:
        data: a `data.yaml`, a COCO JSON, or a folder in a known format.
        model: a detector's name, or a file.
        seeds: the seeds, each for one run of either arm.
        out: folder of the comparison; each run gets one below it.
        relation: as given on the command line; empty means the data's own.
        weight: λ; None leaves each relation its own.
        resamples: how often the test pictures are drawn again.
        train: trains one run; None: `icr.training.train`.
        say: called with what a person should know.
        settings: further arguments of `train`.

    Raises:
        InputError: the data, the relation, the model or a setting cannot be used, or `out` holds runs made with other
            settings.
    """
    from icr.data.choosing import choose
    from icr.data.formats import read
    from icr.detectors import find, own_base
    from icr.relations import resolve

    detector = find(model)
    own = own_base(detector)
    check_settings(weight=weight, own=own, **settings)
    settings["base"] = settings.get("base") or own
    dataset = read(data)
    chosen = choose(relation, dataset)
    resolve(chosen.relations, dataset.names)
    if chosen.said:
        say(chosen.said)
    asked = {"model": model, "relation": tuple(relation), "weight": weight, **settings}
    planned = cells(seeds, out, settings["base"], own)
    for cell in planned:
        _refuse_other_settings(cell, asked, chosen.relations, runs.fingerprint(dataset))
    failures = _run(planned, data, asked, train or training.train, say)
    failed = {folder for folder, _ in failures}
    complete = [
        (first.folder, second.folder)
        for first, second in zip(planned[::2], planned[1::2], strict=True)
        if not failed & {first.folder, second.folder}
    ]
    record: dict[str, Any] = {"failures": [{"run": str(folder), "error": error} for folder, error in failures]}
    if not complete:
        return Outcome(None, failures, {"verdict": None, **record})
    comparison = judge_runs(
        complete,
        dataset,
        chosen.relations,
        arms=(BASELINE, ICR),
        device=str(settings.get("device", "cpu")),
        resamples=resamples,
        remarks=[*_looked_before(out, len(complete)), *_interrupted(out, complete)],
        say=say,
    )
    record |= {
        **comparison.as_json(),
        "data": str(data),
        "data_fingerprint": runs.fingerprint(dataset),
        "settings": {arm: _recorded(run) for arm, run in zip((BASELINE, ICR), complete[0], strict=True)},
        "runs": [[str(run) for run in pair] for pair in complete],
    }
    runs.write_json(out / COMPARISON, record)
    write_file(out / TABLE, comparison.as_markdown())
    return Outcome(comparison, failures, record)


def _run(
    planned: Sequence[Cell], data: Path, asked: Mapping[str, Any], train: Callable[..., object], say: Say
) -> tuple[tuple[Path, str], ...]:
    """Run what is not finished; returns what failed."""
    waiting = [cell for cell in planned if not _is_finished(cell.folder)]
    if len(waiting) < len(planned):
        say(f"{len(planned) - len(waiting)} of {len(planned)} runs are finished and stay as they are")
    failures, seconds = [], list[float]()
    for place, cell in enumerate(waiting):
        left = f" (about {_duration(sum(seconds) / len(seconds) * (len(waiting) - place))} left)" if seconds else ""
        number = len(planned) - len(waiting) + place + 1
        say(f"run {number} of {len(planned)}: seed {cell.seed}, {cell.arm}, in {cell.folder}{left}")
        resume = (cell.folder / runs.RECORD).is_file()
        begun = time.monotonic()
        try:
            train(
                data, **{**asked, **cell.settings, "seed": cell.seed, "out": cell.folder, "resume": resume, "say": say}
            )
        except InputError:
            raise
        except Exception as error:
            told = f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
            say(f"{cell.folder} failed: {told}; the rest goes on, and the same command tries this run again")
            failures.append((cell.folder, told))
            continue
        seconds.append(time.monotonic() - begun)
    return tuple(failures)


def _is_finished(folder: Path) -> bool:
    return (
        (folder / runs.RECORD).is_file()
        and bool(runs.read_record(folder).get("trained"))
        and (folder / runs.METRICS).is_file()
    )


def _refuse_other_settings(
    cell: Cell, asked: Mapping[str, Any], relations: Sequence[Relation], fingerprint: str
) -> None:
    """Refuse a run folder made with other settings, before hours are spent on the others."""
    if not (cell.folder / runs.RECORD).is_file():
        return
    own = {key: value for key, value in {**asked, **cell.settings}.items() if key not in ("relation", "weight")}
    weight = {**asked, **cell.settings}.get("weight")
    weighted = tuple(relations if weight is None else (replace(each, weight=weight) for each in relations))
    settings = TrainSettings(
        data_yaml=cell.folder / "data.yaml", relations=weighted, out=cell.folder, **{**own, "seed": cell.seed}
    )
    now = {**settings.record(), "data_fingerprint": fingerprint}
    now.pop("device")
    before = runs.read_record(cell.folder)
    changed = runs.first_difference({key: before.get(key) for key in now}, now)
    if changed:
        raise InputError(f"{cell.folder} was made with other settings: {changed}; give the same, or another --out")


def _recorded(folder: Path) -> dict[str, Any]:
    record = runs.read_record(folder)
    return {key: record.get(key) for key in (*SETTINGS, "versions", "hardware")}


def _looked_before(out: Path, pairs: int) -> list[str]:
    """Say when verdicts were already drawn here from fewer seeds."""
    try:
        before = json.loads((out / COMPARISON).read_text(encoding="utf-8"))
        fewer = len(before["seeds"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    if fewer >= pairs:
        return []
    drawn = f"a verdict was drawn here from {fewer} pair{'' if fewer == 1 else 's'} of runs before"
    return [
        f"{drawn}: looking again and again finds differences that are not there; new seeds in a new --out "
        "(--first-seed), their number fixed beforehand, are clean"
    ]


def _interrupted(out: Path, pairs: Sequence[tuple[Path, Path]]) -> list[str]:
    """Say which runs went on after an interruption in another way than they would have without it.

    A run that went on exactly is the run that it would have been, and needs no word.
    """
    told = [(run.relative_to(out), resumption.reasons(run)) for pair in pairs for run in pair]
    inexact = [f"{run} ({'; '.join(reasons)})" for run, reasons in told if reasons]
    if not inexact:
        return []
    return [f"interrupted and not gone on exactly, so no longer treated as its pair: {', '.join(inexact)}"]


def _duration(seconds: float) -> str:
    """A time in words.

    Example:
        >>> _duration(42), _duration(600), _duration(9000)
        ('1 min', '10 min', '2.5 h')
    """
    return f"{max(round(seconds / 60), 1)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
