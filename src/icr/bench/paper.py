"""The paper's claims and tables, read from the files that come with the package."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from importlib.resources import files

_ROW = re.compile(r"^\|\s*(\d+)\s*\|(.+)\|(.+)\|\s*$", re.MULTILINE)


@dataclass(frozen=True)
class PaperClaim:
    """One claim of the paper.

    Attributes:
        number: from 1.
        claim: in words.
        figure: what the paper gives for it.
    """

    number: int
    claim: str
    figure: str


def claims() -> tuple[PaperClaim, ...]:
    """The claims, in the paper's order.

    Example:
        >>> [claims()[0].claim, len(claims())]
        ['plate AP50 rises (test)', 12]
    """
    found = _ROW.findall(_text("paper.md"))
    return tuple(
        PaperClaim(int(number), claim.strip(), figure.replace("**", "").strip()) for number, claim, figure in found
    )


def table(number: int) -> list[dict[str, str]]:
    """The rows of one of the paper's tables, as texts; figures of AP are in per cent.

    Example:
        >>> table(4)[0]["base"]
        'iou'
    """
    return list(csv.DictReader(_text(f"table{number}.csv").splitlines()))


def stable_weights() -> tuple[float, float, float]:
    """The range in which the paper calls λ stable, and the best λ: read from its claim.

    Example:
        >>> stable_weights()
        (1.75, 3.0, 2.5)
    """
    told = next(found for each in claims() if (found := re.search(r"([\d.]+)–([\d.]+), best at ([\d.]+)", each.claim)))
    low, high, best = map(float, told.groups())
    return low, high, best


def _text(name: str) -> str:
    return (files("icr") / "paper" / name).read_text(encoding="utf-8")
