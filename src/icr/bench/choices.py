"""What is chosen on the validation pictures: the best plain base, the best box gain, the best λ of ICR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from icr.bench.contrasts import BASELINE, GAIN, ICR, Choices, Way
from icr.bench.gathering import Material, Runs, final


def choose_all(runs: Runs, materials: Mapping[str, Material]) -> Choices:
    """Choose on the pictures of `val`, whatever those of `test` show.

    Args:
        runs: the measured runs.
        materials: the data sets by name.
    """
    bases, gains, weights = {}, {}, {}
    for row in dict.fromkeys(way.row for way in runs):
        children = materials[row.data].children
        there = [way for way in runs if (way.data, way.model) == (row.data, row.model)]
        if base := best([way for way in there if way.arm == BASELINE], runs, children):
            bases[row.data, row.model] = base.base
        tuned = [way for way in there if way.row == row and way.arm.startswith(f"{GAIN}-")]
        plain = [way for way in there if way.row == row and way.arm == BASELINE]
        if tuned and (gain := best([*plain, *tuned], runs, children)):
            gains[row] = gain
        if weight := best([way for way in there if way.row == row and way.arm == ICR], runs, children):
            weights[row] = weight.weight
    return Choices(bases, gains, weights)


def best(ways: Iterable[Way], runs: Runs, children: Sequence[str]) -> Way | None:
    """The way with the highest mean AP50 of the children on `val` after the last epoch, over the seeds all ways have.

    Args:
        ways: the candidates.
        runs: the measured runs.
        children: class names.

    Returns:
        Of equals the first; None where there is no candidate, no seed that all of them have, or no curve.
    """
    scores: dict[Way, float] = {}
    candidates = list(ways)
    common = set.intersection(*(set(runs[way]) for way in candidates)) if candidates else set()
    for way in candidates:
        found = [final(runs[way][seed], child) for seed in sorted(common) for child in children]
        values = [each.ap50 for each in found if each is not None and each.ap50 >= 0]
        if not values or len(values) < len(found):
            return None
        scores[way] = float(np.mean(values))
    return max(scores, key=lambda way: scores[way], default=None)
