"""The report as one HTML file that works offline: charts as SVG and style in place, every text escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from string import Template

from icr.bench import charts
from icr.bench.claims import ClaimResult
from icr.bench.evidence import Line
from icr.bench.figures import Shown
from icr.bench.sentences import Sentences
from icr.bench.table import Table
from icr.metrics.verdict import EQUIVALENT, HELPS, HURTS

_STYLES = {HELPS: "helps", HURTS: "hurts", EQUIVALENT: "equivalent"}


def render(
    *,
    name: str,
    headline: str,
    scope: str,
    spoken: Sequence[Sentences],
    remarks: Sequence[str],
    claims: Sequence[ClaimResult],
    claims_note: str,
    tables: Sequence[Table],
    figures: Sequence[tuple[Shown, str]],
    runs: Table | None,
    runs_told: str,
    methods: Sequence[str],
    facts: Sequence[tuple[str, str]],
) -> str:
    """Write the page.

    Args:
        name: of the grid.
        headline, scope: the answer, and what it rests on, a sentence each.
        spoken: what was found, for each data set, model and base.
        remarks: what a reader must know before relying on it.
        claims, claims_note: the paper's claims with their verdicts, and how many were judged together.
        tables: in the order shown.
        figures: likewise, each with the text of its SVG file.
        runs, runs_told: the runs, and how many of them there are, in words.
        methods: paragraphs.
        facts: versions, hardware, commands; name and value.

    Returns:
        A whole HTML document that asks nothing of any network.
    """
    return Template(_asset("report.html")).substitute(
        style=_asset("report.css"),
        name=escape(name),
        headline=escape(headline),
        scope=_text(scope),
        spoken="".join(_spoken(each) for each in spoken),
        remarks=_remarks(remarks),
        claims_note=_text(claims_note),
        claims="".join(_claim(each) for each in claims),
        tables="".join(_table(each) for each in tables) or "<p>No run is finished yet, so there is no table.</p>",
        figures="".join(_figure(*each) for each in figures) or "<p>No run is finished yet, so there is no figure.</p>",
        runs_told=_text(runs_told),
        runs=_cells(runs) if runs else "",
        methods="".join(f"<p>{_text(each)}</p>" for each in methods),
        facts="".join(f"<div><dt>{escape(key)}</dt><dd>{_text(value)}</dd></div>" for key, value in facts),
    )


def _asset(name: str) -> str:
    return files("icr.bench").joinpath(name).read_text(encoding="utf-8")


def _text(text: str) -> str:
    """Escaped, with what stands between backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _spoken(said: Sentences) -> str:
    body = "".join(f"<p>{_text(each)}</p>" for each in said.all)
    return f'<div class="spoken"><h3>{escape(said.row.spelt())}</h3>{body}</div>'


def _remarks(remarks: Sequence[str]) -> str:
    if not remarks:
        return ""
    items = "".join(f"<li>{_text(each)}</li>" for each in remarks)
    return f'<aside class="caution"><strong>To be known before relying on it</strong><ul>{items}</ul></aside>'


def _word(word: str) -> str:
    return f'<span class="word {_STYLES.get(word, "open")}">{escape(word)}</span>'


def _claim(result: ClaimResult) -> str:
    data = ", ".join(dict.fromkeys(line.data for line in result.lines))
    found_on = f" on {escape(data)}" if data else ""
    note = f'<p class="note">{_text(_sentence(result.note))}</p>' if result.note else ""
    return (
        f'<div class="claim" id="claim-{result.paper.number}"><div class="number">{result.paper.number}</div><div>'
        f"<h3>{escape(result.paper.claim)}</h3>"
        f'<p class="paper">The paper: {_text(result.paper.figure)}</p>'
        f'<p class="verdict">Here: {_word(result.word)}{found_on}</p>'
        f"{_lines(result.lines)}"
        f"{note}"
        f"{_runs_behind(result.lines)}</div></div>"
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _lines(lines: Sequence[Line]) -> str:
    if not lines:
        return ""
    rows = "".join(
        f"<li><div><b>{escape(line.difference)}</b> {_word(line.word)} <span>{escape(line.ours)}</span></div>"
        f"<div><span>{escape(line.what)} · {escape(line.where)}</span></div>"
        f'<div class="why">{_text(line.reason)}</div></li>'
        for line in lines
    )
    return f'<ul class="lines">{rows}</ul>'


def _runs_behind(lines: Iterable[Line]) -> str:
    runs = list(dict.fromkeys(run for line in lines for run in line.runs))
    if not runs:
        return ""
    items = "".join(f"<li><code>{escape(run)}</code></li>" for run in runs)
    return f'<details><summary>the {len(runs)} runs behind it</summary><ul class="runs">{items}</ul></details>'


def _table(table: Table) -> str:
    notes = "".join(f'<p class="note">{_text(note)}</p>' for note in table.notes)
    opened = " open" if table.ours else ""
    return f'<details class="table"{opened}><summary>{escape(table.title)}</summary>{_cells(table)}{notes}</details>'


def _cells(table: Table) -> str:
    def cell(kind: str, place: int, text: str) -> str:
        side = ' class="w"' if place < table.words else ""
        return f"<{kind}{side}>{_word(text) if text in _STYLES else _beside(text)}</{kind}>"

    head = "".join(cell("th", place, text) for place, text in enumerate(table.head))
    rows = "".join(
        f"<tr>{''.join(cell('td', place, text) for place, text in enumerate(row))}</tr>" for row in table.rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _beside(text: str) -> str:
    """Of the paper's figure and ours, ours in bold."""
    theirs, slash, ours = text.partition(" / ")
    return f"{escape(theirs)} / <b>{escape(ours)}</b>" if slash and ours != "–" else escape(text)


def _figure(shown: Shown, svg: str) -> str:
    picture = charts.inline_svg(svg, shown.name, shown.title)
    return (
        f'<figure><h3>{escape(shown.title)}</h3><div class="wide">{picture}</div>'
        f"<figcaption>{_text(shown.caption)}</figcaption></figure>"
    )
