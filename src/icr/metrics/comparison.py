"""A comparison of two ways of training: its endpoints, their verdicts, and how a person and a program read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from icr.metrics.paired import LEVEL, Estimate
from icr.metrics.verdict import FIXED, Rules, Verdict

PRIMARY, SECONDARY, UNHARMED = "primary", "secondary", "unharmed"


@dataclass(frozen=True)
class Endpoint:
    """A figure that is compared.

    Attributes:
        key: `plate.AP50`, `vehicle.AP`, `pairs.recall`.
        name: as a person reads it.
        kind: `primary` (what decides), `secondary`, or `unharmed` (a parent class, which should stay as it is).
    """

    key: str
    name: str
    kind: str


@dataclass(frozen=True)
class Row:
    """One endpoint, compared.

    Attributes:
        endpoint: what was compared.
        before, after: its value in each run of either arm, seed by seed, 0..1.
        mean: mean of after − before.
        interval: of the mean; with a single pair of runs it covers the choice of pictures alone.
        estimate: of the mean; None with a single pair of runs.
        pictures: pictures that the figure rests on.
        verdict: the word, and why.
    """

    endpoint: Endpoint
    before: tuple[float, ...]
    after: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    estimate: Estimate | None
    pictures: int
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        """The row as plain numbers; ratios 0..1, differences after − before."""
        found, verdict = self.estimate, self.verdict
        need = verdict.need
        return {
            "endpoint": self.endpoint.key,
            "kind": self.endpoint.kind,
            "before": list(self.before),
            "after": list(self.after),
            "difference": self.mean,
            "interval": None if self.interval is None else list(self.interval),
            "seed_error": None if found is None else float(found.seed_variance) ** 0.5,
            "image_error": None if found is None else float(found.image_variance) ** 0.5,
            "df": None if found is None else float(found.df),
            "p": verdict.p,
            "p_equivalent": verdict.p_equivalent,
            "pictures": self.pictures,
            "verdict": verdict.word,
            "reason": verdict.reason,
            "need": None
            if need is None
            else {"seeds": [need.fewest, need.most], "pictures": need.pictures, "told": need.told()},
        }


@dataclass(frozen=True)
class Comparison:
    """All endpoints of two arms.

    Attributes:
        arms: what the first and the second arm are called; differences are second − first.
        rows: the endpoints that have a value, primary ones first.
        seeds: of the pairs of runs; a pair of different seeds stands as both.
        split: the part of the data set.
        images: number of pictures in it.
        evaluator: name and version of the library behind the COCO figures.
        resamples: how often the pictures were drawn again.
        rules: fixed beforehand.
        remarks: what a person should know about how these figures came about.
    """

    arms: tuple[str, str]
    rows: tuple[Row, ...]
    seeds: tuple[tuple[int, int], ...]
    split: str
    images: int
    evaluator: str
    resamples: int
    rules: Rules = FIXED
    remarks: tuple[str, ...] = ()

    @property
    def headline(self) -> str:
        """What was found, in one line, by the first primary endpoint."""
        row = self.rows[0]
        told = f"{self.arms[1]} against {self.arms[0]}, {row.endpoint.name}: {row.verdict.word}"
        return f"{told}, {_difference(row)} points over {_counted(len(self.seeds), 'pair')} of runs"

    def as_json(self) -> dict[str, Any]:
        """Everything as one object of plain numbers, texts, lists and None, ready for JSON."""
        return {
            "verdict": self.rows[0].verdict.word,
            "headline": self.headline,
            "arms": list(self.arms),
            "seeds": [list(pair) for pair in self.seeds],
            "split": self.split,
            "images": self.images,
            "evaluator": self.evaluator,
            "statistics": {
                "level": LEVEL,
                "alpha": self.rules.alpha,
                "margin": self.rules.margin,
                "baseline_range": [self.rules.floor, self.rules.ceiling],
                "fewest_seeds": self.rules.fewest_seeds,
                "resamples": self.resamples,
                "claims": len(self.rows),
            },
            "claims": [row.as_json() for row in self.rows],
            "remarks": list(self.remarks),
        }

    def as_table(self) -> str:
        """Everything as text for a terminal."""
        cells = [["", *self.arms, "difference", "verdict"], *self._cells()]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
        table = "\n".join(line.rstrip() for line in lines)
        return "\n\n".join([self._caption(), table, "\n".join(self._reasons()), *self._footer(), self.headline])

    def as_markdown(self) -> str:
        """The table and its reasons as Markdown."""
        cells = [["", *self.arms, "difference", "verdict"], ["---", "---:", "---:", "---", "---"], *self._cells()]
        table = "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in cells)
        reasons = "\n".join(f"- {reason}" for reason in self._reasons())
        return "\n\n".join([f"**{self.headline}**", self._caption(), table, reasons, *self._footer()]) + "\n"

    def _caption(self) -> str:
        pairs = _counted(len(self.seeds), "pair")
        what = "pictures drawn again alone" if len(self.seeds) == 1 else "seeds and pictures"
        return (
            f"{self.split}, {_counted(self.images, 'picture')}, {pairs} of runs, {self.evaluator}; points (0..100), "
            f"{self.arms[1]} − {self.arms[0]} [{LEVEL:.0%} interval: {what}]; * decides"
        )

    def _cells(self) -> list[list[str]]:
        return [
            [
                f"{row.endpoint.name}{' *' if row.endpoint.kind == PRIMARY else ''}",
                f"{100 * np.mean(row.before):.1f}",
                f"{100 * np.mean(row.after):.1f}",
                _difference(row),
                row.verdict.word,
            ]
            for row in self.rows
        ]

    def _reasons(self) -> list[str]:
        alike: dict[str, list[str]] = {}
        for row in self.rows:
            need = row.verdict.need
            settle = f"; to settle it: {need.told()}" if need else ""
            alike.setdefault(f"{row.verdict.reason}{settle}", []).append(row.endpoint.name)
        return [f"{', '.join(names)}: {reason}" for reason, names in alike.items()]

    def _footer(self) -> list[str]:
        return ["\n".join(self.remarks)] if self.remarks else []


def _difference(row: Row) -> str:
    """A difference in points with its interval.

    Example:
        >>> plate = Endpoint("plate.AP50", "plate AP50", PRIMARY)
        >>> _difference(Row(plate, (0.5,), (0.52,), 0.02, (-0.01, 0.05), None, 40, Verdict("cannot tell", "")))
        '+2.0 [-1.0, +5.0]'
    """
    told = f"{100 * row.mean:+.1f}"
    return told if row.interval is None else f"{told} [{100 * row.interval[0]:+.1f}, {100 * row.interval[1]:+.1f}]"


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
