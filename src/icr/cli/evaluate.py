"""`icr eval`: what a detector, or a results file of any detector, is worth on a data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from icr.cli.options import Data, Device, Relations, Trust, at_least, score_in_range
from icr.errors import InputError, nearest

if TYPE_CHECKING:
    from icr.data.dataset import Dataset
    from icr.predictions import Predictions, Predictor
    from icr.relations import Relation


def evaluate(
    detector: Annotated[
        Path, typer.Argument(metavar="WEIGHTS|RESULTS.json", help="Trained weights, or a COCO results JSON.")
    ],
    data: Data,
    split: Annotated[str | None, typer.Option(help="Which part of DATA; test if there is one, else val.")] = None,
    relation: Relations = None,
    score: Annotated[float, typer.Option(help="Pair metrics leave out predictions below this score.")] = 0.25,
    imgsz: Annotated[int | None, typer.Option(help="Side of the input, pixels; as in training if not given.")] = None,
    device: Device = None,
    batch: Annotated[int, typer.Option(help="Pictures predicted together.")] = 16,
    resamples: Annotated[int, typer.Option(help="Draws of the pictures behind the intervals; 0: none.")] = 1000,
    save_results: Annotated[
        Path | None, typer.Option(help="Also write the predictions as a COCO results JSON, a new file.")
    ] = None,
    trust: Trust = False,
    json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
) -> None:
    """Measure a detector: COCO AP and AR by class and size, pair metrics, and intervals.

    Example: icr eval runs/plates/weights/best.pt plates/data.yaml

    Example: icr eval results.json coco/ --split val --relation plate:vehicle --json
    """
    from icr import detectors
    from icr.cli.output import answer, answer_json, chatter_on_stderr, say
    from icr.data.formats import read
    from icr.metrics import evaluation
    from icr.metrics.results import read_results, write_results

    with chatter_on_stderr():
        predictor = None
        _check(score=score, imgsz=imgsz, batch=batch, resamples=resamples, save_results=save_results)
        if detector.suffix.lower() != ".json":
            detectors.check_weights(detector)
        elif not detector.is_file():
            raise InputError(f"{detector} is not there; name trained weights, or a COCO results JSON")
        dataset = read(data)
        split = _choose_split(dataset, split)
        relations, remark = _choose_relations(relation or [], dataset, detector)
        if detector.suffix.lower() != ".json":
            predictor = detectors.load(detector, device or detectors.first_device(), trust)
            evaluation.align([], predictor.names, dataset.names)  # refuses where no class is common
        else:
            results = read_results(detector, dataset, split)
        for told in (*_about(dataset, split), remark):
            say(told)
        if predictor is None:
            predictions, remarks = results.predictions, results.said
        else:
            predictions, remarks = _predict(predictor, dataset, split, imgsz, batch)
        for told in remarks:
            say(told)
        if save_results:
            write_results(save_results, dataset, split, predictions)
            say(f"the predictions are in {save_results}")
        evaluated = evaluation.evaluate(
            dataset.splits[split],
            dataset.names,
            predictions,
            relations,
            score=score,
            resamples=resamples,
            split=split,
            remarks=[remark, *remarks],
        )
    if json:
        answer_json(evaluated.as_json())
    else:
        answer(evaluated.as_table())


def _check(*, score: float, imgsz: int | None, batch: int, resamples: int, save_results: Path | None) -> None:
    """Refuse what would only fail after minutes of prediction."""
    from icr.writing import refuse_existing

    score_in_range(score)
    at_least(1, imgsz=imgsz, batch=batch)
    at_least(0, resamples=resamples)
    if save_results:
        refuse_existing(save_results, "--save-results")


def _about(dataset: Dataset, split: str) -> Iterator[str]:
    faulty = sum(finding.severity == "error" for finding in dataset.findings)
    if faulty:
        yield f"{faulty} faulty entries of {dataset.source} are not used; icr data check {dataset.source} names them"
    yield f"evaluating on {split} ({len(dataset.splits[split])} pictures)"


def _choose_split(dataset: Dataset, wanted: str | None) -> str:
    filled = {name: len(samples) for name, samples in dataset.splits.items() if samples}
    listed = ", ".join(f"{name} ({count} pictures)" for name, count in filled.items()) or "none with a usable picture"
    if wanted is not None:
        if wanted not in filled:
            hint = nearest(wanted, filled)
            raise InputError(f"--split {wanted}: {dataset.source} has no such split; it has {listed}{hint}")
        return wanted
    for name in ("test", "val"):
        if name in filled:
            return name
    if len(filled) == 1 and dataset.source.is_file() and dataset.format == "coco":
        return next(iter(filled))  # one JSON holds one set of pictures, whatever it is called
    raise InputError(f"{dataset.source} has neither test nor val; it has {listed}; choose with --split")


def _choose_relations(given: Sequence[str], dataset: Dataset, detector: Path) -> tuple[tuple[Relation, ...], str]:
    """The relations that pair metrics rest on: given, the data's, the run's, or the one that stands out; and why."""
    from icr import runs
    from icr.data.choosing import choose
    from icr.relations import read, resolve

    if given or dataset.relations:
        chosen = choose(given, dataset)
        return chosen.relations, f"pair metrics: {chosen.said}"
    run = runs.of_weights(detector)
    if run is not None:
        where = str(run / runs.RECORD)
        try:
            relations = read(runs.read_record(run).get("relations"), where)
            resolve(relations, dataset.names)
        except InputError:
            relations = ()  # trained on other classes; the data may still say enough
        if relations:
            return relations, f"pair metrics: {'; '.join(map(str, relations))}, as the detector was trained ({where})"
    try:
        chosen = choose((), dataset)
    except InputError as error:
        return (), f"no pair metrics: {error}"
    return chosen.relations, f"pair metrics: {chosen.said}"


def _predict(
    predictor: Predictor, dataset: Dataset, split: str, imgsz: int | None, batch: int
) -> tuple[list[Predictions], list[str]]:
    from icr.cli.output import progress
    from icr.metrics.evaluation import align

    images = [sample.image for sample in dataset.splits[split]]
    found: list[Predictions] = []
    with progress(f"predicting {split}") as report:
        for each in predictor.predict(images, imgsz=imgsz, batch=batch):
            found.append(each)
            report(len(found), len(images))
    return align(found, predictor.names, dataset.names)
