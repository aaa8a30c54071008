"""The whole demo in miniature: made, killed, taken up again, and refused where it should be."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path

import pytest

pytest.importorskip("ultralytics")

from miniature import MINIATURE

from icr.cli.commands import run as icr
from icr.demo import run as demo
from icr.demo.progress import Progress, chatter_into
from icr.demo.settings import DemoSettings
from icr.errors import InputError
from icr.resumption import resumed


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


KILLED = """
import os, runpy, signal, sys
from icr.ultralytics import state

write = state.write

def write_and_die(*args):
    write(*args)
    os.kill(os.getpid(), signal.SIGKILL)

state.write = write_and_die
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def killed_and_resumed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo killed with SIGKILL after the first epoch of its first training, and run again to its end."""
    out = tmp_path_factory.mktemp("demo") / "out"
    script = str(Path(__file__).with_name("miniature.py"))
    assert subprocess.run([sys.executable, "-c", KILLED, script, str(out)]).returncode == -signal.SIGKILL
    assert (out / "baseline" / "weights" / "state.pt").is_file()
    assert not (out / "baseline" / "metrics.json").exists()
    subprocess.run([sys.executable, script, str(out)], check=True)
    return out


def test_killed_demo_goes_on_where_it_was(killed_and_resumed: Path) -> None:
    out = killed_and_resumed
    for name in ("baseline", "icr"):
        epochs = [line.split(",")[0] for line in (out / name / "results.csv").read_text().splitlines()[1:]]
        assert epochs == ["1", "2"]
        record = json.loads((out / name / "run.json").read_text())
        assert record["icr"] is (name == "icr") and record["trained"] is True
        assert not list((out / name / "weights").glob("epoch*.pt"))
    assert [each["after_epoch"] for each in resumed(out / "baseline")] == [1] and not resumed(out / "icr")


def test_both_runs_differ_in_the_loss_alone(killed_and_resumed: Path) -> None:
    before, after = (json.loads((killed_and_resumed / name / "run.json").read_text()) for name in ("baseline", "icr"))
    before["git_commit"] = after["git_commit"]  # someone may work on the checkout meanwhile
    assert {key for key in before if before[key] != after[key]} == {"icr"}


def test_page_shows_what_the_runs_say(killed_and_resumed: Path) -> None:
    out = killed_and_resumed
    page = (out / "report.html").read_text(encoding="utf-8")
    assert len(page) < 3_000_000
    parser = _Texts()
    parser.feed(page)
    for name, style in (("baseline", "Without ICR"), ("icr", "With ICR")):
        metrics = json.loads((out / name / "metrics.json").read_text())
        for found, figure in (
            ("AP50", metrics["classes"]["plate"]["AP50"]),
            ("Pair recall", metrics["pairs"]["recall"]),
        ):
            row = re.search(rf'<tr><th scope="row">{found}<.*?</tr>', page)
            assert row and f'<td data-column="{style}"><b>{figure:.3f}</b>' in row[0]
    assert page.count("<image ") == MINIATURE.pictures
    assert "Mean containment R, with ICR" in parser.texts
    assert any("not counting what a killed training had spent" in text for text in parser.texts)
    assert any("One seed on a toy proves nothing" in text for text in parser.texts)


def test_finished_demo_is_not_trained_again(killed_and_resumed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    weights = killed_and_resumed / "icr" / "weights" / "best.pt"
    before = weights.stat().st_mtime_ns
    outcome = demo.run(killed_and_resumed, settings=MINIATURE)
    assert weights.stat().st_mtime_ns == before
    out, err = capfd.readouterr()
    assert out == ""  # the answer is for the command to print
    assert [line[:5] for line in err.splitlines()[1:]] == ["[1/5]", "[2/5]", "[3/5]", "[4/5]", "[5/5]"]
    told = json.loads(json.dumps(outcome.as_json(), allow_nan=False))
    assert {"plate.AP50", "vehicle.AP50", "pairs.recall"} <= {row["key"] for row in told["rows"]}
    assert Path(told["report"]).is_file()


def test_other_seed_and_foreign_folder_are_refused(killed_and_resumed: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seed was 0 and is now 1"):
        demo.run(killed_and_resumed, seed=1, settings=MINIATURE)
    with pytest.raises(InputError, match="other settings"):
        demo.run(killed_and_resumed, settings=dataclasses.replace(MINIATURE, epochs=3))
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(InputError, match="is no demo"):
        demo.run(tmp_path, settings=MINIATURE)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_command_of_the_page_is_one_that_icr_takes(tmp_path: Path) -> None:
    data, network = tmp_path / "no data.yaml", tmp_path / "small.yaml"
    text = DemoSettings().compare_command(data, network, tmp_path / "runs")
    script = text.replace("icr compare", f"{sys.executable} -c 'from icr.cli.app import main; main()' compare")
    network.write_text(resources.files("icr.demo").joinpath("small.yaml").read_text(encoding="utf-8"))
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    # Every option is understood: what is missing is the data.
    assert done.returncode == 2
    assert "no data.yaml" in done.stderr and "No such option" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_command_ends_with_the_table_the_page_and_the_next_command(
    killed_and_resumed: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "DemoSettings", lambda: MINIATURE)
    assert icr(["demo", "--out", str(killed_and_resumed)]) == 0
    out, _ = capfd.readouterr()
    assert out.splitlines()[0].split() == ["without", "ICR", "with", "ICR", "difference"]
    assert out.splitlines()[-2] == f"report: {(killed_and_resumed / 'report.html').resolve().as_uri()}"
    assert out.splitlines()[-1].endswith("icr train DATA --relation child:parent --model yolo11n")
    assert "proves nothing" in out
    assert icr(["demo", "--out", str(killed_and_resumed), "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert Path(told["report"]) == killed_and_resumed / "report.html"
    assert icr(["demo", "--out", str(killed_and_resumed), "--seed", "3"]) == 2
    out, err = capfd.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "seed was 0 and is now 3" in err


def test_chatter_goes_into_the_log_and_the_stream_stays_with_the_person(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.txt"
    with chatter_into(log) as stream:
        os.write(1, b"by C\n")
        os.write(2, b"warning\n")
        print("to the person", file=stream, flush=True)
    os.write(1, b"after\n")
    assert log.read_text() == "by C\nwarning\n"
    out, err = capfd.readouterr()
    assert (out, err) == ("after\n", "to the person\n")


def test_progress_guesses_the_time_left_from_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("icr.demo.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = Progress({"data": 10.0, "first": 50.0, "second": 50.0}, stream)
    progress.begin("data")
    now[0] += 20.0
    progress.begin("first", share=0.5)
    progress.update(1, 2, "epoch 1 of 2")
    now[0] += 24.0
    progress.update(3, 4, "epoch 3 of 4")
    progress.skip("second", "already done")
    progress.close()
    # 44 s for 10 and 12.5 nominal seconds, the half of "first" that was done before not counting; 62.5 are left.
    assert stream.getvalue().splitlines() == [
        "[1/3] data",
        "[2/3] first",
        "[2/3] first: epoch 1 of 2, about 2 min left in all",
        "[2/3] first: epoch 3 of 4, about 2 min left in all",
        "[3/3] second: already done",
    ]
