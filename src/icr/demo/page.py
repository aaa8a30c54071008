"""The report as one HTML file that works offline: pictures as data URIs, charts as SVG, style and script in place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from icr.demo.charts import Series, line_chart
from icr.demo.overlays import closeup, legend, overlay, picture_image, plates_of
from icr.demo.report import Curve, Figure, Picture, Report, Row, Way, headline, signed
from icr.demo.scene import scene, shown

BASELINE, ICR = "Without ICR", "With ICR"

_GROUPS = {
    "plate": "Plates, the small objects",
    "vehicle": "Vehicles, their parents: they should not suffer",
    "pairs": "Pairs of plate and vehicle, among predictions of score 0.25 and more",
}

_CLOSEUPS = 2
"""At most so many plates of a picture are shown close up."""


def render(report: Report) -> str:
    """Write the page.

    Args:
        report: what was found.

    Returns:
        A whole HTML document that asks nothing of any network; every text in it is escaped.
    """
    way = report.way
    return Template(_asset("report.html")).substitute(
        style=_asset("report.css"),
        script=_asset("report.js"),
        headline=escape(headline(report)),
        cards=_cards(report),
        test_pictures=report.test_pictures,
        test_plates=report.test_plates,
        rows=_rows(report.rows),
        picture_rule=escape(report.picture_rule),
        legend=legend(),
        images="".join(picture_image(place, picture) for place, picture in enumerate(report.pictures)),
        pictures="".join(_picture(place, picture) for place, picture in enumerate(report.pictures)),
        curves="".join(_curve(curve) for curve in report.curves),
        positions=len(way.baseline) - 1,
        shown=shown(way.baseline),
        shown_step=shown(way.baseline) * way.stride,
        steps=(len(way.baseline) - 1) * way.stride,
        scene=scene(way),
        way_iou=_way_chart(way, way.baseline_iou, way.icr_iou, "IoU of this box by step", "way-iou"),
        way_mean=_way_chart(way, way.baseline_mean, way.icr_mean, "Mean IoU of many boxes by step", ""),
        starts=f"{way.starts:,}",
        baseline_mean=f"{way.baseline_mean[-1]:.2f}",
        icr_mean=f"{way.icr_mean[-1]:.2f}",
        better=f"{way.better:.0%}",
        worse=f"{way.worse:.0%}",
        way_data=_way_data(way),
        again=escape(report.again),
        own=escape(report.own),
        facts="".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in report.facts),
    )


def _asset(name: str) -> str:
    return files("icr.demo").joinpath(name).read_text(encoding="utf-8")


def _cards(report: Report) -> str:
    cards = (
        ("Plates, AP50", report.row("plate.AP50"), "1 would be: every plate found, and nothing else taken for one"),
        ("Pairs found", report.row("pairs.recall"), "of all labelled pairs: the plate and its vehicle, both of them"),
        ("Plates on no vehicle", report.row("pairs.orphan_rate"), "of all predicted plates; the lower the better"),
    )
    return "".join(
        f'<div class="card"><h3>{escape(title)}</h3><p class="figures">'
        f'<span class="baseline">{row.baseline.value:.3f}</span><span class="arrow">→</span>'
        f'<span class="icr">{row.icr.value:.3f}</span></p><p>{escape(meaning)}</p></div>'
        for title, row, meaning in cards
        if row is not None
    )


def _rows(rows: Sequence[Row]) -> str:
    widest = max((_reach(row.difference) for row in rows), default=0) or 1.0
    body, group = [], ""
    for row in rows:
        found = row.key.partition(".")[0]
        if found != group:
            group = found
            name = escape(_GROUPS.get(group, group))
            body.append(f'<tr class="group"><th colspan="4" scope="rowgroup">{name}</th></tr>')
        body.append(
            f'<tr><th scope="row">{escape(row.name)}<small>{escape(row.meaning)}</small></th>'
            f"{_cell(row.baseline, BASELINE)}{_cell(row.icr, ICR)}{_difference(row, widest)}</tr>"
        )
    return "".join(body)


def _reach(figure: Figure) -> float:
    return max(abs(end) for end in (figure.value, figure.low or 0.0, figure.high or 0.0))


def _cell(figure: Figure, column: str) -> str:
    span = "" if figure.low is None or figure.high is None else f"<small>{figure.low:.3f} – {figure.high:.3f}</small>"
    return f'<td data-column="{column}"><b>{figure.value:.3f}</b>{span}</td>'


def _difference(row: Row, widest: float) -> str:
    figure = row.difference
    verdict = "even"
    if figure.clear:
        verdict = "better" if (figure.value > 0) == row.higher_is_better else "worse"
    ends = (figure.value if end is None else end for end in (figure.value, figure.low, figure.high))
    x, x_low, x_high = (60 + 54 * end / widest for end in ends)
    bar = (
        '<svg class="whisker" viewBox="0 0 120 14" aria-hidden="true">'
        '<line class="zero" x1="60" x2="60" y1="0" y2="14"/>'
        f'<line x1="{x_low:.1f}" x2="{x_high:.1f}" y1="7" y2="7"/><circle cx="{x:.1f}" cy="7" r="3.5"/></svg>'
    )
    return f'<td data-column="Difference" class="{verdict}"><b>{signed(figure.value)}</b>{bar}</td>'


def _picture(place: int, picture: Picture) -> str:
    columns = []
    for title, style, marks in ((BASELINE, "baseline", picture.baseline), (ICR, "icr", picture.icr)):
        close = "".join(closeup(place, picture, marks, plate) for plate in plates_of(picture)[:_CLOSEUPS])
        columns.append(
            f'<div class="panel"><h3 class="{style}">{title}</h3>{overlay(place, picture, marks)}'
            f'<div class="closeups">{close}</div></div>'
        )
    return f'<figure class="sides">{"".join(columns)}<figcaption>{escape(picture.caption)}</figcaption></figure>'


def _curve(curve: Curve) -> str:
    series = [
        Series(name, style, points)
        for name, style, points in ((BASELINE, "baseline", curve.baseline), (ICR, "icr", curve.icr))
        if points
    ]
    chart = line_chart(series, title=curve.title, x_label="epoch", y_range=curve.y_range)
    return f"<figure><h3>{escape(curve.title)}</h3>{chart}<figcaption>{escape(curve.caption)}</figcaption></figure>"


def _way_chart(way: Way, baseline: Sequence[float], icr: Sequence[float], title: str, identity: str) -> str:
    series = [
        Series(name, style, [(place * way.stride, value) for place, value in enumerate(values)])
        for name, style, values in (("CIoU", "baseline", baseline), ("ICR-CIoU", "icr", icr))
    ]
    return line_chart(series, title=title, x_label="step", y_range=(0.0, 1.0), identity=identity)


def _way_data(way: Way) -> str:
    def rounded(boxes: Sequence[Sequence[float]]) -> list[list[float]]:
        return [[round(value, 1) for value in box] for box in boxes]

    told = {"stride": way.stride, "baseline": rounded(way.baseline), "icr": rounded(way.icr)}
    return json.dumps(told, separators=(",", ":"))
