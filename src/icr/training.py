"""One training run, whatever the engine: read the data, settle the relations, train, evaluate, leave a run folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from icr import presets, runs
from icr.detectors import engine, find, load, own_base
from icr.errors import InputError
from icr.training_settings import TrainSettings, check_settings

if TYPE_CHECKING:
    from icr.data.dataset import Dataset
    from icr.metrics.evaluation import Evaluation
    from icr.relations import Relation


def default_out(data: Path, model: str, icr: bool, seed: int) -> Path:
    """The folder of a run that was given none: the same command finds it again.

    Example:
        >>> str(default_out(Path("plates/data.yaml"), "yolo11n", True, 0))
        'runs/plates-yolo11n-icr-seed0'
    """
    resolved = data.resolve()
    name = resolved.parent.name if resolved.suffix in {".yaml", ".yml", ".json"} else resolved.name
    return Path("runs") / f"{name}-{Path(model).stem}-{'icr' if icr else 'baseline'}-seed{seed}"


def train(
    data: Path,
    *,
    model: str,
    relation: Sequence[str] = (),
    weight: float | None = None,
    out: Path | None = None,
    resume: bool = False,
    say: Callable[[str], None] = print,
    **settings: Any,
) -> Evaluation:
    """Train one detector and evaluate it; the work behind `icr train`.

    Args:
        data: a `data.yaml`, a COCO JSON, or a folder in a known format.
        model: see `TrainSettings`.
        relation: as given on the command line, `plate:vehicle`; empty means the data's own.
        weight: λ for all relations; None leaves each relation its own (2.5 unless the data says otherwise).
        out: the run folder, new; None makes one under `runs/`.
        resume: go on where a killed run stopped, with the same settings.
        say: called with what a person should know.
        settings: further fields of `TrainSettings`; no `base`, or None, means the detector's own.

    Returns:
        The evaluation on the test split, or on val where there is no test, also left as `metrics.json`.

    Raises:
        InputError: the data, the relation, the model or a setting cannot be used.
    """
    from icr.data.formats import read

    first = os.environ.get("RANK", "0") == "0"
    say = say if first else _silent
    told: list[str] = []  # said once nothing is left that a look at the command and the data can refuse
    detector = find(model)
    if settings.get("preset") is not None:
        settings = presets.applied(settings["preset"], detector, settings, told.append)
    trust, device = settings.get("trust", False), settings.get("device", "cpu")
    own = own_base(detector, trust)
    check_settings(weight=weight, own=own, **settings)
    if first:
        engine(detector.engine).check_overrides_of(model, settings.get("overrides", {}), trust, device)
    settings["base"] = settings.get("base") or own
    icr = settings.get("icr", True)
    dataset = read(data)
    _require_pictures(dataset)
    relations = _relations(relation, weight, dataset, icr, told.append)
    out = out or default_out(data, model, icr, settings.get("seed", 0))
    asked = TrainSettings(
        model=model, data_yaml=out / "data.yaml", relations=relations, out=out, resume=resume, **settings
    )
    if not first:
        _follow(asked, detector.engine)
    record = _open_run(asked, dataset, data, told.append)
    for each in told:
        say(each)
    if not record.get("trained"):
        try:
            _prepare(asked, dataset, say)
            engine(detector.engine).train(asked)
        except InputError:
            if not (out / runs.LOG).is_file():
                shutil.rmtree(out)  # refused before anything was trained: the folder holds nothing but our preparations
            raise
        runs.write_json(out / runs.RECORD, {**record, "trained": True})
    return _evaluate(asked, dataset, say)


def _require_pictures(dataset: Dataset) -> None:
    for split in ("train", "val"):
        if not dataset.splits.get(split):
            found = ", ".join(f"{name} {len(samples)}" for name, samples in dataset.splits.items()) or "none"
            raise InputError(
                f"{dataset.source}: the {split} split has no usable picture (splits found: {found}); "
                f"training needs train and val; see icr data check {dataset.source}"
            )


def _relations(
    given: Sequence[str], weight: float | None, dataset: Dataset, icr: bool, say: Callable[[str], None]
) -> tuple[Relation, ...]:
    """The relations to train with; training without ICR does without one where none is known."""
    from icr.data.choosing import choose
    from icr.data.pairs import pair
    from icr.relations import resolve

    try:
        chosen = choose(given, dataset)
    except InputError as error:
        if icr or given:
            raise
        say(f"no relation is known, so there will be no pair metrics ({error})")
        return ()
    if chosen.said:
        say(chosen.said)
    relations = tuple(r if weight is None else replace(r, weight=weight) for r in chosen.relations)
    resolved = resolve(relations, dataset.names)
    if icr and not any((pair(sample, resolved).parents >= 0).any() for sample in dataset.splits["train"]):
        raise InputError(
            f"{dataset.source}: not one child of {', '.join(map(str, relations))} in train has a parent, so the "
            f"ICR loss could not act; is the relation the right way round? icr data relations {dataset.source} tells"
        )
    return relations


def _silent(text: str) -> None:
    """What the processes beside the first say."""


def _follow(settings: TrainSettings, name: str) -> NoReturn:
    """Train beside the first of the processes that `torchrun` started, which alone prepares, writes and evaluates.

    Raises:
        SystemExit: the training is over.
    """
    while not settings.data_yaml.is_file():
        time.sleep(0.1)  # should the first refuse the run, torchrun ends this process
    engine(name).train(settings)
    raise SystemExit(0)


def _open_run(settings: TrainSettings, dataset: Dataset, data: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Make the run folder and its record, or take up the one of a killed run; its record is returned."""
    out = settings.out
    asked = {**settings.record(), "data": str(data), "data_fingerprint": runs.fingerprint(dataset)}
    if (out / runs.RECORD).is_file():
        if not settings.resume:
            raise InputError(f"{out} already holds a run; add --resume to go on with it, or give another --out")
        before = runs.read_record(out)
        mattering = {key: value for key, value in asked.items() if key not in ("device", "data")}
        changed = runs.first_difference({key: before.get(key) for key in mattering}, mattering)
        if changed:
            raise InputError(
                f"{out} cannot be resumed with other settings: {changed}; give the same ones, or another --out"
            )
        return before
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} exists and is not a run; nothing is written over: give another --out")
    if settings.resume:
        say(f"{out} holds nothing to resume; starting from the beginning")
    out.mkdir(parents=True, exist_ok=True)
    record = {**asked, **runs.surroundings(), "trained": False}
    runs.write_json(out / runs.RECORD, record)
    return record


def _prepare(settings: TrainSettings, dataset: Dataset, say: Callable[[str], None]) -> None:
    from icr.data.convert import prepare_yolo

    if not settings.data_yaml.is_file():
        prepare_yolo(dataset, settings.out, relations=settings.relations, say=say)


def _evaluate(settings: TrainSettings, dataset: Dataset, say: Callable[[str], None]) -> Evaluation:
    from icr.metrics.evaluation import align, evaluate

    split = "test" if dataset.splits.get("test") else "val"
    samples = dataset.splits[split]
    weights = runs.weights_of(settings.out)
    if weights is None:
        raise InputError(f"{settings.out} holds no weights to evaluate, though its training ended; train anew")
    say(f"evaluating {weights} on {split} ({len(samples)} pictures)")
    predictor = load(weights, settings.device.split(",")[0])
    found = predictor.predict([s.image for s in samples], imgsz=settings.imgsz, batch=settings.batch)
    predictions, remarks = align(list(found), predictor.names, dataset.names)
    for remark in remarks:
        say(remark)
    evaluation = evaluate(samples, dataset.names, predictions, settings.relations, split=split, remarks=remarks)
    runs.write_json(settings.out / runs.METRICS, evaluation.as_json())
    return evaluation
