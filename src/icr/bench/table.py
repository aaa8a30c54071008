"""A table in the four forms that people ask for: Markdown, LaTeX, CSV, JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "λ": r"$\lambda$",
    "−": r"$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "→": r"$\to$",
    "²": r"$^2$",
    "≥": r"$\ge$",
    "·": r"$\cdot$",
    "–": "--",
    "\u202f": r"\,",
}


@dataclass(frozen=True)
class Table:
    """A table with its numbers.

    Attributes:
        name: of its files.
        title: above it.
        head: of the columns.
        rows: as a reader sees them.
        records: as a program reads them: the same rows, figures as numbers, what has no value as None.
        notes: below it.
        words: how many columns from the left are words; the others are figures.
        ours: rows that hold a figure of this store.
    """

    name: str
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    records: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()
    words: int = 1
    ours: int = 0


def markdown(table: Table) -> str:
    """The table as Markdown, title and notes included.

    Example:
        >>> print(markdown(Table("t", "A title", ("arm", "AP50"), (("icr", "41.2"),), ())), end="")
        ### A title
        <BLANKLINE>
        | arm | AP50 |
        | --- | ---: |
        | icr | 41.2 |
    """
    rules = ["---" if place < table.words else "---:" for place in range(len(table.head))]
    lines = [f"### {table.title}", "", _line(table.head), _line(rules), *map(_line, table.rows)]
    if table.notes:
        lines += ["", *(f"{note}  " for note in table.notes)]
    return "\n".join(lines) + "\n"


def latex(table: Table) -> str:
    """The table as a LaTeX `table` that needs no package.

    Example:
        >>> "icr λ 2.5 & 41.2" in latex(Table("t", "A title", ("arm", "AP50"), (("icr λ 2.5", "41.2"),), ()))
        False
        >>> r"icr $\\lambda$ 2.5 & 41.2" in latex(Table("t", "A title", ("arm", "AP50"), (("icr λ 2.5", "41.2"),), ()))
        True
    """
    columns = "".join("l" if place < table.words else "r" for place in range(len(table.head)))
    notes = "".join(f"\\\\ {_tex(note)}" for note in table.notes)
    head = " & ".join(map(_tex, table.head))
    body = "\n".join(f"{' & '.join(map(_tex, row))} \\\\" for row in table.rows)
    return (
        f"\\begin{{table}}\n\\centering\\footnotesize\n\\caption{{{_tex(table.title)}}}\\label{{tab:{table.name}}}\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\hline\n{head} \\\\\n\\hline\n{body}\n\\hline\n"
        f"\\end{{tabular}}{notes}\n\\end{{table}}\n"
    )


def csv_text(table: Table) -> str:
    """The records as CSV; what has no value is empty.

    Example:
        >>> csv_text(Table("t", "", (), (), ({"arm": "icr", "AP50": 41.25, "AP": None},)))
        'arm,AP50,AP\\nicr,41.25,\\n'
    """
    columns = list(dict.fromkeys(key for record in table.records for key in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: "" if value is None else value for key, value in record.items()} for record in table.records)
    return text.getvalue()


def plain(table: Table) -> dict[str, Any]:
    """The table as one object of plain values."""
    return {"name": table.name, "title": table.title, "rows": list(table.records), "notes": list(table.notes)}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _tex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)
