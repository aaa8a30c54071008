"""From a store to findings: every finished run measured, every contrast estimated, all of them judged together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from icr.bench import store as stores
from icr.bench.choices import choose_all
from icr.bench.contrasts import (
    AGAINST_BASELINE,
    BASELINE,
    ICR,
    LEARNING,
    UNDER_NOISE,
    Choices,
    Contrast,
    chosen,
    contrasts,
    endpoints,
)
from icr.bench.contrasts import Row as CellRow
from icr.bench.gathering import Material, Run, Runs, gather, learning
from icr.bench.grid import Cell, Grid
from icr.metrics.compare import FEW_PICTURES, paired_difference
from icr.metrics.comparison import PRIMARY, UNHARMED, Endpoint, Row
from icr.metrics.resampled import Measured
from icr.metrics.verdict import FIXED, Claim, Rules, judge


@dataclass(frozen=True)
class Finding:
    """One claim of the report: a contrast in one figure.

    Attributes:
        contrast: what was compared.
        row: values, interval and verdict.
        seeds: of the pairs of runs.
        runs: the keys of the cells behind it.
    """

    contrast: Contrast
    row: Row
    seeds: tuple[int, ...]
    runs: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The finding as plain values."""
        after = self.contrast.after
        return {
            "contrast": self.contrast.told(),
            "against": self.contrast.kind,
            "data": after.data,
            "model": after.model,
            "base": after.base,
            "weight": after.weight,
            **self.row.as_json(),
            "seeds": list(self.seeds),
            "runs": list(self.runs),
        }


@dataclass(frozen=True)
class Analysis:
    """All that a store shows.

    Attributes:
        store: its folder.
        grid: what it was made for.
        materials: the data sets of the measured runs, by name.
        runs: the measured runs, by way and seed.
        findings: every claim, judged together.
        choices: made on the validation pictures.
        failed: cells that failed, and why.
        remarks: what a person should know.
        resamples: how often the test pictures were drawn again.
        rules: fixed beforehand.
    """

    store: Path
    grid: Grid
    materials: Mapping[str, Material]
    runs: Runs
    findings: tuple[Finding, ...]
    choices: Choices
    failed: Sequence[tuple[Cell, str]]
    remarks: tuple[str, ...]
    resamples: int
    rules: Rules = field(default=FIXED)

    @property
    def rows(self) -> list[CellRow]:
        """The data set, model and base of every measured run, each once."""
        return list(dict.fromkeys(way.row for way in self.runs))

    @property
    def finished(self) -> int:
        """Number of measured runs."""
        return sum(len(seeds) for seeds in self.runs.values())


def analyse(
    store: Path, *, resamples: int = 1000, step: Callable[[int, int], None] = lambda done, total: None
) -> Analysis:
    """Measure what is finished in a store and judge every claim it allows; nothing is trained or predicted.

    Args:
        store: a folder made by `icr bench run`.
        resamples: how often the test pictures are drawn again.
        step: called with the runs measured so far, and how many there are.

    Raises:
        InputError: the folder is no store.
    """
    grid, remarks = stores.grid_of(store), list[str]()
    materials, runs = gather(store, resamples, step, remarks)
    choices = choose_all(runs, materials)
    asked = [
        (contrast, endpoint)
        for contrast in (*contrasts(list(runs), choices), *_under_noise(grid, runs))
        for endpoint in _endpoints(contrast, materials)
    ]
    findings = judge_all(asked, runs, materials, resamples, remarks)
    return Analysis(
        store=store,
        grid=grid,
        materials=materials,
        runs=runs,
        findings=findings,
        choices=choices,
        failed=stores.failed(store),
        remarks=tuple(dict.fromkeys(remarks)),
        resamples=resamples,
    )


def _under_noise(grid: Grid, runs: Runs) -> list[Contrast]:
    """Generated data sets that are alike but for their label noise, ICR's gain on one against that on the other."""
    kinds = {name: dict(source.synth) for name, source in grid.data.items() if source.synth}
    found = []
    for clean, noisy in ((one, other) for one in kinds for other in kinds):
        levels = [float(kinds[name].get("label_noise") or 0) for name in (clean, noisy)]
        alike = [{**kinds[name], "label_noise": 0} for name in (clean, noisy)]
        if levels[0] == 0 and levels[1] > 0 and alike[0] == alike[1]:
            for row in dict.fromkeys(way.row for way in runs if way.data == clean):
                before, after = chosen(runs, row, ICR), chosen(runs, CellRow(noisy, row.model, row.base), ICR)
                if before and after:
                    found.append(Contrast(UNDER_NOISE, after, before))
    return found


def _endpoints(contrast: Contrast, materials: Mapping[str, Material]) -> list[Endpoint]:
    material = materials[contrast.after.data]
    return endpoints(contrast, material.children, material.parents)


def judge_all(
    asked: Sequence[tuple[Contrast, Endpoint]],
    runs: Runs,
    materials: Mapping[str, Material],
    resamples: int,
    remarks: list[str],
) -> tuple[Finding, ...]:
    """Estimate each claim that has values, then hold all of them together against one level.

    Args:
        asked: the contrasts, each with a figure in which it is judged.
        runs: the measured runs.
        materials: their data sets by name.
        resamples: how often the test pictures were drawn again.
        remarks: what a person should know is added to it.
    """
    kept = []
    for contrast, endpoint in asked:
        sides = _sides(contrast, endpoint.key, runs, materials[contrast.after.data], resamples)
        if sides is None:
            continue
        seeds, before, after, keys, standing = sides
        if not seeds:
            remarks.append(
                f"{contrast.after.row.told()}: {contrast.told()}, {endpoint.name}: no seed has a value for both"
            )
            continue
        difference = paired_difference(_keyed(before, endpoint.key), _keyed(after, endpoint.key), endpoint.key)
        kept.append((contrast, endpoint, seeds, keys, before, after, difference, standing))
    verdicts = judge([Claim(each[7], each[6][1], each[1].kind == UNHARMED) for each in kept], FIXED)
    findings = tuple(
        Finding(
            contrast,
            Row(
                endpoint,
                tuple(each.value for each in before),
                tuple(each.value for each in after),
                mean,
                interval,
                found,
                before[0].pictures,
                verdict,
            ),
            seeds,
            keys,
        )
        for (contrast, endpoint, seeds, keys, before, after, (mean, found, interval), _), verdict in zip(
            kept, verdicts, strict=True
        )
    )
    few = dict.fromkeys(
        f"{each.row.endpoint.name} on {each.contrast.after.data} ({each.row.pictures})"
        for each in findings
        if each.row.pictures < FEW_PICTURES
    )
    if few:
        remarks.append(f"rests on fewer than {FEW_PICTURES} pictures, so the interval is too narrow: {', '.join(few)}")
    return findings


Sides = tuple[tuple[int, ...], list[Measured], list[Measured], tuple[str, ...], float]


def _sides(contrast: Contrast, key: str, runs: Runs, material: Material, resamples: int) -> Sides | None:
    """The figure in the runs of both ways, seed by seed, the cells behind it and the baseline; None without runs."""
    ways = [contrast.before, contrast.after]
    if contrast.kind == UNDER_NOISE:
        plain = [chosen(runs, way.row, BASELINE) for way in ways]
        ways += [each for each in plain if each]
        if len(ways) < 4:
            return None
    seeds = [seed for seed in sorted(runs[ways[0]]) if all(seed in runs[way] for way in ways)]
    values = {
        way: {seed: found for seed in seeds if (found := _value(runs[way][seed], key, material, resamples))}
        for way in ways
    }
    whole = tuple(seed for seed in seeds if all(seed in values[way] for way in ways))
    if not seeds:
        return None
    keys = tuple(runs[way][seed].stored.cell.key for seed in whole for way in ways)
    columns = [[values[way][seed] for seed in whole] for way in ways]
    if contrast.kind == UNDER_NOISE:
        standing = float(np.mean([each.value for each in columns[2]])) if whole else 0.0
        gains = [[_less(one, other) for one, other in zip(columns[at], columns[at + 2], strict=True)] for at in (0, 1)]
        return whole, gains[0], gains[1], keys, standing
    standing = float(np.mean([each.value for each in columns[0]])) if whole else 0.0
    return whole, columns[0], columns[1], keys, standing


def _value(run: Run, key: str, material: Material, resamples: int) -> Measured | None:
    """A figure of a run, None where the data holds nothing to measure it on."""
    child, _, metric = key.rpartition(".")
    if metric == LEARNING:
        value = learning(run, child)
        # The engine's own validation leaves no matches, so these pictures cannot be drawn again.
        return None if value is None else Measured(value, np.full(resamples, np.nan), max(material.val_images, 1))
    found = run.figures.measured.get(key)
    return found if found is not None and found.value >= 0 else None


def _less(one: Measured, other: Measured) -> Measured:
    return Measured(one.value - other.value, one.resampled - other.resampled, one.pictures)


def _keyed(measured: Sequence[Measured], key: str) -> list[dict[str, Measured]]:
    return [{key: each} for each in measured]


def primary(findings: Sequence[Finding], row: CellRow, arm: str = ICR) -> list[Finding]:
    """The findings that decide whether an arm beats the baseline in a row."""
    return [
        each
        for each in findings
        if each.contrast.kind == AGAINST_BASELINE
        and each.contrast.after.row == row
        and each.contrast.after.arm == arm
        and each.row.endpoint.kind == PRIMARY
    ]
