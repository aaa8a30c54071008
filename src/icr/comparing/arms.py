"""Runs that are there already: sorting them into two arms, refusing what cannot be compared, saying what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr import runs
from icr.comparing.judging import Say, judge_runs
from icr.comparing.seeds import BASELINE, ICR, SETTINGS
from icr.detectors import DETECTORS
from icr.errors import InputError

if TYPE_CHECKING:
    from icr.metrics.comparison import Comparison


def compare_runs(
    folders: Sequence[Path],
    *,
    data: Path | None = None,
    device: str = "cpu",
    resamples: int = 1000,
    say: Say = print,
) -> Comparison:
    """Judge runs that are there already; the work behind `icr bench compare`.

    Two runs are compared as given, the second against the first. More are sorted into two arms by their settings, and
    paired by seed; the arm of the first one given is the first arm.

    Args:
        folders: run folders.
        data: the data set, None: where the runs say it is.
        device: to predict on, for runs that left no predictions.
        resamples: how often the test pictures are drawn again.
        say: called with what a person should know.

    Raises:
        InputError: a folder is no finished run; the runs rest on different data or splits; they do not make two arms.
    """
    from icr.data.formats import read
    from icr.relations import read as read_relations

    if len(folders) < 2:
        raise InputError(f"{len(folders)} run given; expected two or more, as in icr bench compare RUN_A RUN_B")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("a run is given twice; a run compared with itself, or counted twice, tells nothing")
    records = {folder: _finished(folder) for folder in folders}
    _refuse_different(records)
    pairs, arms, remarks = _arrange(records)
    first = records[pairs[0][0]]
    source = data or Path(str(first.get("data")))
    if not source.exists():
        raise InputError(f"{source}, the data of {pairs[0][0]}, is not there from here; say where it is with --data")
    dataset = read(source)
    if runs.fingerprint(dataset) != first.get("data_fingerprint"):
        raise InputError(f"{source} is not the data that the runs were made on, or has changed since (its fingerprint)")
    relations = read_relations(first.get("relations"), str(pairs[0][0] / runs.RECORD))
    return judge_runs(
        pairs, dataset, relations, arms=arms, device=device, resamples=resamples, remarks=remarks, say=say
    )


def _finished(folder: Path) -> dict[str, Any]:
    record = runs.read_record(folder)
    if not record.get("trained"):
        raise InputError(f"{folder} was not trained to its end; go on with it: icr train … --out {folder} --resume")
    return record


def _refuse_different(records: Mapping[Path, Mapping[str, Any]]) -> None:
    """Refuse runs whose figures cannot stand side by side."""
    first, *others = records
    for other in others:
        if records[other].get("data_fingerprint") != records[first].get("data_fingerprint"):
            told = " and ".join(f"{run} on {records[run].get('data')}" for run in (first, other))
            raise InputError(f"the runs rest on different data (by fingerprint): {told}; only like with like compares")
        splits = {run: _split(run) for run in (first, other)}
        if None not in splits.values() and splits[first] != splits[other]:
            told = " and ".join(f"{run} on {split}" for run, split in splits.items())
            raise InputError(f"the runs were evaluated on different splits: {told}; evaluate both on the same")


def _split(run: Path) -> str | None:
    try:
        found = json.loads((run / runs.METRICS).read_text(encoding="utf-8")).get("split")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _arrange(
    records: Mapping[Path, Mapping[str, Any]],
) -> tuple[list[tuple[Path, Path]], tuple[str, str], list[str]]:
    """Sort runs into pairs; also what the arms are called, and what a person should be told."""
    folders = list(records)
    groups: list[list[Path]] = []
    for folder in folders:
        like = next((group for group in groups if _same_settings(records[group[0]], records[folder])), None)
        if like is None:
            groups.append([folder])
        else:
            like.append(folder)
    if len(folders) == 2:
        groups = [[folders[0]], [folders[1]]]
    if len(groups) != 2:
        raise InputError(_not_two_arms(groups, records))
    by_seed = [_by_seed(group, records) for group in groups]
    remarks = []
    if len(folders) == 2:
        pairs = [(folders[0], folders[1])]
        seeds = [records[folder].get("seed") for folder in folders]
        if seeds[0] != seeds[1]:
            remarks.append(f"not paired: the runs have seeds {seeds[0]} and {seeds[1]}")
    else:
        common = sorted(by_seed[0].keys() & by_seed[1].keys())
        alone = sorted(by_seed[0].keys() ^ by_seed[1].keys())
        if not common:
            raise InputError("the two arms have no seed in common; runs are paired by seed, so give both arms the same")
        if alone:
            remarks.append(f"left out, for only one arm has it: seed {', '.join(map(str, alone))}")
        pairs = [(by_seed[0][seed], by_seed[1][seed]) for seed in common]
    arms, told = _told_apart(records[pairs[0][0]], records[pairs[0][1]])
    return pairs, arms, [*told, *_surroundings([records[run] for pair in pairs for run in pair]), *remarks]


def _mattering(record: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that made a run what it is, seed aside; what the plain loss has no use for is left out."""
    found = {key: record.get(key) for key in SETTINGS}
    if record.get("icr") is False:
        plain = [{**each, "weight": None} for each in record.get("relations") or []]
        found |= {"base": None, "form": None, "relations": plain}
    return found


def _same_settings(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return runs.first_difference(_mattering(one), _mattering(other)) is None


def _by_seed(group: Sequence[Path], records: Mapping[Path, Mapping[str, Any]]) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for folder in group:
        seed = int(records[folder].get("seed", -1))
        if seed in found:
            raise InputError(f"{found[seed]} and {folder} have the same settings and seed {seed}; give one of them")
        found[seed] = folder
    return found


def _not_two_arms(groups: Sequence[Sequence[Path]], records: Mapping[Path, Mapping[str, Any]]) -> str:
    if len(groups) == 1:
        return "all runs have the same settings but for the seed, so there is only one arm; give runs of a second one"
    settings = [_mattering(records[group[0]]) for group in groups]
    with_icr = [each for each in settings if each["icr"] is not False]
    told = []
    for group, own in zip(groups, settings, strict=True):
        varying = [
            f"{key} {_shown(own[key])}"
            for key in own
            if any(own[key] != other[key] for other in (with_icr if key in ("base", "form", "relations") else settings))
            and not (own["icr"] is False and key in ("base", "form", "relations"))
        ]
        told.append(f"{group[0]} ({', '.join(varying)})")
    return f"the runs make {len(groups)} arms by their settings, expected 2: {'; '.join(told)}"


def _told_apart(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[tuple[str, str], list[str]]:
    """What the arms are called, and in which settings they differ."""
    before, after = _mattering(first), _mattering(second)
    differing = [key for key in before if before[key] != after[key]]
    if first.get("icr") is second.get("icr"):
        told = ", ".join(f"{key} {_shown(before[key])} / {_shown(after[key])}" for key in differing)
        return ("A", "B"), [f"A and B differ in: {told or 'no setting at all'}"]
    names = {False: BASELINE, True: ICR}
    arms = names[bool(first.get("icr"))], names[bool(second.get("icr"))]
    with_icr = first if first.get("icr") else second
    remarks = [f"{ICR}: {_loss_of(with_icr)}"]
    besides = [key for key in differing if key not in ("icr", "base", "form", "relations")]
    if _pairing(before) != _pairing(after):
        besides.append("relations")
    if besides:
        told = ", ".join(f"{key} {_shown(before[key])} / {_shown(after[key])}" for key in besides)
        remarks.append(f"they differ in more than ICR, so it alone did not make the difference: {told}")
    detector = DETECTORS.get(str(with_icr.get("model")))
    if with_icr.get("base") != (detector.base if detector else "ciou"):
        remarks.append(f"the baseline has the engine's own loss, not {with_icr.get('base')}: two things differ")
    return arms, remarks


def _pairing(settings: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    return [(each.get("child"), each.get("parent")) for each in settings.get("relations") or []]


def _loss_of(record: Mapping[str, Any]) -> str:
    weights = sorted({float(each.get("weight", 0)) for each in record.get("relations") or []})
    told = ", ".join(f"{weight:g}" for weight in weights)
    return f"base {record.get('base')}, form {record.get('form')}, λ {told}"


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def _surroundings(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name what differs in versions and hardware among the runs."""
    first, told = records[0], []
    for key in ("versions", "hardware"):
        for name in first.get(key) or {}:
            found = list(dict.fromkeys(_shown((record.get(key) or {}).get(name)) for record in records))
            if len(found) > 1:
                told.append(f"{name} {' / '.join(found)}")
    return [f"the runs were not made alike: {'; '.join(told)}"] if told else []
