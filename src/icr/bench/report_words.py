"""What a report says besides its figures: scope, methods, surroundings, and what to be wary of."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from icr.bench.analysis import Analysis
from icr.bench.grid import Cell, presets
from icr.metrics.paired import LEVEL

NUMBERS = "report.json"


def scope(analysis: Analysis) -> str:
    """What the answer rests on: pictures, objects, runs."""
    told = [
        f"{each.name}: {each.images} {each.split} pictures, labelled in them "
        + ", ".join(f"{name} {number:,} times" for name, number in each.objects.items())
        for each in analysis.materials.values()
    ]
    about = f"{analysis.grid.about[0].upper()}{analysis.grid.about[1:]}. " if analysis.grid.about else ""
    return f"{about}Data {'; '.join(told)}. {analysis.finished} runs." if told else f"{about}No run is finished."


def runs_told(analysis: Analysis, pending: Sequence[Cell]) -> str:
    """How many cells are finished, failed and still to run."""
    told = f"{analysis.finished} finished, {len(analysis.failed)} failed, {len(pending)} still to run."
    if pending:
        told += f" The next of them: {', '.join(f'`{cell.key}`' for cell in pending[:3])}."
    return told


def methods(analysis: Analysis) -> list[str]:
    """How it was judged, a paragraph each."""
    rules = analysis.rules
    margin = f"±{100 * rules.margin:g} point"
    return [
        "Fixed before any run: the primary figures are AP50 and AP small of the child on the test pictures, with the "
        "weights of the last epoch (their running average), by COCO's rules. Best weights are not used: they would be "
        "chosen by one more look.",
        "Seeds are paired: same start, same order of data in every arm. A difference is the mean over the seeds of the "
        f"paired differences; its {LEVEL:.0%} interval is a t interval whose variance is that of the seeds plus that "
        f"of the test pictures (drawn again {analysis.resamples:,} times, alike for every run), with Satterthwaite's "
        "degrees of freedom. p values add both errors as Behrens and Fisher do, and Holm's method corrects them over "
        f"all {len(analysis.findings)} differences of this report.",
        f"`helps` and `hurts`: p ≤ {rules.alpha:g} after correction. `equivalent`: a difference of {margin} or more is "
        f"ruled out, after correction too. `cannot tell`: fewer than {rules.fewest_seeds} pairs of runs, a baseline "
        f"under {100 * rules.floor:g} or over {100 * rules.ceiling:g}, or an interval "
        "that holds a gain and a loss of more than that. `no difference shown` is none of these, and never "
        "stands for `equivalent`.",
        "That the relation matters is said only where icr beats both matched (all children weighted alike by ICR's "
        "mean factor) and pseudo-parent (a parent's size at a random place); that it is worth having only where it "
        "beats the best base without ICR, chosen on the validation pictures. So are the best box gain and the best λ.",
    ]


def facts(analysis: Analysis) -> list[tuple[str, str]]:
    """Name and value of what a reader needs to judge or repeat the runs."""
    around = surroundings(analysis)
    store = shlex.quote(str(analysis.store))
    name = analysis.grid.name
    asked = name if name in presets() else f"{name}.yaml"
    return [
        ("Commands", f"`icr bench run {asked}` (as resolved: `grid.json` in the store), `icr bench report {store}`"),
        ("Trained with", _settings(analysis.grid.train) or "the engines' defaults"),
        ("Models", ", ".join(f"{key} ({_named(each, analysis.store)})" for key, each in analysis.grid.models.items())),
        ("Data", "; ".join(f"{each.name}: `{each.source}`" for each in analysis.materials.values()) or "none yet"),
        *(
            (f"Versions of the runs{_of_many(around['versions'], at)}", each)
            for at, each in enumerate(around["versions"])
        ),
        *(
            (f"Hardware of the runs{_of_many(around['hardware'], at)}", each)
            for at, each in enumerate(around["hardware"])
        ),
        ("Commit of the runs", ", ".join(around["git_commits"]) or "unknown"),
        ("Evaluator", ", ".join(around["evaluators"]) or "none yet"),
        ("Beside this page", "`tables/` (Markdown, LaTeX, CSV, JSON), `figures/` (PNG, SVG), `report.json`"),
    ]


def _named(model: str, store: Path) -> str:
    """A model as it is named beside its store: one kept in there by its place below the store as it was given.

    Example:
        >>> _named("yolo11n", Path("runs/b")), _named(str(Path("runs/b/models/a.yaml").absolute()), Path("runs/b"))
        ('yolo11n', 'runs/b/models/a.yaml')
    """
    kept = Path(model)
    return (store / kept.relative_to(store.absolute())).as_posix() if kept.is_relative_to(store.absolute()) else model


def _settings(train: Mapping[str, Any]) -> str:
    """What all trainings of the grid have in common, the engine's own settings last.

    Example:
        >>> _settings({"imgsz": 640, "epochs": 10, "overrides": {"optimizer": "SGD"}})
        'imgsz 640, epochs 10, optimizer SGD'
    """
    own = train.get("overrides")
    every = {key: value for key, value in train.items() if key != "overrides"}
    every |= own if isinstance(own, Mapping) else {}
    return ", ".join(f"{key} {value}" for key, value in every.items())


def _of_many(values: Sequence[str], at: int) -> str:
    return f" ({at + 1} of {len(values)})" if len(values) > 1 else ""


def surroundings(analysis: Analysis) -> dict[str, list[str]]:
    """What the runs were made with, each thing once."""
    runs = [run for seeds in analysis.runs.values() for run in seeds.values()]
    records = [run.stored.record for run in runs]
    return {
        "versions": _each_once(_told(record.get("versions")) for record in records),
        "hardware": _each_once(_told(record.get("hardware")) for record in records),
        "git_commits": _each_once(str(record.get("git_commit") or "") for record in records),
        "evaluators": _each_once(run.figures.evaluator for run in runs),
    }


def _each_once(texts: Any) -> list[str]:
    return [text for text in dict.fromkeys(texts) if text]


def _told(found: Any) -> str:
    if not isinstance(found, Mapping):
        return ""
    parts = ((key, ", ".join(map(str, value)) if isinstance(value, list) else value) for key, value in found.items())
    return ", ".join(f"{key} {value}" for key, value in parts if value not in (None, ""))


def interruptions(analysis: Analysis) -> list[str]:
    """Runs that were interrupted, by what became of them."""
    told = {
        "restarted": "were killed and began again from zero",
        "continued": "were killed and went on exactly where they were, with all random states",
    }
    found: dict[str, list[str]] = {}
    for seeds in analysis.runs.values():
        for run in seeds.values():
            if run.stored.interrupted:
                found.setdefault(run.stored.interrupted, []).append(run.stored.cell.key)
    return [f"{len(keys)} run(s) {told.get(kind, kind)}: {', '.join(keys)}" for kind, keys in found.items()]


def looked_before(store: Path, analysis: Analysis) -> list[str]:
    """Whether results were looked at before the last runs were added."""
    fewer = []
    for path in store.glob(f"report*/{NUMBERS}"):
        try:
            before = json.loads(path.read_text(encoding="utf-8"))["finished"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(before, int) and 0 < before < analysis.finished:
            fewer.append(before)
    if not fewer:
        return []
    return [
        f"a report was made when {min(fewer)} of these {analysis.finished} runs were finished: deciding on further "
        "seeds after a look finds help that is not there"
    ]
