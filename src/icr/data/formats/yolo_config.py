"""`data.yaml`: finding it, reading it without being harmed by it, and the folders and lists it names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path
from typing import Any

import yaml

from icr.data.compact import Paths
from icr.data.dataset import Finding, UnreadableRelations
from icr.data.findings import found
from icr.data.formats.text import LARGEST_SETTINGS, counted, is_text, read_lines, read_settings_text, shown
from icr.data.pictures import exists, is_picture
from icr.errors import InputError, nearest
from icr.relations import Relation
from icr.relations import read as read_relations

SPLIT_KEYS = {"train": "train", "val": "val", "validation": "val", "test": "test"}
_KEYS = (*SPLIT_KEYS, "path", "names", "nc", "relations", "pairs", "download", "category_ids", "channels")
_USUAL_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")


@dataclass
class Config:
    """What a `data.yaml` says.

    Attributes:
        file: the file.
        root: the folder that its relative paths start from.
        names: class names.
        splits: for each split, the entries as written.
        relations: the ``relations:`` block.
        ordered: ``pairs: order`` is declared.
        category_ids: ids the classes had in COCO, empty when not said.
    """

    file: Path
    root: Path
    names: list[str]
    splits: dict[str, list[str]]
    relations: tuple[Relation, ...] = ()
    ordered: bool = False
    category_ids: list[int] = field(default_factory=list)


def find_config(source: Path) -> Path | None:
    """The `data.yaml` that a source is, or the one in it; None when there is none or several."""
    if source.is_file():
        return source if source.suffix.lower() in (".yaml", ".yml") else None
    usual = [source / name for name in _USUAL_NAMES if (source / name).is_file()]
    if usual or not source.is_dir():
        return usual[0] if usual else None
    others = [each for each in sorted(source.iterdir()) if each.suffix in (".yaml", ".yml") and _may_be_config(each)]
    return others[0] if len(others) == 1 else None


def _may_be_config(file: Path) -> bool:
    """Whether a YAML of another name than the usual ones says ``names:`` or names a split; hidden files never do."""
    if file.name.startswith(".") or not file.is_file():
        return False
    try:
        return any(key in ("names", *SPLIT_KEYS) for key in _load(file))
    except InputError:
        return False


class _Loader(yaml.SafeLoader):
    """The safe loader, without aliases to anything that itself holds aliases or collections.

    A few lines of nested aliases stand for billions of nodes (through merge keys they are even built); a plain alias to
    a scalar or a flat list stays allowed.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        is_alias = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if is_alias and isinstance(node, yaml.CollectionNode):
            children = [each for item in node.value for each in (item if isinstance(item, tuple) else (item,))]
            if any(isinstance(each, yaml.CollectionNode) for each in children):
                mark = node.start_mark
                raise yaml.MarkedYAMLError(None, None, "an alias to a nested collection, which is not accepted", mark)
        return node


def _load(file: Path) -> dict[Any, Any]:
    if file.is_file() and file.stat().st_size > LARGEST_SETTINGS:
        raise InputError(f"{file} is larger than {LARGEST_SETTINGS // 2**20} MiB; expected a data.yaml")
    text = read_settings_text(file)
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{file}{line}: found {error.problem}; expected YAML like names: [plate, car]") from None
    # ValueError: dates and integers that cannot be; the others: nesting too deep, and control characters.
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError, TypeError, AttributeError) as error:
        reason = "nesting too deep" if isinstance(error, RecursionError) else shown(" ".join(str(error).split()), 120)
        raise InputError(f"{file}: not readable as YAML ({reason})") from None
    if not isinstance(content, dict):
        what = "nothing" if content is None else f"{type(content).__name__}"
        raise InputError(f"{file}: found {what}, expected a mapping with train:, val: and names:")
    return content


def read_config(file: Path, findings: list[Finding]) -> Config:
    """Read a `data.yaml`; never runs or fetches anything.

    Raises:
        InputError: it is no YAML, no mapping, or has no names or no split.
    """
    content = _load(file)
    for key in content:
        if key not in _KEYS and isinstance(key, str) and (hint := nearest(key, _KEYS)):
            findings.append(found("yaml.unknown_key", file, f"key {shown(key)} is not known and is ignored{hint}"))
    if content.get("download") is not None:
        findings.append(found("yaml.download_ignored", file, "the download: key is never run"))
    names = _names(content, file, findings)
    relations = declared_relations(content.get("relations"), file, findings)
    pairs = content.get("pairs")
    if pairs not in (None, "order", "sidecar"):
        raise InputError(f"{file}: pairs is {shown(pairs)}; expected order, or no such key (pairs in pairs/ files)")
    splits = {
        split: _entries(content[key], key, file)
        for key, split in SPLIT_KEYS.items()
        if content.get(key) is not None and not (key == "validation" and content.get("val") is not None)
    }
    if not splits:
        raise InputError(f"{file}: found no train:, val: or test:; expected folders or lists of pictures")
    ids = content.get("category_ids")
    if not isinstance(ids, list) or len(ids) != len(names) or not all(type(each) is int for each in ids):
        ids = []
    return Config(file, _root(content, file, findings), names, splits, relations, pairs == "order", ids)


def declared_relations(block: Any, file: Path, findings: list[Finding]) -> tuple[Relation, ...]:
    """The relations of a ``relations:`` block; one that is faulty is a finding and refuses to be used."""
    try:
        return read_relations(block, str(file))
    except InputError as error:
        findings.append(found("relations.invalid", file, str(error).removeprefix(f"{file}: ")))
        return UnreadableRelations(str(error))


def _names(content: dict[Any, Any], file: Path, findings: list[Finding]) -> list[str]:
    names, count = content.get("names"), content.get("nc")
    form = "expected names: [plate, car] or names: {0: plate, 1: car}"
    if names is None and type(count) is int and 0 < count <= 100_000:
        findings.append(found("yaml.names_missing", file, f"no names:, but nc: {count}"))
        return [f"class_{index}" for index in range(count)]
    if isinstance(names, dict):
        if not all(isinstance(key, int) or (isinstance(key, str) and key.isdecimal()) for key in names):
            raise InputError(f"{file}: names has a key that is no number; {form}")
        by_id = {int(key): value for key, value in names.items()}
        if sorted(by_id) != list(range(len(names))):
            raise InputError(f"{file}: names has ids other than 0 to {len(names) - 1}; {form}")
        names = [by_id[index] for index in range(len(by_id))]
    if not isinstance(names, list) or not names:
        what = "no names" if names is None else f"names: {shown(names)}" if names else "empty names"
        raise InputError(f"{file}: found {what}; {form}")
    for index, each in enumerate(names):
        if not isinstance(each, (str, int, float)):
            raise InputError(f"{file}: the name of class {index} is {shown(each)}; {form}")
        if not isinstance(each, str):
            findings.append(found("yaml.name_not_text", file, f"the name of class {index} is {each!r}, no text"))
        if not is_text(str(each)):
            raise InputError(f"{file}: the name of class {index} holds half a character; {form}")
    texts = [str(each) for each in names]
    for each in sorted({each for each in texts if texts.count(each) > 1} if len(set(texts)) < len(texts) else ()):
        findings.append(found("yaml.names_duplicate", file, f"{texts.count(each)} classes are named {shown(each)}"))
    if count is not None and count != len(texts):
        findings.append(found("yaml.nc_mismatch", file, f"nc: {shown(count)}, but {counted(len(texts), 'name')}"))
    return texts


def _entries(value: Any, key: str, file: Path) -> list[str]:
    entries = value if isinstance(value, list) else [value]
    for each in entries:
        if not isinstance(each, str) or not each.strip() or "\x00" in each or not is_text(each):
            raise InputError(f"{file}: {key} is {shown(each)}; expected a folder, a list file, or several of them")
    return entries


def _root(content: dict[Any, Any], file: Path, findings: list[Finding]) -> Path:
    path, beside = content.get("path"), Path(os.path.abspath(file)).parent  # noqa: PTH100 (links stay as they are)
    if path is None:
        return beside
    if not isinstance(path, str) or "\x00" in path or not is_text(path):
        raise InputError(f"{file}: path is {shown(path)}; expected a folder")
    root = Path(os.path.normpath(beside / Path(path).expanduser()))
    if exists(root) and root.is_dir():
        return root
    findings.append(found("yaml.path_moved", file, f"path: {path} does not exist; {beside} is used"))
    return beside


def list_pictures(entry: str, config: Config, findings: list[Finding]) -> tuple[Paths, bool]:
    """The paths of the pictures that one entry of a split names, and whether the entry is a folder.

    A folder is walked to its depths, files in order of path, hidden ones left out. A list names one picture a line:
    ``./x`` from the list's own folder, other relative paths from the root or the list's folder, absolute ones as they
    are; one that climbs out of the root by ``..`` is refused.
    """
    path = Path(os.path.normpath(config.root / entry))
    trimmed = entry
    while not exists(path) and trimmed.startswith("../"):
        trimmed = trimmed[3:]
        path = Path(os.path.normpath(config.root / trimmed))
        if exists(path):
            findings.append(found("yaml.path_moved", config.file, f"{entry} does not exist; {path} is used"))
    if _climbs_to_nothing(entry, path, config.root):
        message = f"{shown(entry)} leads out of {config.root}, to no picture, and is refused"
        findings.append(found("paths.climbs", config.file, message))
        return Paths(), False
    if exists(path) and not path.is_relative_to(config.root):
        findings.append(found("paths.outside_root", config.file, f"{entry} lies outside {config.root}"))
    if exists(path) and path.is_dir():
        return _walk(path, findings), True
    if exists(path) and path.suffix.lower() == ".txt":
        return _listed(path, config.root, findings), False
    if exists(path) and is_picture(path):
        return Paths([str(path)]), False
    message = f"{entry} (looked for at {path}) is no folder, no list of pictures and no picture"
    findings.append(found("yaml.split_missing", config.file, message))
    return Paths(), False


def _climbs_to_nothing(entry: str, path: Path, root: Path) -> bool:
    """Whether an entry leads out of the root by ``..`` and no pictures are there.

    A single leading ``../`` that leads nowhere is not meant: it stands in many a data.yaml, and trainers drop it.
    """
    if exists(path):
        climbs = entry.startswith("..") and not path.is_relative_to(root)
        return climbs and path.is_dir() and not _walk(path, [])
    return not Path(os.path.normpath(root / entry.removeprefix("../"))).is_relative_to(root) and entry.startswith("..")


def _walk(folder: Path, findings: list[Finding]) -> Paths:
    by_folder: list[Paths] = []
    visited: set[str] = set()

    def unreadable(error: OSError) -> None:
        where = str(error.filename or folder)
        findings.append(found("folder.unreadable", where, f"cannot be opened: {error.strerror or error}"))

    for parent, folders, files in os.walk(folder, followlinks=True, onerror=unreadable):
        real = os.path.realpath(parent)
        if real in visited:
            findings.append(found("folder.loop", parent, f"leads to {real}, which is read already"))
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        names = sorted(each for each in files if is_picture(each) and each[0] != ".")
        by_folder.append(Paths(os.path.join(parent, each) for each in names))  # noqa: PTH118
    return by_folder[0] if len(by_folder) == 1 else Paths(merge(*by_folder))


def _listed(file: Path, root: Path, findings: list[Finding]) -> Paths:
    pictures = Paths()
    absolute = 0
    for number, line in enumerate(read_lines(file, findings) or (), 1):
        entry = line.strip()
        if not entry:
            continue
        own = Path(entry)
        bases = (file.parent,) if entry.startswith("./") else (root, file.parent)
        places = [Path(os.path.normpath(base / own)) for base in bases]
        inside = [each for each in places if each.is_relative_to(root) or each.is_relative_to(file.parent)]
        if not inside and not own.is_absolute():
            findings.append(found("paths.climbs", file, f"{shown(entry)} leads out of {root}; not read", number))
        elif not is_picture(own) or "\x00" in entry:
            findings.append(found("picture.unreadable", file, f"{shown(entry)} is no name of a picture", number))
        elif own.is_absolute():
            absolute += 1
            pictures.append(str(places[0]))
        else:
            pictures.append(str(next((each for each in inside if exists(each)), inside[0])))
    if absolute:
        findings.append(found("paths.absolute", file, f"{counted(absolute, 'picture')} by absolute path"))
    return pictures
