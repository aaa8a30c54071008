"""`icr data pair` as a person or a script meets it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from icr.cli.commands import run
from icr.data import formats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))
from small_sets import CAR, PLATE, YAML, coco_content, coco_set, yolo_set

WIDER = "1 0.5 0.5 0.8 0.8"


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """A plate in one car, and a plate in two."""
    return yolo_set(tmp_path / "plates", {"a": [PLATE, CAR], "b": [PLATE, CAR, WIDER], "c": [PLATE]})


def asked(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    assert run(["data", "pair", *map(str, words), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def decide(file: Path, *chosen: str) -> None:
    rows = list(csv.DictReader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(rows[0]))
    writer.writeheader()
    writer.writerows({**row, "decision": each} for row, each in zip(rows, chosen, strict=True))
    file.write_text(buffer.getvalue(), encoding="utf-8")


def files(root: Path) -> dict[str, bytes]:
    return {str(each.relative_to(root)): each.read_bytes() for each in root.rglob("*") if each.is_file()}


def test_pairs_are_written_and_doubts_listed(plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(plates)
    out = tmp_path / "out"
    assert asked(capsys, plates, "--out", out, "--sheet", tmp_path / "sheet.png") == {
        "out": str(out),
        "format": "yolo",
        "images": {"train": 3, "val": 1},
        "relations": ["plate:car"],
        "one_to_one": False,
        "pairs": 2,
        "orphans": 1,
        "ambiguous": 1,
        "undecided": 1,
        "stated": 0,
        "decided": 0,
        "list": str(out / "decisions.csv"),
        "sheets": [str(tmp_path / "sheet.png")],
        "not_held": [],
    }
    assert files(plates) == before, "never in place"
    texts = {each.stem: each.read_text() for each in (out / "pairs/train").iterdir()}
    assert texts == {"a": "0 1\n", "b": "0 -2\n", "c": ""}
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 400 and np.asarray(sheet).std() > 20


@pytest.mark.parametrize("again", ["source", "copy"])
def test_decisions_are_read_back(again: str, plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, listed = tmp_path / "first", tmp_path / "mine.csv"
    asked(capsys, plates, "--out", first, "--list", listed)
    assert not (first / "decisions.csv").exists()
    decide(listed, "2")
    source = plates if again == "source" else first
    done = asked(capsys, source, "--decisions", listed, "--out", tmp_path / "second", "--to", "coco")
    assert (done["pairs"], done["decided"], done["undecided"], done["list"]) == (3, 1, 0, None)
    sample = formats.read(tmp_path / "second").splits["train"][1]
    assert sample.parents.tolist() == [2, -1, -1]


def test_guesses_on_request(plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = asked(capsys, plates, "--out", tmp_path / "out", "--guess", "--images", "link")
    assert (done["pairs"], done["ambiguous"], done["undecided"]) == (3, 1, 0)
    assert (tmp_path / "out/pairs/train/b.txt").read_text() == "0 1\n"


def test_one_to_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beside = "0 0.12 0.5 0.02 0.05"  # in the wider car alone
    plates = yolo_set(tmp_path / "set", {"a": [PLATE, beside, CAR, WIDER]})
    done = asked(capsys, plates, "--out", tmp_path / "many")
    assert done["undecided"] == 1
    done = asked(capsys, plates, "--out", tmp_path / "one", "--one-to-one")
    assert done["undecided"] == 0 and done["pairs"] == 3
    assert (tmp_path / "one/pairs/train/a.txt").read_text() == "0 2\n1 3\n"
    # the copy says what it was made with, so that check holds it to that
    assert [formats.read(tmp_path / each).relations[0].one_to_one for each in ("many", "one")] == [False, True]


def test_one_to_one_may_be_declared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beside = "0 0.12 0.5 0.02 0.05"
    declared = YAML.replace("parent: car", "parent: car, one_to_one: true")
    plates = yolo_set(tmp_path / "set", {"a": [PLATE, beside, CAR, WIDER]}, yaml=declared)
    for to in ("yolo", "coco"):
        done = asked(capsys, plates, "--out", tmp_path / to, "--to", to)
        assert done["one_to_one"] and done["pairs"] == 3
        assert formats.read(tmp_path / to).relations[0].one_to_one
    (plates / "data.yaml").write_text(declared.replace("true", "1"))
    assert run(["data", "pair", str(plates), "--out", str(tmp_path / "no")]) == 2
    assert "one_to_one of relation plate:car is 1; expected true or false" in capsys.readouterr().err


def test_people_are_told_what_to_do(plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(["data", "pair", str(plates), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{out}\n"
    assert said.err.splitlines() == [
        f"relation plate:car, as declared by {plates}",
        "2 pairs, 1 child without a parent; 0 were stated by the data, 0 decided by you",
        f"1 ambiguous child: left unstated; decide in {out}/decisions.csv, then: "
        f"icr data pair {plates} --decisions {out}/decisions.csv --out NEW",
    ]


def test_the_next_command_pairs_as_this_one_did(
    plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    beside = "0 0.12 0.5 0.02 0.05"  # two plates alike in the one car: which of them is its own?
    (plates / "labels/train/a.txt").write_text(f"{PLATE}\n{beside}\n{CAR}\n")
    asked = ["--relation", "plate:car", "--one-to-one", "--to", "coco"]
    assert run(["data", "pair", str(plates), *asked, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().err.splitlines()[-1].partition("then: ")[2]
    listed = tmp_path / "out/decisions.csv"
    assert told == f"icr data pair {plates} {' '.join(asked)} --decisions {listed} --out NEW"


def test_relations_given_stand_in_the_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = coco_content()
    for each in content["annotations"]:
        del each["parent_id"]
    source = coco_set(tmp_path / "set", content)
    asked(capsys, source, "--relation", "plate:car", "--out", tmp_path / "out")
    made = formats.read(tmp_path / "out")
    assert [str(each) for each in made.relations] == ["plate:car"]
    assert made.splits["train"][0].parents.tolist() == [1, -1]
    assert made.splits["train"][0].lines.tolist() == [11, 12], "annotations keep their ids"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "plates"], "exists and is not empty"),
        (["--out", "x", "--relation", "plate:cra"], "did you mean 'car'?"),
        (["--out", "x", "--to", "coc"], "did you mean 'coco'?"),
        (["--out", "x", "--images", "lnk"], "did you mean 'link'?"),
        (["--out", "x", "--list", "y.txt"], "stand in a .csv or .yaml file"),
        (["--out", "x", "--list", "absent/y.csv"], "there is no folder absent"),
        (["--out", "x", "--sheet", "y.gif"], "use .jpg or .png"),
        (["--out", "x", "--decisions", "absent.csv"], "absent.csv cannot be read"),
        ([], "--out"),
    ],
)
def test_wrong_usage_is_one_line(
    options: list[str],
    said: str,
    plates: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["data", "pair", str(plates), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err.splitlines()[-1] and "Traceback" not in err
    assert not (tmp_path / "x").exists()


def test_help_has_an_example_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from icr.cli.commands import run; run(['data', 'pair', '--help']);"
        "print(sorted({'torch', 'numpy', 'PIL', 'yaml', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Example: icr data pair" in done.stdout and done.stdout.splitlines()[-1] == "[]"


def test_the_folder_of_a_sheet_is_made(plates: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "new" / "deep" / "sheet.png"
    assert run(["data", "pair", str(plates), "--sheet", str(sheet), "--out", str(tmp_path / "out")]) == 0
    assert sheet.stat().st_size > 1000


def test_a_sheet_of_what_cannot_be_drawn(plates: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = plates / "images/train/b.png"
    file.write_bytes(file.read_bytes()[:200])
    words = ["data", "pair", str(plates), "--sheet", str(tmp_path / "sheet.png")]
    assert run([*words, "--out", str(tmp_path / "out")]) == 0
    assert f"not drawn: {file}" in capsys.readouterr().err and not (tmp_path / "sheet.png").exists()
    assert (tmp_path / "out/decisions.csv").exists()
    (plates / "labels/train/b.txt").unlink()
    assert run([*words, "--out", str(tmp_path / "plain")]) == 0
    assert "no child is ambiguous, so there is no sheet" in capsys.readouterr().err


def test_faulty_rows_do_not_shift_decisions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plates = yolo_set(tmp_path / "set", {"b": ["0 nan 0 0 0", PLATE, "9 0.5 0.5 0.1 0.1", CAR, WIDER]})
    first = tmp_path / "first"
    assert run(["data", "pair", str(plates), "--out", str(first)]) == 0
    assert f"2 faulty entries of {plates} not carried over" in capsys.readouterr().err
    decide(first / "decisions.csv", "2")
    for number, source in enumerate((plates, first)):
        out = tmp_path / f"second{number}"
        assert asked(capsys, source, "--decisions", first / "decisions.csv", "--out", out)["decided"] == 1
        sample = formats.read(out).splits["train"][0]
        assert sample.parents.tolist() == [2, -1, -1] and sample.boxes[2].tolist() == pytest.approx([10, 8, 90, 72])


def test_a_set_without_a_declared_relation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plates = yolo_set(tmp_path / "set", yaml=YAML.split("relations")[0])
    assert run(["data", "pair", str(plates), "--out", str(tmp_path / "out")]) == 2
    assert "pass --relation child:parent" in capsys.readouterr().err
