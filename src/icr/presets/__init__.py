"""Presets: settings of a training that go together, as YAML files beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icr.checkpoints import SUFFIX, read_header
from icr.errors import InputError, nearest

if TYPE_CHECKING:
    from icr.detectors import Detector

DEFAULT = "paper"
"""The one to take for the paper's settings unless there is a reason for another."""

NAMES = ("paper", "paper-appendix", "paper-rtdetrv2", "rtdetrv2", "uav-detr")


@dataclass(frozen=True)
class Inactive:
    """A setting that a table states and the engine would ignore."""

    value: Any
    why: str


@dataclass(frozen=True)
class Preset:
    """Settings that go together.

    Attributes:
        name: what ``--preset`` takes.
        about: one line.
        engine: what they are for.
        detectors: patterns of the names, or of the files, that they are for.
        options: of `icr train`: imgsz, epochs, batch.
        settings: of the engine, as ``--set`` takes them.
        inactive: what the source states and the engine ignores; not passed on.
        table: the file in `icr/paper` that it follows, if any.
    """

    name: str
    about: str
    engine: str
    detectors: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    inactive: Mapping[str, Inactive] = field(default_factory=dict)
    table: str | None = None

    def fits(self, detector: Detector) -> bool:
        """Whether it is meant for a detector."""
        name = _name(detector)
        return detector.engine == self.engine and any(fnmatch(name, pattern) for pattern in self.detectors)

    def said(self) -> str:
        """What a person who trains with it should know, in one line."""
        settings = {**self.options, **self.settings}
        told = f"preset {self.name}: " + ", ".join(f"{key} {value}" for key, value in settings.items())
        if self.inactive:
            reasons: dict[str, list[str]] = {}
            for key, each in self.inactive.items():
                reasons.setdefault(each.why, []).append(f"{key} {each.value}")
            told += "; of no effect here: " + "; ".join(f"{', '.join(k)} ({why})" for why, k in reasons.items())
        return told


def _name(detector: Detector) -> str:
    """What patterns are held against: the name, or the file's; of weights of ours the detector that they are of."""
    file = Path(detector.name)
    return read_header(file).model if file.suffix == SUFFIX else file.name


@cache
def _document(name: str) -> dict[str, Any]:
    import yaml

    text = resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    return document


def read(name: str, detector: str = "") -> Preset:
    """Read a preset, with what it says of one detector in particular.

    Args:
        name: one of `NAMES`.
        detector: name of the detector, or of its file.

    Raises:
        InputError: there is no such preset.

    Example:
        >>> read("paper").settings["optimizer"], read("paper").options["epochs"]
        ('SGD', 100)
        >>> read("rtdetrv2", "rtdetrv2-r50").options["epochs"]
        72
    """
    if name not in NAMES:
        told = "; ".join(f"{each} ({_document(each)['about']})" for each in NAMES)
        raise InputError(f"--preset {name}: there is no such preset{nearest(name, NAMES)}; known are: {told}")
    document = _document(name)
    parts = [document]
    parts += [part for pattern, part in (document.get("by_detector") or {}).items() if fnmatch(detector, pattern)]

    def joined(key: str) -> dict[str, Any]:
        return {k: v for part in parts for k, v in (part.get(key) or {}).items()}

    inactive = {key: Inactive(**each) for key, each in joined("inactive").items()}
    return Preset(
        name=name,
        about=document["about"],
        engine=document["engine"],
        detectors=tuple(document["detectors"]),
        options=joined("options"),
        settings={key: value for key, value in joined("set").items() if key not in inactive},
        inactive=inactive,
        table=document.get("table"),
    )


def applied(
    name: str, detector: Detector, given: Mapping[str, Any], say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Complete the settings of a training from a preset; what was given wins.

    Args:
        name: one of `NAMES`.
        detector: what is to be trained.
        given: arguments of `icr.training.train`; None counts as not given. `overrides` are merged key by key.
        say: told what the preset sets and what of it has no effect.

    Raises:
        InputError: there is no such preset, or it is for other detectors.

    Example:
        >>> from icr.detectors import find
        >>> told = applied("paper", find("yolo11n"), {"epochs": 5, "overrides": {"lr0": 0.1}})
        >>> told["epochs"], told["batch"], told["overrides"]["lr0"], told["overrides"]["optimizer"]
        (5, 32, 0.1, 'SGD')
    """
    preset = read(name, _name(detector))
    if not preset.fits(detector):
        others = [each for each in NAMES if read(each).fits(detector)]
        instead = f"for it there is {', '.join(others)}" if others else "there is none for it"
        raise InputError(
            f"--preset {name} is for {', '.join(preset.detectors)} with {preset.engine}, not for {detector.name}; "
            f"{instead}"
        )
    say(preset.said())
    kept = {key: value for key, value in given.items() if value is not None}
    overrides = {**preset.settings, **(kept.get("overrides") or {})}
    return {**preset.options, **kept, "overrides": overrides, "preset": name}
