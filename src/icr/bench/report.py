"""`icr bench report`: from a store to a folder with the page, the tables, the figures and all numbers as JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icr import runs as run_folders
from icr.bench import charts, page
from icr.bench import report_words as words
from icr.bench.analysis import Analysis, analyse
from icr.bench.arms import trained
from icr.bench.claims import ClaimResult, judge_claims
from icr.bench.figures import Shown, figures
from icr.bench.grid import Cell
from icr.bench.paper_tables import paper_tables
from icr.bench.report_words import NUMBERS
from icr.bench.sentences import Sentences, headline, speak
from icr.bench.table import Table, csv_text, latex, markdown, plain
from icr.bench.tables import own_tables
from icr.drawing.pictures import free_path
from icr.errors import InputError
from icr.metrics.paired import LEVEL
from icr.writing import refuse_filled

PAGE = "report.html"


@dataclass(frozen=True)
class Report:
    """What was found and where it lies.

    Attributes:
        folder: holds `report.html`, `report.json`, `tables/` and `figures/`.
        analysis: everything measured and judged.
        headline: the answer in one sentence.
        spoken: what was found, row by row.
        claims: the paper's claims with their verdicts.
        tables, figures: as written.
        remarks: what a person should know.
        pending: cells of the grid that are neither finished nor failed.
    """

    folder: Path
    analysis: Analysis
    headline: str
    spoken: Sequence[Sentences]
    claims: Sequence[ClaimResult]
    tables: Sequence[Table]
    figures: Sequence[Shown]
    remarks: Sequence[str]
    pending: Sequence[Cell]

    def as_json(self) -> dict[str, Any]:
        """Everything as one object of plain values."""
        analysis = self.analysis
        return {
            "folder": str(self.folder),
            "page": str(self.folder / PAGE),
            "store": str(analysis.store),
            "grid": analysis.grid.record(),
            "headline": self.headline,
            "sentences": [{"row": each.row.told(), "said": list(each.all)} for each in self.spoken],
            "claims": [each.as_json() for each in self.claims],
            "findings": [each.as_json() for each in analysis.findings],
            "statistics": {
                "level": LEVEL,
                "alpha": analysis.rules.alpha,
                "margin": analysis.rules.margin,
                "baseline_range": [analysis.rules.floor, analysis.rules.ceiling],
                "fewest_seeds": analysis.rules.fewest_seeds,
                "claims_judged_together": len(analysis.findings),
                "resamples": analysis.resamples,
            },
            "data": {name: _plain_material(each) for name, each in analysis.materials.items()},
            "tables": [plain(table) for table in self.tables],
            "finished": analysis.finished,
            "failed": [{"cell": cell.key, "error": error} for cell, error in analysis.failed],
            "pending": [cell.key for cell in self.pending],
            "remarks": list(self.remarks),
            **words.surroundings(analysis),
        }


def write_report(
    store: Path,
    out: Path | None = None,
    *,
    resamples: int = 1000,
    step: Callable[[int, int], None] = lambda done, total: None,
    judge: Callable[[Analysis], Sequence[ClaimResult]] = judge_claims,
) -> Report:
    """Analyse a store and write its report; nothing is trained, and nothing written over.

    Args:
        store: a folder made by `icr bench run`, finished or not.
        out: a folder that is new or empty; None: `report` in the store, or `report-2`, … where that is taken.
        resamples: how often the test pictures are drawn again.
        step: called with the runs measured so far, and how many there are.
        judge: gives the paper's claims their verdicts.

    Raises:
        InputError: the folder is no store, or `out` holds something.
    """
    folder = free_path(store, "report") if out is None else out
    refuse_filled(folder)
    analysis = analyse(store, resamples=resamples, step=step)
    pending = _pending(analysis)
    report = Report(
        folder=folder,
        analysis=analysis,
        headline=headline(analysis),
        spoken=speak(analysis),
        claims=judge(analysis),
        tables=[*own_tables(analysis), *paper_tables(analysis)],
        figures=figures(analysis),
        remarks=[*words.interruptions(analysis), *words.looked_before(store, analysis), *analysis.remarks],
        pending=pending,
    )
    _write(report)
    return report


def latest_store(runs: Path = Path("runs")) -> Path:
    """The store below a folder that was begun last.

    Raises:
        InputError: there is none.
    """
    found = sorted(runs.glob("bench-*/grid.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise InputError(f"there is no store {runs}/bench-…; make one with icr bench run quick, or name its folder")
    return found[-1].parent


def _write(report: Report) -> None:
    """Everything into a folder beside, which then takes the name: a kill leaves no half of a report."""
    part = report.folder.with_name(f".{report.folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        for name in ("tables", "figures"):
            (part / name).mkdir(parents=True)
        for table in report.tables:
            stem = part / "tables" / table.name
            texts = {".md": markdown(table), ".tex": latex(table), ".csv": csv_text(table)}
            texts[".json"] = json.dumps(plain(table), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
            for suffix, text in texts.items():
                stem.with_name(stem.name + suffix).write_text(text, encoding="utf-8")
        drawn = [(shown, charts.write(shown.figure, part / "figures" / shown.name)[1]) for shown in report.figures]
        run_folders.write_json(part / NUMBERS, report.as_json())
        (part / PAGE).write_text(
            _page(report, [(shown, svg.read_text(encoding="utf-8")) for shown, svg in drawn]), encoding="utf-8"
        )
        if report.folder.is_dir():
            report.folder.rmdir()
        part.replace(report.folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _page(report: Report, drawn: Sequence[tuple[Shown, str]]) -> str:
    analysis = report.analysis
    judged = len(analysis.findings)
    return page.render(
        name=analysis.grid.name,
        headline=report.headline,
        scope=words.scope(analysis),
        spoken=report.spoken,
        remarks=report.remarks,
        claims=report.claims,
        claims_note=(
            f"The claims of arXiv 2508.14343, each with the paper's figure and ours. {judged} differences were judged "
            "together (Holm); a claim that this store has no runs for says so."
        ),
        tables=[table for table in report.tables if table.name != "runs"],
        figures=drawn,
        runs=next((table for table in report.tables if table.name == "runs"), None),
        runs_told=words.runs_told(analysis, report.pending),
        methods=words.methods(analysis),
        facts=words.facts(analysis),
    )


def _plain_material(material: Any) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(material).items()}


def _pending(analysis: Analysis) -> list[Cell]:
    """Cells of the grid that have neither finished nor failed; those that could not be measured are said elsewhere."""
    done = {run.stored.cell for seeds in analysis.runs.values() for run in seeds.values()}
    done |= {cell for cell, _ in analysis.failed}
    try:
        cells = trained(analysis.grid.cells())
    except InputError:
        cells = analysis.grid.cells()
    return [cell for cell in cells if cell not in done]
