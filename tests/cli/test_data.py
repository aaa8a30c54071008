"""`icr data check` and `icr data convert` as a person or a script meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from icr.cli.commands import INTERRUPTED, run

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))
from small_sets import CAR, PLATE, YAML, coco_set, picture, yolo_set


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks in these tests remember nothing in the cache folder of whoever runs them."""
    monkeypatch.setenv("ICR_CACHE", str(tmp_path_factory.mktemp("cache")))


def test_check_reads_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yolo_set(tmp_path, {"a": [PLATE, CAR, "9 0.5 0.5 0.1 0.1", PLATE, *["0 nan 0 0 0"] * 5]})
    assert run(["data", "check", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert err.splitlines()[:2] == [
        f"{tmp_path} (yolo): pictures train 1, val 1; boxes plate 3, car 2",
        f"relation plate:car, as declared by {tmp_path}",
    ]
    assert [line for line in out.splitlines() if not line.startswith(" ")] == [
        "error    labels.not_finite  5",
        "",
        "error    labels.class  1",
        "",
        "warning  labels.duplicate  1",
        "",
        "6 errors, 1 warning, 0 remarks",
    ]
    assert "    labels/train/a.txt:3  class 9 is out of range, expected 0 to 1, in row '9 0.5 0.5 0.1 0.1'" in out
    assert "… and 2 more (--all prints each)" in out
    run(["data", "check", str(tmp_path), "--all"])
    assert "more (--all" not in capsys.readouterr().out


def test_check_ends_with_0_on_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "check", str(yolo_set(tmp_path, {"a": [PLATE, CAR], "b": [PLATE]}))]) == 0
    assert "pairs.orphan" in capsys.readouterr().out


def test_check_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yolo_set(tmp_path, {"a": [PLATE, CAR], "b": [PLATE]})
    run(["data", "check", str(tmp_path), "--relation", "plate:car", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["findings"] == [
        {
            "id": "pairs.orphan",
            "severity": "warning",
            "file": str(tmp_path / "labels/train/b.txt"),
            "line": 1,
            "message": "plate has no car: no car touches it",
        }
    ]
    assert answer["counts"] == {"pairs.orphan": 1}
    assert answer["images"] == {"train": 2, "val": 1} and answer["objects"] == {"plate": 3, "car": 2}
    assert answer["relations"] == ["plate:car"]


def test_check_without_a_relation_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yolo_set(tmp_path, yaml=YAML.split("relations")[0])
    assert run(["data", "check", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert "relations.unknown" in out and "pairs are not checked" in err
    assert run(["data", "check", str(tmp_path), "--relation", "plate:cra"]) == 2
    assert "did you mean 'car'?" in capsys.readouterr().err


def test_check_writes_a_repaired_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = yolo_set(tmp_path / "a", {"a": [PLATE, CAR, "9 0.5 0.5 0.1 0.1"], "b": [PLATE, CAR, CAR], "c": [PLATE]})
    before = {each: each.read_bytes() for each in root.rglob("*") if each.is_file()}
    out = tmp_path / "b"
    assert run(["data", "check", str(root), "--fix", str(out)]) == 0  # the copy has no error
    answer = capsys.readouterr().out
    assert answer.endswith(
        "1 error, 3 warnings, 0 remarks\n"
        f"\n{out} (yolo), the repaired copy:\n"
        "       1  repeated boxes left out (labels.duplicate)\n"
        "  no longer found: labels.class 1, pairs.ambiguous 1 (rows and files that cannot be used are left out)\n"
        "  left for you: pairs.orphan 1\n"
    )
    assert {each: each.read_bytes() for each in root.rglob("*") if each.is_file()} == before
    assert (out / "labels" / "train" / "b.txt").read_text() == f"{PLATE}\n{CAR}\n"
    assert run(["data", "check", str(root), "--fix", str(out)]) == 2
    assert "exists and is not empty" in capsys.readouterr().err
    assert run(["data", "check", str(root), "--fix", str(tmp_path / "c"), "--images", "link", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fix"] == {
        "out": str(tmp_path / "c"),
        "format": "yolo",
        "mended": {"labels.duplicate": 1},
        "left": {"pairs.orphan": 1},
        "not_held": [],
    }
    assert (tmp_path / "c" / "images" / "train" / "a.png").is_symlink()


@pytest.mark.parametrize("named", ["", "data.yaml"])
def test_a_repaired_copy_never_lies_in_the_set(named: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = yolo_set(tmp_path / "a")
    assert run(["data", "check", str(root / named), "--fix", str(root / "mended")]) == 2
    assert f"lies in the data set, which is not changed; give a folder outside of {root}" in capsys.readouterr().err
    assert not (root / "mended").exists()
    assert run(["data", "check", str(root / named), "--fix", str(tmp_path / "a-mended")]) == 0


def test_a_repaired_copy_of_what_is_only_read_is_coco(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a"
    xml = (
        "<annotation><size><width>100</width><height>80</height></size><object><name>car</name><bndbox>"
        "<xmin>10</xmin><ymin>10</ymin><xmax>150</xmax><ymax>60</ymax></bndbox></object></annotation>"
    )
    (folder / "Annotations").mkdir(parents=True)
    (folder / "Annotations" / "p.xml").write_text(xml)
    picture(folder / "JPEGImages" / "p.jpg")
    run(["data", "check", str(folder), "--fix", str(tmp_path / "b")])
    out, err = capsys.readouterr()
    assert "voc is only read, so the copy is coco\n" in err, "there is no --to here"
    assert "1  boxes cut off at their picture's edge (boxes.partly_outside)" in out
    assert json.loads(next((tmp_path / "b").glob("*.json")).read_text())["annotations"][0]["bbox"] == [10, 10, 90, 50]


def test_convert(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco_set(tmp_path / "a")
    out = tmp_path / "b"
    command = ["data", "convert", str(tmp_path / "a"), "--to", "yolo", "--out", str(out)]
    assert run([*command, "--relation", "plate:car", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "out": str(out),
        "format": "yolo",
        "images": {"train": 1},
        "objects": {"plate": 1, "car": 1},
        "pairs": 1,
        "faulty": 0,
        "not_held": [],
    }
    assert (out / "pairs" / "train" / "a.txt").read_text() == "0 1\n"
    assert "child: plate" in (out / "data.yaml").read_text()
    assert run(command) == 2
    assert "exists and is not empty" in capsys.readouterr().err


def test_convert_says_what_is_left_behind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yolo_set(tmp_path / "a", {"a": [PLATE, "0 nan 0 0 0"]})
    assert run(["data", "convert", str(tmp_path / "a"), "--to", "coco", "--out", str(tmp_path / "b")]) == 0
    out, err = capsys.readouterr()
    assert out == f"{tmp_path / 'b'}\n"
    assert err.startswith(f"1 faulty entry of {tmp_path / 'a'} not carried over")


def test_convert_says_which_pictures_are_not_labelled_to_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yolo_set(tmp_path / "a", {"a": [PLATE, CAR], "b": [CAR]})
    tool, tasks = tmp_path / "tool", tmp_path / "tool/tasks.json"
    assert run(["data", "convert", str(tmp_path / "a"), "--to", "labelstudio", "--out", str(tool)]) == 0
    content = json.loads(tasks.read_text())
    one, none = "1 picture without finished labels of", "has no usable picture, so there is nothing to convert"
    for unfinished, code, said in ((content[:1], 0, one), (content[1:], 2, none)):
        for task in unfinished:
            del task["annotations"]
        tasks.write_text(json.dumps(content))
        capsys.readouterr()
        assert run(["data", "convert", str(tool), "--to", "yolo", "--out", str(tmp_path / f"back-{code}")]) == code
        assert said in capsys.readouterr().err
    assert not (tmp_path / "back-2").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "yolos", "--out", "x"], "did you mean 'yolo'?"),
        (["--to", "coco", "--out", "x", "--images", "links"], "did you mean 'link'?"),
        (["--to", "coco", "--out", "x", "--relation", "plate"], "expected child:parent"),
        (["--to", "coco"], "--out"),
        (["--to", "yolo", "--out", "x", "--images", "reference"], "use --images link"),
    ],
)
def test_wrong_usage_is_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["data", "convert", str(yolo_set(tmp_path / "a")), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and said in err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("command", ["check", "convert"])
def test_help_has_an_example_and_loads_nothing_heavy(command: str) -> None:
    code = (
        "import sys; from icr.cli.commands import run; run(['data', sys.argv[1], '--help']);"
        "print(sorted({'torch', 'numpy', 'PIL', 'yaml', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, command], capture_output=True, text=True, check=True)
    assert "Example: icr data" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("block", ["{child: plate}", "[{child: plat, parent: car}]"])
def test_faulty_relations_do_not_stop_a_check_but_all_else(
    block: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = yolo_set(tmp_path / "a", yaml=YAML.replace("[{child: plate, parent: car}]", block))
    fixed = tmp_path / "b"
    assert run(["data", "check", str(source), "--fix", str(fixed)]) == 0
    out, err = capsys.readouterr()
    assert "error    relations.invalid  1" in out and "pairs are not checked: " in err
    assert run(["data", "check", str(fixed)]) == 0
    capsys.readouterr()
    for command in (["data", "convert", str(source), "--to", "coco", "--out", "c"], ["train", str(source)]):
        assert run(command) == 2
        err = capsys.readouterr().err
        assert err.splitlines()[-1].startswith("icr: ") and "Traceback" not in err


def test_the_next_command_is_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "two words"
    assert run(["data", "synth", str(out), "--images", "1", "--close", "--size", "192x144", "--workers", "1"]) == 0
    assert f"next: icr data show '{out}/data.yaml'" in capsys.readouterr().err


def test_an_interrupted_synth_says_what_became_of_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("icr.data.synth.generate", stop)
    assert run(["data", "synth", str(tmp_path / "scenes"), "--images", "1"]) == INTERRUPTED
    assert f"interrupted; the same command goes on with {tmp_path / 'scenes'}\n" in capsys.readouterr().err
