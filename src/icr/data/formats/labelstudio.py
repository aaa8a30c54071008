"""Label Studio's JSON: a list of tasks, coordinates in percent; a pair is a relation between two regions."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from icr.data.dataset import NO_PARENT, UNSTATED, Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.annotating import Export, Pictures, looks_like_tasks
from icr.data.formats.json_values import is_whole, load
from icr.data.formats.labelstudio_results import Region, Results
from icr.data.formats.labelstudio_write import FILE, write
from icr.data.formats.notes import NOTES, read_notes
from icr.data.formats.objects import Corners, Object
from icr.data.formats.registry import Format, register
from icr.data.formats.splits import split_of
from icr.data.formats.text import counted, is_text, shown
from icr.data.pictures import Header, is_picture
from icr.errors import InputError

_EXPECTED = "expected Label Studio's JSON: a list of tasks with data and annotations"
_UPLOADED = re.compile(r"^[0-9a-f]{8}-")


def find_file(source: Path) -> Path | None:
    """The JSON that a source is, or the only one it holds besides notes; None when it is not one of Label Studio's."""
    if source.is_dir():
        own = [each for each in sorted(source.glob("*.json")) if looks_like_tasks(each)]
        usual = [each for each in own if each.name != FILE]  # an export lies beside the tasks it came from
        return usual[0] if len(usual) == 1 else own[0] if len(own) == 1 else None
    return source if looks_like_tasks(source) else None


@dataclass
class _Task:
    """A task whose annotation is used."""

    called: str
    data: dict[str, Any]
    regions: list[Region]
    links: list[dict[str, Any]]
    attributes: dict[str, Any]
    size: tuple[int, int] | None


def read(source: Path, splits: Sequence[str] | None = None) -> Dataset:
    """Read Label Studio's JSON.

    Raises:
        InputError: there is no such file, or it is no JSON of this format.
    """
    file = find_file(source) if source.is_dir() else source
    if file is None:
        raise InputError(f"{source} holds no Label Studio JSON, or several; {_EXPECTED}; name the file itself")
    file = Path(os.path.abspath(file))  # noqa: PTH100 (links stay as they are)
    content = _open(file)
    notes = read_notes(file.parent)
    findings: list[Finding] = []
    tasks = [task for place, each in enumerate(content) if (task := _task(each, place, file, findings)) is not None]
    names = notes.names or sorted({region.label for task in tasks for region in task.regions})
    if not names:
        faults = [each.message for each in findings if each.severity != "info"]
        raise InputError(f"{file}: not one rectangle can be used{'; ' if faults else ''}{'; '.join(faults[:1])}")
    pairs = notes.pairs or _drawn_pairs(tasks)
    export = Export(source, "labelstudio", file, names, pairs, notes, findings)
    pictures = Pictures(file.parent, cleaned=True)
    by_split: dict[str, list[tuple[_Task, Path | None, str]]] = {}
    for task in tasks:
        path = pictures.find(*_picture_names(task.data))
        folder = file.parent / "images"
        own = path is not None and path.is_relative_to(folder)
        key = path.relative_to(folder).as_posix() if own and path is not None else next(iter(_picture_names(task.data)))
        stated = task.data.get("split", task.data.get("subset", ""))
        addresses = [] if key in notes.pictures else _picture_names(task.data)
        split = split_of(stated if isinstance(stated, str) else "", "/".join([*addresses, key]))
        by_split.setdefault(split, []).append((task, path, key))
    _tell_left_out(content, [key for held in by_split.values() for *_, key in held], export)
    return export.read(by_split, splits, lambda held: _sample(export, *held))


def _open(file: Path) -> list[Any]:
    content = load(file, _EXPECTED)
    if not isinstance(content, list) or not content:
        what = "an empty list" if content == [] else f"a {type(content).__name__}"
        raise InputError(f"{file}: found {what}; {_EXPECTED}")
    if not any(isinstance(each, dict) and isinstance(each.get("data"), dict) for each in content):
        hint = " (JSON-MIN loses the relations: export as JSON)" if _is_minimal(content) else ""
        raise InputError(f"{file}: found no task with data{hint}; {_EXPECTED}")
    return content


def _tell_left_out(content: list[Any], used: Sequence[str], export: Export) -> None:
    """Report pictures that were handed over and are in no task: exports are without unlabelled tasks unless asked."""
    there = set(used)
    for each in content:
        if isinstance(each, dict) and isinstance(each.get("data"), dict):
            there.update(_picture_names(each["data"]))
    missing = [key for key in export.notes.pictures if key not in there]
    if missing:
        message = f"lacks {counted(len(missing), 'picture')} that {NOTES} names, such as {shown(missing[0])}"
        export.report("labels.unfinished", message)


def _is_minimal(content: list[Any]) -> bool:
    return any(isinstance(each, dict) and ("annotator" in each or "annotation_id" in each) for each in content)


def _task(task: Any, place: int, file: Path, findings: list[Finding]) -> _Task | None:
    """What a task says; None where no annotation of it can be used, which is a finding."""
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        message = f"task {place + 1} of the list is {shown(task)}; expected an object with data"
        findings.append(found("labels.fields", file, message))
        return None
    called = f"task {task['id']}" if is_whole(task.get("id")) else f"task {place + 1} of the list"
    data = {key: value for key, value in task["data"].items() if not isinstance(value, str) or is_text(value)}
    if not _picture_names(data):
        findings.append(found("labels.fields", file, f"{called} has no picture in its data"))
        return None
    result = _chosen(task, called, file, findings)
    if result is None:
        return None
    reader = Results(called, file, findings)
    for each in result:
        reader.take(each)
    return _Task(called, data, reader.finished(), reader.links, reader.attributes, reader.size)


def _chosen(task: dict[str, Any], called: str, file: Path, findings: list[Finding]) -> list[Any] | None:
    """The result of the annotation that counts: of those not cancelled the ground truth, else the one changed last."""
    given = task.get("annotations", task.get("completions"))
    every = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    usable = [each for each in every if not each.get("was_cancelled") and isinstance(each.get("result"), list)]
    if not usable:
        cancelled = sum(bool(each.get("was_cancelled")) for each in every)
        why = f"{counted(cancelled, 'cancelled annotation')} and no other" if cancelled else "no annotation"
        if not cancelled and task.get("predictions"):
            why = "predictions that nobody has accepted"
        findings.append(found("labels.unfinished", file, f"{called} has {why}"))
        return None
    truths = [each for each in usable if each.get("ground_truth") is True]
    chosen = max(truths or usable, key=lambda each: str(each.get("updated_at") or each.get("created_at") or ""))
    if len(usable) > 1:
        which = "the ground truth" if truths else "the one changed last"
        message = f"{called} has {len(usable)} annotations; {which} is used"
        findings.append(found("labels.several", file, message))
    result: list[Any] = chosen["result"]
    return result


def _picture_names(data: dict[str, Any]) -> list[str]:
    """The names under which the picture of a task may lie: as this project wrote it, else as its address says."""
    names = [data["picture"]] if isinstance(data.get("picture"), str) else []
    texts = [data.get("image"), *(value for key, value in data.items() if key not in ("image", "picture"))]
    for text in texts:
        if isinstance(text, str) and text:
            names += [name for name in _names_in(text) if is_picture(name)]
    return list(dict.fromkeys(names))


def _names_in(address: str) -> Iterator[str]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return
    path = parse_qs(parts.query).get("d", [""])[0] or unquote(parts.path)
    yield path.lstrip("/")
    name = path.rpartition("/")[2]
    if _UPLOADED.match(name):
        yield _UPLOADED.sub("", name)


def _drawn_pairs(tasks: Sequence[_Task]) -> list[tuple[str, str]]:
    """The classes of the pairs as most arrows have them, where nothing else tells which is the child's."""
    votes: dict[tuple[str, str], int] = {}
    for task in tasks:
        by_id = {region.id: region for region in task.regions}
        for link in task.links:
            ends = by_id.get(str(link.get("from_id"))), by_id.get(str(link.get("to_id")))
            if ends[0] is not None and ends[1] is not None and ends[0].label != ends[1].label:
                child, parent = _by_arrow(ends[0], ends[1], link)
                votes[child.label, parent.label] = votes.get((child.label, parent.label), 0) + 1
    return sorted(pair for pair, count in votes.items() if count >= votes.get(pair[::-1], 0) + (pair > pair[::-1]))


def _by_arrow(one: Region, other: Region, link: dict[str, Any]) -> tuple[Region, Region]:
    """Child and parent as an arrow has them: it leads from the child; without a direction the smaller is the child."""
    if link.get("direction") == "left":
        return other, one
    if link.get("direction") == "bi":
        sizes = [(each.percent[2] - each.percent[0]) * (each.percent[3] - each.percent[1]) for each in (one, other)]
        return (one, other) if sizes[0] <= sizes[1] else (other, one)
    return one, other


def _sample(export: Export, task: _Task, path: Path | None, key: str) -> Sample | None:
    size = export.size(path, key, task.size, f"{task.called} says")
    if size is None or path is None:
        return None
    names = export.names
    regions = [region for region in task.regions if region.label in names]
    for region in task.regions:
        if region.label not in names:
            message = f"{task.called}: label {shown(region.label)} is not among {', '.join(names)}"
            export.report("labels.class", message)
    parents = _parents(export, task, regions)
    objects = [
        Object(
            names.index(region.label),
            _pixels(region.percent, size),
            f"region {shown(region.id)} of {task.called}",
            None,
            parent,
            region.attributes,
        )
        for region, parent in zip(regions, parents, strict=True)
    ]
    if not task.regions:
        export.report("labels.empty", f"{task.called} has no box; its picture counts as empty")
    return export.sample(path, size, objects, key, task.attributes)


def _pixels(percent: Corners, size: Header) -> Corners:
    left, top, right, bottom = percent
    return (
        left / 100 * size.width,
        top / 100 * size.height,
        right / 100 * size.width,
        bottom / 100 * size.height,
    )


def _parents(export: Export, task: _Task, regions: Sequence[Region]) -> list[int]:
    """The parent of each region by the relations drawn; an arrow against the classes is turned round.

    A region of a class that is nobody's child has no parent wherever the picture has relations; others without one are
    left to geometry.
    """
    names, allowed = export.names, export.allowed
    place = {region.id: index for index, region in enumerate(regions)}
    parents = [NO_PARENT if region.alone else UNSTATED for region in regions]
    for link in task.links:
        ends = place.get(str(link.get("from_id"))), place.get(str(link.get("to_id")))
        if ends[0] is None or ends[1] is None:
            message = f"{task.called}: a relation leads from {shown(link.get('from_id'))} to {shown(link.get('to_id'))}"
            export.report("pairs.unknown_parent", f"{message}, of which one is no usable region")
            continue
        child, parent = (place[each.id] for each in _by_arrow(regions[ends[0]], regions[ends[1]], link))
        labels = names.index(regions[child].label), names.index(regions[parent].label)
        if labels[1] not in allowed.get(labels[0], ()) and labels[0] in allowed.get(labels[1], ()):
            child, parent = parent, child
        called = f"{task.called}: region {shown(regions[child].id)}"
        if child == parent:
            export.report("pairs.self", f"{called} is related to itself")
        elif parents[child] >= 0 and parents[child] != parent:
            export.report("pairs.repeated", f"{called} is related to two parents; the first counts")
        else:
            parents[child] = parent
    if any(each != UNSTATED for each in parents):
        for index, region in enumerate(regions):
            if parents[index] == UNSTATED and names.index(region.label) not in allowed:
                parents[index] = NO_PARENT
    return parents


FORMAT = register(
    Format(
        "labelstudio",
        "Label Studio's JSON, or a folder with it",
        lambda source: find_file(source) is not None,
        read,
        write,
    )
)
