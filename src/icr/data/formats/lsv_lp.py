"""LSV-LP: videos of three scenarios, a JSON for each frame, cars and plates of one id together; the pair is stated.

The JSON files lie in folders or, as downloaded, in one zip for each scenario, which is read where it lies. Coordinates
are shares of the picture's sides.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from icr.data.compact import Paths
from icr.data.dataset import Dataset, Finding, Sample
from icr.data.findings import found
from icr.data.formats.lsv_lp_files import Frames, UnreadableError, file_of, files_of, in_folder, labels_of, load
from icr.data.formats.lsv_lp_frame import objects_of, parse
from icr.data.formats.objects import (
    folders_in,
    natural,
    picture_size,
    sample_of,
)
from icr.data.formats.registry import Format, register
from icr.data.formats.splits import NAMES as NAMES_OF_SPLITS
from icr.data.formats.splits import fill, meant_by, roots
from icr.data.formats.text import counted
from icr.data.pictures import is_picture
from icr.data.remembered import ReadAll, joined, read_now
from icr.errors import InputError, nearest
from icr.relations import Relation
from icr.version import __version__

NAMES = ("plate", "vehicle")
SCENARIOS = ("move2move", "move2static", "static2move")
_FRAME = re.compile(r"(\d+)$")


def find_splits(source: Path) -> dict[str, Path]:
    """The folders of the splits, each with ``jsons``: in `source`, in the one folder it holds, or `source` itself."""
    if not source.is_dir():
        return {}
    for root in roots(source):
        found_: dict[str, Path] = {}
        for each in folders_in(root):
            split = meant_by(each.name)
            if split and (each / "jsons").is_dir():
                found_.setdefault(split, each)
        if found_:
            return {split: found_[split] for split in NAMES_OF_SPLITS if split in found_}
    if (source / "jsons").is_dir() and (source / "videos").is_dir():
        return {meant_by(source.absolute().name) or "train": source}
    return {}


def read(
    source: Path,
    splits: Sequence[str] | None = None,
    read_all: ReadAll = read_now,
    *,
    scenarios: Sequence[str] | None = None,
) -> Dataset:
    """Read LSV-LP.

    Args:
        source: the folder.
        splits: read these alone; None: all.
        read_all: reads the pictures of a scenario.
        scenarios: read these alone (the paper uses ``move2move``); None: all that are there.

    Raises:
        InputError: the folder is no LSV-LP, or has no such split or scenario.
    """
    folders = find_splits(Path(os.path.abspath(source)))  # noqa: PTH100 (links stay as they are)
    if not folders:
        raise InputError(f"{source} holds no LSV-LP; expected folders such as train/jsons and train/videos")
    findings: list[Finding] = []
    dataset = Dataset(source, "lsv-lp", list(NAMES), {}, (Relation("plate", "vehicle"),), findings)
    there = sorted({name for folder in folders.values() for name in _scenarios(folder)})
    for each in scenarios or ():
        if each not in there:
            raise InputError(f"{source} has no scenario {each!r}; it has {', '.join(there)}{nearest(each, there)}")

    def read_split(split: str) -> Sequence[Sample]:
        parts = [
            _read_scenario(folders[split], scenario, findings, read_all)
            for scenario in _scenarios(folders[split])
            if scenarios is None or scenario in scenarios
        ]
        return joined(parts)

    return fill(dataset, folders, splits, read_split)


def _scenarios(folder: Path) -> list[str]:
    names = {each.name for kind in ("jsons", "videos") for each in folders_in(folder / kind)}
    names |= {each.stem for each in (folder / "jsons").glob("*.zip")}
    return sorted(names)


def _read_scenario(folder: Path, scenario: str, findings: list[Finding], read_all: ReadAll) -> Sequence[Sample]:
    pictures = in_folder(folder / "videos" / scenario, is_picture, findings)
    labels = labels_of(folder / "jsons", scenario, findings)
    if not pictures or not labels:
        _report_half(folder, scenario, pictures, labels, findings)
    if not pictures:
        return []
    parse = partial(_parse, scenario, bool(labels))
    meaning = f"lsv-lp {__version__} {scenario} {bool(labels)}"
    frames = Paths(_matched(pictures, labels, scenario, findings))
    del pictures, labels
    samples, said = read_all(frames, parse, files_of, meaning)
    findings += said
    return samples


def _matched(pictures: Frames, labels: Frames, scenario: str, findings: list[Finding]) -> Iterator[str]:
    """The place of every picture, in order, followed by a zero byte and that of its label where it has one."""
    for video in sorted(pictures.videos() | labels.videos(), key=natural):
        images, files = pictures.of(video, findings), labels.of(video, findings)
        for stem in sorted(files.keys() - images.keys(), key=natural):
            message = f"there is no picture {video}/{stem}.jpg for it in videos/{scenario}"
            findings.append(found("labels.no_picture", file_of(files[stem]), message))
        for stem in sorted(images, key=natural):
            yield f"{images[stem]}\0{files[stem]}" if stem in files else images[stem]


def _report_half(folder: Path, scenario: str, pictures: Frames, labels: Frames, findings: list[Finding]) -> None:
    """Say once that a scenario has labels alone, or pictures alone."""
    if labels:
        video, frame = labels.first()
        packed = folder / "videos" / f"{scenario}.zip"
        what = f"unpack {packed.name}" if packed.exists() else f"expected e.g. videos/{scenario}/{video}/{frame}.jpg"
        message = f"none of the {counted(len(labels), 'frame')} of {scenario} has its picture; {what}"
        findings.append(found("labels.no_picture", folder / "videos", message))
    elif pictures:
        video, frame = pictures.first()
        message = f"not one of the {counted(len(pictures), 'picture')} of {scenario} has a label file; "
        message += f"expected e.g. jsons/{scenario}/{video}/{frame}.json or jsons/{scenario}.zip"
        findings.append(found("labels.none", folder / "jsons", message))


def _parse(scenario: str, labelled: bool, frame: str) -> tuple[Sample | None, list[Finding]]:
    findings: list[Finding] = []
    picture, _, place = frame.partition("\0")
    return _read_frame(Path(picture), place, scenario, labelled, findings), findings


def _read_frame(image: Path, place: str, scenario: str, labelled: bool, findings: list[Finding]) -> Sample | None:
    size = picture_size(image, findings)
    if size is None:
        return None
    number = _FRAME.search(image.stem)
    attributes: dict[str, Any] = {"scenario": scenario, "video": image.parent.name}
    if number:
        attributes["frame"] = int(number[1])
    if not place:
        if labelled:  # where no frame of a scenario has labels, that is said once
            message = f"there is no label file for it, {image.stem}.json; the picture counts as empty"
            findings.append(found("labels.missing", image, message))
        return sample_of(image, size, None, [], attributes, findings)
    file = Path(file_of(place))
    try:
        data = load(place)
    except UnreadableError as error:
        findings.append(found("labels.archive", file, str(error)))
        return None
    content = parse(data, file, findings)
    if content is None:
        return None
    return sample_of(image, size, file, objects_of(content, size, file, findings), attributes, findings)


_EXPECTS = "a folder of LSV-LP with train/jsons and train/videos"

FORMAT = register(Format.by_picture("lsv-lp", _EXPECTS, lambda source: bool(find_splits(source)), read))

for _scenario in SCENARIOS:
    # One scenario alone is asked for by name; looking never finds it.
    register(
        Format.by_picture(f"lsv-lp-{_scenario}", _EXPECTS, lambda source: False, partial(read, scenarios=(_scenario,)))
    )
