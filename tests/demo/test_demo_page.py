"""The page holds all of the report, escapes it, and asks nothing of a network."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from icr.demo.charts import Series, line_chart, ticks
from icr.demo.page import render
from icr.demo.report import Figure, Report, as_table, headline

VOID = {"meta", "input", "link", "br", "img", "hr"}


class _Balance(HTMLParser):
    """Fails when an element is closed that is not the open one."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _parsed(report: Report) -> _Balance:
    parser = _Balance()
    parser.feed(render(report))
    assert parser.open == []
    return parser


def test_page_is_well_formed_and_holds_its_parts(report: Report) -> None:
    page, parsed = render(report), _parsed(report)
    assert headline(report) in page
    for text in ("0.612", "0.641", "+0.029", "Pair recall", report.picture_rule, report.again, report.own):
        assert text in page
    assert "One seed on a toy proves nothing" in page
    assert parsed.seen.count("tr") == 1 + len(report.rows) + 3  # heading, rows, three groups
    assert parsed.seen.count("image") == len(report.pictures)
    # Each picture: a whole view and its two plates close up, for each of two detectors.
    assert parsed.seen.count("use") == 2 * (1 + 2)


def test_page_asks_nothing_of_a_network(report: Report) -> None:
    links = [value for name, value in _parsed(report).attributes if name in {"href", "src", "srcset", "action"}]
    assert links
    assert all(value.startswith(("#", "data:")) for value in links)
    page = render(report).replace("http://www.w3.org/2000/svg", "")
    assert "http" not in page
    assert "//" not in re.sub(r'"data:[^"]*"', "", page).replace("<!doctype", "")
    assert not re.search(r"@import|url\(", page)


def test_page_escapes_what_it_is_given(report: Report) -> None:
    page = render(report)
    assert "small &lt;b&gt;net&lt;/b&gt; &amp; more" in page
    assert "<b>net" not in page
    assert "<script>1.jpg" not in page
    hostile = dataclasses.replace(report, own='"><img src=x onerror=alert(1)>', picture_rule="<i>rule")
    assert "img" not in _parsed(hostile).seen
    assert "<i>" not in render(hostile)


def test_differences_are_called_by_their_interval_and_their_sense(report: Report) -> None:
    page = render(report)
    cells = dict(re.findall(r'<tr><th scope="row">([^<]+)<small>.*?class="(better|worse|even)"', page))
    assert cells == {"AP50": "even", "Pair recall": "better", "Orphan rate": "better"}
    assert "No clear difference" in headline(report)
    worse = dataclasses.replace(report.rows[0], difference=Figure(-0.05, -0.08, -0.02))
    assert "less well" in headline(dataclasses.replace(report, rows=[worse]))
    better = dataclasses.replace(report.rows[0], difference=Figure(0.05, 0.02, 0.08))
    assert "found the plates better" in headline(dataclasses.replace(report, rows=[better]))


def test_terminal_table_has_a_line_for_each_row(report: Report) -> None:
    lines = as_table(report.rows).splitlines()
    assert lines[0].split() == ["without", "ICR", "with", "ICR", "difference"]
    assert lines[1].startswith("plate AP50")
    assert "+0.029 [−0.011, +0.070]" in lines[1]
    assert len(lines) == 1 + len(report.rows)
    assert len({line.index("0.") for line in lines[1:]}) == 1


def test_close_ups_say_what_was_found(report: Report) -> None:
    page = render(report)
    assert re.findall(r'class="(found|missed)">([^<]+)<', page) == [
        ("missed", "missed"),
        ("missed", "IoU 0.48, too loose"),
        ("missed", "missed"),
        ("found", "IoU 1.00"),
    ]


def test_chart_leaves_a_gap_where_there_is_no_value() -> None:
    chart = line_chart(
        [Series("a", "icr", [(0, 0.0), (1, float("nan")), (2, 1.0), (3, 0.5)])], title="t", x_label="epoch"
    )
    (path,) = re.findall(r' d="([^"]+)"', chart)
    assert path.count("M") == 2 and path.count("L") == 1
    # Left, bottom corner of the axes and their right end.
    assert path.startswith("M46.0 212.0")
    assert "406.0" in path
    with pytest.raises(ValueError, match="no finite point"):
        line_chart([Series("a", "icr", [(0, float("nan"))])], title="t", x_label="epoch")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (3, 3, [1.0, 2.0, 3.0, 4.0, 5.0]),  # equal ends are widened
        (-0.03, 0.07, [-0.04, -0.02, 0.0, 0.02, 0.04, 0.06, 0.08]),
        (120, 980, [0, 200, 400, 600, 800, 1000]),
    ],
)
def test_ticks_are_round_and_cover_the_range(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)
