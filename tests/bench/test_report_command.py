"""`icr bench report` and `icr bench figure …` as a person runs them, on stores and runs that no training made."""

from __future__ import annotations

import io
import json
import os
import re
from contextlib import redirect_stdout
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fabricated_store import CAR, PLATES, write_store
from PIL import Image

from icr.bench.grid import Cell
from icr.bench.report import latest_store, write_report
from icr.bench.store import folder_of
from icr.cli.commands import run
from icr.errors import InputError
from icr.predicting.video import frames
from icr.predictions import Predictions

ARMS = ("baseline", "icr")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(
        tmp_path_factory.mktemp("made"), lambda cell: 0.3 + 0.1 * (cell.arm == "icr"), seeds=2, weights=(1.0, 2.5)
    )


@pytest.fixture(scope="module")
def told(store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the command prints with --json; its report lies in `folder`."""
    out, printed = tmp_path_factory.mktemp("reports") / "first", io.StringIO()
    with redirect_stdout(printed):
        assert run(["bench", "report", str(store), "--out", str(out), "--resamples", "40", "--json"]) == 0
    found: dict[str, Any] = json.loads(printed.getvalue())
    assert found["folder"] == str(out)
    return found


@pytest.fixture(scope="module")
def reported(told: dict[str, Any]) -> Path:
    return Path(told["folder"])


class Page(HTMLParser):
    """Collects what a page would fetch, its identifiers and the targets within it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.identifiers: list[str] = []
        self.targets: list[str] = []
        self.headings: list[str] = []
        self.last = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.last = tag
        for name, value in attrs:
            if name == "id":
                self.identifiers.append(value or "")
            if name in ("src", "href", "srcset", "data", "action"):
                if (value or "").startswith("#"):
                    self.targets.append((value or "")[1:])
                else:
                    self.outside.append(value or "")
        assert tag not in ("script", "link", "iframe", "object", "embed", "base")

    def handle_data(self, text: str) -> None:
        if self.last in ("h1", "h2"):
            self.headings.append(text.strip())


def test_the_page_asks_nothing_of_any_network(reported: Path) -> None:
    text = (reported / "report.html").read_text()
    page = Page(text)
    assert page.outside == []
    assert len(set(page.identifiers)) == len(page.identifiers)
    assert set(page.targets) <= set(page.identifiers)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(page.identifiers)
    assert not re.search(r"https?:|@import|url\((?!#)", text)


def test_the_page_begins_with_the_verdict_and_ends_with_what_it_was_made_with(reported: Path) -> None:
    headings = [each for each in Page((reported / "report.html").read_text()).headings if each]
    assert headings[0].startswith("ICR against the baseline, plate AP50: cannot tell")
    assert headings[1:] == [
        "The paper’s claims, one by one",
        "Tables",
        "Figures",
        "Runs",
        "How this was judged",
        "Made with",
    ]


def test_every_chart_and_table_is_there_in_every_form(reported: Path) -> None:
    tables = {path.stem for path in (reported / "tables").iterdir()}
    assert {"arms", "differences", "relation-by-epoch", "runs", "table2-scenes", "table3-small"} <= tables
    assert all(
        (reported / "tables" / f"{name}{suffix}").stat().st_size for name in tables for suffix in (".md", ".tex")
    )
    pictures = {path.name for path in (reported / "figures").iterdir()}
    assert {"differences.png", "differences.svg", "sweep-scenes-small-ciou.png"} <= pictures
    for picture in (reported / "figures").glob("*.png"):
        with Image.open(picture) as opened:
            assert opened.convert("L").getextrema()[0] < 120, picture


def test_json_is_one_object_that_says_the_same(told: dict[str, Any], reported: Path) -> None:
    assert told == json.loads((reported / "report.json").read_text())
    assert [each["number"] for each in told["claims"]] == list(range(1, 13))
    assert told["finished"] == 6 and told["failed"] == [] and told["pending"] == []
    assert {"endpoint", "interval", "verdict", "runs", "seeds", "data"} <= told["findings"][0].keys()


def test_the_answer_is_said_on_the_terminal(
    store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "bench-made-up").symlink_to(store)
    monkeypatch.chdir(tmp_path)
    assert run(["bench", "report", "--resamples", "40", "--out", "here"]) == 0
    captured = capfd.readouterr()
    assert captured.out.startswith("ICR against the baseline, plate AP50: cannot tell")
    assert " 7  λ is stable in 1.75–3.0, best at 2.5: not measured here" in captured.out
    assert captured.out.endswith("here/report.html\n")
    assert "reporting runs/bench-made-up" in captured.err


def test_a_second_report_stands_beside_the_first_and_says_that_one_was_looked_at(tmp_path: Path) -> None:
    store = write_store(tmp_path, lambda cell: 0.5, seeds=1)
    for place, finished in (("report", 1), ("report-2", 2)):
        (store / place).mkdir()
        (store / place / "report.json").write_text(json.dumps({"finished": finished}))
    made = write_report(store, resamples=20, judge=lambda analysis: [])
    assert made.folder.name == "report-3"
    assert sum("a report was made when" in remark for remark in made.remarks) == 1
    assert any("when 1 of these 2 runs were finished" in remark for remark in made.remarks)


def test_interrupted_and_failed_runs_are_marked(tmp_path: Path) -> None:
    store = write_store(tmp_path, lambda cell: 0.5, seeds=1)
    for arm, change in (
        ("baseline-w0", {"interrupted": "continued"}),
        ("icr-w2.5", {"status": "failed", "error": "no <memory>"}),
    ):
        path = store / "cells" / "scenes" / "small" / "ciou" / arm / "seed0" / "cell.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    made = write_report(store, tmp_path / "out", resamples=20, judge=lambda analysis: [])
    text = (made.folder / "report.html").read_text()
    assert "continued exactly" in text and "failed: no &lt;memory&gt;" in text
    assert any("went on exactly where they were" in remark for remark in made.remarks)


def test_a_store_without_a_finished_run_gives_a_page_too(tmp_path: Path) -> None:
    store = write_store(tmp_path, lambda cell: 0.5, skip=lambda cell: True)
    made = write_report(store, resamples=20)
    assert "Nothing can be said yet" in (made.folder / "report.html").read_text()
    assert len(made.pending) == 8


def test_numbers_that_are_none_make_no_report_fail(tmp_path: Path) -> None:
    store = write_store(tmp_path, lambda cell: 0.0 if cell.arm == "icr" else 0.4, seeds=3, pictures=6)
    for cell in (store / "cells").glob("*/*/*/*/*"):
        (cell / "results.csv").write_text(
            "epoch,train/icr_pairs,train/icr_containment,train/icr_factor\n1,0,nan,nan\n2,3,0.9,1.2\n"
        )
        (cell / "curve.csv").write_text("epoch,class,AP,AP50\n1,plate,nan,nan\n2,plate,-1,-1\n")
    made = write_report(store, resamples=3, judge=lambda analysis: [])
    told = json.loads((made.folder / "report.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert told["finished"] == 6
    assert "mean R 0.90 in the first epoch and 0.90 in the last" in told["sentences"][0]["said"][-1]
    relation = json.loads((made.folder / "tables" / "relation-by-epoch.json").read_text())
    assert relation["rows"][0]["containment"] is None and relation["rows"][1]["factor"] == 1.2


def test_nothing_is_written_over(store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert run(["bench", "report", str(store), "--out", str(tmp_path)]) == 2
    assert "exists and is not empty" in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_a_store_it_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="icr bench run quick"):
        latest_store()


def test_the_latest_store_is_the_one_begun_last(tmp_path: Path) -> None:
    for place, name in enumerate(("bench-b", "bench-a")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "grid.json").write_text("{}")
        os.utime(tmp_path / name / "grid.json", (place, place))
    assert latest_store(tmp_path).name == "bench-a"


def test_figure_areas_counts_what_each_run_finds(
    store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = [
        folder_of(store, Cell("scenes", "small", "ciou", arm, weight, 0))
        for arm, weight in (("baseline", 0), ("icr", 2.5))
    ]
    out = tmp_path / "areas"
    assert run(["bench", "figure", "areas", *map(str, runs), "--out", str(out), "--json"]) == 0
    (child,) = json.loads(capfd.readouterr().out)["children"]
    assert child["class"] == "plate"
    assert child["labelled"] == [0, 0, 40, 40, 0, 0, 40, 0, 0]
    assert list(child["runs"]) == ["baseline-w0/seed0", "icr-w2.5/seed0"]
    before, after = (sum(found["found"]) for found in child["runs"].values())
    assert 0 < before < after < 120
    assert all(found["smallest_found"] == pytest.approx(200, abs=1) for found in child["runs"].values())
    assert {path.name for path in out.iterdir()} == {"areas-plate.png", "areas-plate.svg", "areas.json"}


def test_figure_sweep_needs_two_weights(store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "figure", "sweep", str(store), "--out", str(tmp_path / "a")]) == 0
    assert capfd.readouterr().out.startswith("scenes · small · ciou: λ 1, 2.5\n")
    single = write_store(tmp_path / "single", lambda cell: 0.5, seeds=1)
    assert run(["bench", "figure", "sweep", str(single), "--out", str(tmp_path / "b")]) == 2
    assert "icr bench run fig4" in capfd.readouterr().err
    assert not (tmp_path / "b").exists()


class Detector:
    """Finds one plate more with every epoch of its weights."""

    names = ("car", "plate")

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def predict(self, images, *, imgsz=None, batch=16):
        for _ in images:
            boxes = np.array([CAR, *PLATES[: self.epoch]])
            labels = np.array([0, *([1] * min(self.epoch, len(PLATES)))])
            yield Predictions(boxes, np.linspace(0.9, 0.5, len(boxes)), labels)


def with_epochs(run_folder: Path, epochs: range) -> Path:
    (run_folder / "weights").mkdir(exist_ok=True)
    for epoch in epochs:
        (run_folder / "weights" / f"epoch{epoch}.pt").write_bytes(b"")
    return run_folder


def test_figure_epochs_draws_strips_and_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    made = write_store(tmp_path, lambda cell: 0.5, seeds=1, pictures=4)
    loaded = []

    def load(weights: Path, device: str) -> Detector:
        loaded.append(weights.name)
        return Detector(int(re.sub(r"\D", "", weights.stem)))

    monkeypatch.setattr("icr.detectors.load", load)
    runs = [
        with_epochs(folder_of(made, Cell("scenes", "small", "ciou", arm, weight, 0)), epochs)
        for arm, weight, epochs in (("baseline", 0.0, range(4)), ("icr", 2.5, range(3)))
    ]
    out = tmp_path / "strips"
    arguments = ["bench", "figure", "epochs", *map(str, runs), "--pictures", "2", "--columns", "2", "--device", "cpu"]
    assert run([*arguments, "--out", str(out), "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert told["epochs"] == [1, 2, 3] and told["pictures"] == ["test0.png", "test2.png"]
    assert loaded == ["epoch0.pt", "epoch1.pt", "epoch2.pt"] * 2
    assert {path.name for path in out.iterdir()} == {"epochs-1-test0.jpg", "epochs-2-test2.jpg", "epochs.mp4"}
    seen = list(frames(out / "epochs.mp4"))
    assert len(seen) == 6 and (seen[0].picture.astype(int) - seen[-1].picture).any()


def test_figure_epochs_says_how_to_keep_weights(store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cell = folder_of(store, Cell("scenes", "small", "ciou", "baseline", 0.0, 0))
    assert run(["bench", "figure", "epochs", str(cell), "--out", str(tmp_path / "x"), "--device", "cpu"]) == 2
    assert "train with --set save_period=1" in capfd.readouterr().err


def test_runs_on_other_pictures_do_not_stand_in_one_figure(store: Path, tmp_path: Path, capfd) -> None:
    other = write_store(tmp_path, lambda cell: 0.5, seeds=1, pictures=7)
    runs = [str(folder_of(each, Cell("scenes", "small", "ciou", "baseline", 0.0, 0))) for each in (store, other)]
    assert run(["bench", "figure", "areas", *runs, "--out", str(tmp_path / "x"), "--device", "cpu"]) == 2
    assert "different test pictures" in capfd.readouterr().err
    assert run(["bench", "figure", "areas", runs[0], runs[0], "--out", str(tmp_path / "x"), "--device", "cpu"]) == 2
    assert "given twice" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "--resamples", "1"], "--resamples 1: expected a whole number of at least 2"),
        (["figure", "areas", "x", "--score", "2"], "--score 2: expected 0..1"),
        (["figure", "epochs", "x", "--pictures", "0"], "--pictures and --columns: expected whole numbers"),
    ],
)
def test_values_out_of_range_are_refused(arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", *arguments]) == 2
    assert said in capfd.readouterr().err
