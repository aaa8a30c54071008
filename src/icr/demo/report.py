"""What the demo found, as plain data: everything the page shows and nothing that computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""xyxy."""


@dataclass(frozen=True)
class Figure:
    """One measured number with its 95 % interval; `low` and `high` are None where none can be given."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def clear(self) -> bool:
        """Whether a difference is one: its interval leaves zero out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Row:
    """One line of the table: a figure of both detectors and their difference, ICR less baseline.

    Attributes:
        key: stable name for scripts, such as ``plate.AP50``.
        name: what the table calls it.
        meaning: one sentence in plain words.
        higher_is_better: False for rates of faults.
    """

    key: str
    name: str
    meaning: str
    baseline: Figure
    icr: Figure
    difference: Figure
    higher_is_better: bool = True


@dataclass(frozen=True)
class Marks:
    """Boxes in one picture, labelled or predicted.

    Attributes:
        boxes: xyxy in pixels of the picture.
        labels: class of each; 0 is the child (plate), 1 its parent (vehicle).
        parents: index of each box's parent in the same list, -1 for none.
        scores: 0..1; empty for labelled boxes.
    """

    boxes: Sequence[Box]
    labels: Sequence[int]
    parents: Sequence[int]
    scores: Sequence[float] = ()


@dataclass(frozen=True)
class Picture:
    """A test picture, what is truly in it, and what each detector found."""

    name: str
    caption: str
    jpeg: bytes
    width: int
    height: int
    truth: Marks
    baseline: Marks
    icr: Marks


@dataclass(frozen=True)
class Curve:
    """One quantity by epoch; either list may be empty where the run has no such figure."""

    title: str
    caption: str
    baseline: Sequence[tuple[float, float]]
    icr: Sequence[tuple[float, float]]
    y_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Way:
    """One box moved by gradient descent on each loss.

    Attributes:
        parent, target: the vehicle's and the plate's true boxes.
        stride: steps between the positions below.
        baseline, icr: the box on its way, the start first.
        baseline_iou, icr_iou: its IoU with the target.
        starts: how many random start boxes the means below are over.
        baseline_mean, icr_mean: mean IoU of those.
        better, worse: shares of those that end clearly nearer to the plate with ICR, and clearly farther.
    """

    parent: Box
    target: Box
    stride: int
    baseline: Sequence[Box]
    icr: Sequence[Box]
    baseline_iou: Sequence[float]
    icr_iou: Sequence[float]
    starts: int
    baseline_mean: Sequence[float]
    icr_mean: Sequence[float]
    better: float
    worse: float


@dataclass(frozen=True)
class Report:
    """All that the page tells.

    Attributes:
        seed: of the data, the weights and the order of training.
        test_pictures, test_plates: what the table was measured on.
        rows: the table.
        pictures: test pictures, in the order shown.
        picture_rule: in words, how they were chosen.
        curves: how training went.
        way: what the loss does to one box.
        facts: what was trained, on what, for how long; name and value.
        data: path of the generated data, as a command should name it.
        again: the command that repeats the two trainings with several seeds and gives a verdict.
        own: the command for the reader's own pictures.
    """

    seed: int
    test_pictures: int
    test_plates: int
    rows: Sequence[Row]
    pictures: Sequence[Picture]
    picture_rule: str
    curves: Sequence[Curve]
    way: Way
    facts: Sequence[tuple[str, str]]
    again: str
    own: str

    def row(self, key: str) -> Row | None:
        """The table's line of that key, None where the data gave it no value."""
        return next((row for row in self.rows if row.key == key), None)


def headline(report: Report) -> str:
    """The result in one sentence: what the plate's AP50 did, and whether the test pictures can tell it from chance.

    Example:
        >>> row = Row("plate.AP50", "AP50", "", Figure(0.6), Figure(0.65), Figure(0.05, -0.01, 0.11))
        >>> way = Way((0, 0, 1, 1), (0, 0, 1, 1), 1, [], [], [], [], 0, [], [], 0, 0)
        >>> headline(Report(0, 100, 200, [row], [], "", [], way, [], "", ""))
        'No clear difference: plate AP50 was 0.600 without ICR and 0.650 with it.'
    """
    row = report.row("plate.AP50")
    if row is None:
        return "The test pictures hold no plate, so nothing can be said of plates."
    figures = f"plate AP50 was {row.baseline.value:.3f} without ICR and {row.icr.value:.3f} with it."
    if not row.difference.clear:
        return f"No clear difference: {figures}"
    better = "found the plates better" if row.difference.value > 0 else "found the plates less well"
    return f"In this one run the detector trained with ICR {better}: {figures}"


def signed(value: float, digits: int = 3) -> str:
    """A number with its sign, the minus as a minus.

    Example:
        >>> signed(-0.25), signed(0.0)
        ('−0.250', '0.000')
    """
    text = f"{value:+.{digits}f}"
    return f"{0:.{digits}f}" if float(text) == 0 else text.replace("-", "−")


def as_table(rows: Sequence[Row]) -> str:
    """The table as text for a terminal.

    Returns:
        One line for each row, under a line of headings; intervals in brackets.
    """
    heads = ("", "without ICR", "with ICR", "difference")
    lines = [heads]
    for row in rows:
        group = "" if row.key.startswith("pairs") else f"{row.key.partition('.')[0]} "
        lines.append((group + row.name, _plain(row.baseline), _plain(row.icr), _plain(row.difference, sign=True)))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _plain(figure: Figure, sign: bool = False) -> str:
    show = signed if sign else "{:.3f}".format
    if figure.low is None or figure.high is None:
        return show(figure.value)
    return f"{show(figure.value)} [{show(figure.low)}, {show(figure.high)}]"
