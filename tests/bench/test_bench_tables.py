"""Tables as the paper prints them, ours beside; and every table in its four forms."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from fabricated_store import write_data, write_store

from icr.bench import paper
from icr.bench.analysis import Analysis, analyse
from icr.bench.grid import Source
from icr.bench.paper_tables import paper_tables
from icr.bench.table import Table, csv_text, latex, markdown, plain
from icr.bench.tables import by_epoch, own_tables


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    folder = tmp_path_factory.mktemp("tables")
    sets = {name: Source(path=write_data(folder / name, 12)) for name in ("svmlp", "mine")}
    rates = {"baseline": 0.25, "icr": 0.5}
    store = write_store(
        folder,
        lambda cell: rates[cell.arm],
        seeds=2,
        data=sets,
        models={"n": "yolo11n", "other": "yolov8n"},
        skip=lambda cell: cell.model == "other" and cell.data == "mine",
    )
    return analyse(store, resamples=10)


@pytest.fixture(scope="module")
def tables(analysis: Analysis) -> dict[str, Table]:
    return {table.name: table for table in (*own_tables(analysis), *paper_tables(analysis))}


def test_each_of_the_papers_tables_is_there_for_what_was_run(tables: dict[str, Table]) -> None:
    assert {"table2-svmlp", "table2-mine", "table3-n", "table3-other", "table4-svmlp-n", "table4-mine-n"} <= set(tables)
    assert "table4-mine-other" not in tables


@pytest.mark.parametrize(("name", "number"), [("table2-svmlp", 2), ("table3-n", 3), ("table4-svmlp-n", 4)])
def test_the_papers_numbers_stand_as_the_paper_has_them(tables: dict[str, Table], name: str, number: int) -> None:
    for theirs, record in zip(paper.table(number), tables[name].records, strict=False):
        for column, text in theirs.items():
            if column.startswith(("val_", "test_")):
                assert record[f"{column}_paper"] == float(text)


def test_ours_stands_beside_the_row_it_belongs_to(analysis: Analysis, tables: dict[str, Table]) -> None:
    found = {(row["model"], row["icr"]): row for row in tables["table2-svmlp"].records}
    ours = found["YOLOv11-T", "yes"]
    way = next(way for way in analysis.runs if (way.data, way.model, way.arm) == ("svmlp", "n", "icr"))
    values = [run.figures.measured["plate.AP50"].value for run in analysis.runs[way].values()]
    assert ours["test_ap50_ours"] == pytest.approx(100 * sum(values) / 2, abs=1e-3)
    assert ours["val_ap50_ours"] == pytest.approx(50.0)
    assert ours["val_ap_s_ours"] is None
    assert ours["seeds"] == 2
    assert found["YOLOv12-T", "yes"]["test_ap50_ours"] is None
    # A model that the paper has not stands below, without a figure of the paper's.
    assert found["other", "no"]["test_ap50_paper"] is None and found["other", "no"]["test_ap50_ours"] is not None


def test_data_sets_are_found_by_name_and_others_are_added(tables: dict[str, Table]) -> None:
    found = {(row["dataset"], row["icr"]): row for row in tables["table3-n"].records}
    assert found["SVMLP", "no"]["test_ap50_vehicle_ours"] == pytest.approx(100)
    assert found["CRPD", "no"]["test_ap50_plate_ours"] is None
    assert found["mine", "yes"]["test_ap50_plate_ours"] is not None
    assert tables["table3-n"].ours == 4 and tables["table2-mine"].ours == 2


def test_a_cell_shows_both(tables: dict[str, Table]) -> None:
    table = tables["table4-svmlp-n"]
    row = next(row for row in table.rows if row[:2] == ("ciou", "yes"))
    assert row[2] == "66.7 / 50.0"
    assert next(row for row in table.rows if row[:2] == ("iou", "yes"))[2] == "68.6 / –"


def test_r_and_the_factor_are_told_epoch_by_epoch(analysis: Analysis) -> None:
    table = by_epoch(analysis)
    assert [row[0] for row in table.rows] == ["1", "2", "3"]
    assert table.rows[0][1] == "0.700 (1.75)"
    assert {(row["epoch"], row["containment"]) for row in table.records} == {(1, 0.7), (2, 0.85), (3, 0.9)}
    assert len(table.head) == 1 + len(analysis.runs)


def test_every_table_is_whole_in_every_form(tables: dict[str, Table]) -> None:
    for table in tables.values():
        assert all(len(row) == len(table.head) for row in table.rows), table.name
        lines = [line for line in markdown(table).splitlines() if line.startswith("|")]
        assert len(lines) == len(table.rows) + 2
        assert {line.count("|") for line in lines} == {len(table.head) + 1}
        body = [line for line in latex(table).splitlines() if line.endswith(r"\\")]
        assert {line.count("&") - line.count(r"\&") for line in body} == {len(table.head) - 1}
        read = list(csv.DictReader(io.StringIO(csv_text(table))))
        assert len(read) == len(table.records)
        assert json.loads(json.dumps(plain(table), allow_nan=False))["name"] == table.name


def test_what_latex_would_take_for_its_own_is_escaped() -> None:
    text = latex(Table("t", "50 % of a_b & c", ("x",), (("{λ ≥ 2}",),), ()))
    assert r"50 \% of a\_b \& c" in text and r"\{$\lambda$ $\ge$ 2\}" in text


def test_seconds_and_interruptions_stand_with_the_runs(tables: dict[str, Table], tmp_path: Path) -> None:
    table = tables["runs"]
    assert len(table.rows) == 12 and all(row[1] == "finished" for row in table.rows)
    assert all(float(row[3]) >= 60 for row in table.rows)
