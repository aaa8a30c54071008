"""`icr data split` as a person or a script meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from icr.cli.commands import run
from icr.data import formats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))
from small_sets import CAR, PLATE, YAML, picture, yolo_set


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Ten clips of three frames in train, and one picture in val."""
    frames = {f"clip{clip}_{frame}": [PLATE, CAR] for clip in range(10) for frame in range(3)}
    root = yolo_set(tmp_path / "clips", frames)
    for shade, each in enumerate(sorted((root / "images/train").iterdir())):
        picture(each, shade=shade)
    return root


def asked(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    assert run(["data", "split", *map(str, words), "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def test_a_new_set(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = (clips, "--pattern", "(clip[0-9]+)_|val/(v)", "--ratios", "train=0.8,val=0.2", "--images", "link")
    done = asked(capsys, *words, "--out", out)
    assert done["images"] == {"train": 25, "val": 6} and done["groups"] == {"train": 9, "val": 2}
    assert done["left_out"] == 0 and done["seed"] == 0
    made = formats.read(out)
    assert [str(each) for each in made.relations] == ["plate:car"]
    assert {split: len(samples) for split, samples in made.splits.items()} == {"train": 25, "val": 6}
    record = json.loads((out / "split.json").read_text())
    of_part = {part: {each.image.name.split("_")[0] for each in made.splits[part]} for part in made.splits}
    assert {key for key in record["groups"]["train"] if key.startswith("clip")} == of_part["train"] - {"v.png"}
    assert not of_part["train"] & of_part["val"]
    again = tmp_path / "again"
    assert asked(capsys, *words, "--out", again)["parts"] == done["parts"]
    assert json.loads((again / "split.json").read_text()) == record
    other = tmp_path / "other"
    asked(capsys, *words, "--out", other, "--seed", "1")
    assert json.loads((other / "split.json").read_text())["groups"] != record["groups"]


def test_lists_only(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    asked(capsys, clips, "--pattern", "(clip.)|v", "--lists", "--out", out, "--counts", "20,3,3")
    assert sorted(each.name for each in out.iterdir()) == [
        "data.yaml", "split.json", "test.txt", "train.txt", "val.txt"
    ]  # fmt: skip
    assert {split: len(samples) for split, samples in formats.read(out).splits.items()} == {
        "train": 20, "val": 3, "test": 3
    }  # fmt: skip


def test_pairs_by_order_survive_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = yolo_set(tmp_path / "set", {str(n): [PLATE, CAR] for n in range(4)}, yaml=f"{YAML}pairs: order\n")
    asked(capsys, source, "--group", "picture", "--ratios", "1,1", "--lists", "--out", tmp_path / "out")
    for samples in formats.read(tmp_path / "out").splits.values():
        assert all(each.parents.tolist() == [1, -1] for each in samples)


def test_people_see_a_table(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "split", str(clips), "--pattern", "clip.|v", "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert said.out == f"{tmp_path / 'out'}\n"
    lines = said.err.splitlines()
    assert lines[1] == "groups: what 'clip.|v' finds in the pictures' paths; 11 groups of 31 pictures"
    assert lines[2].split()[:2] == ["groups", "pictures"]
    assert [line.split()[0] for line in lines[3:]] == ["train", "val", "test"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "pass --group folder, --pattern REGEX"),
        (["--group", "picture", "--ratios", "1", "--counts", "1"], "give one or the other"),
        (["--group", "picture", "--stratify", "siz"], "did you mean 'size'?"),
        (["--group", "picture", "--lists", "--to", "coco"], "give one or the other"),
        (["--group", "picture", "--to", "coc"], "did you mean 'coco'?"),
        (["--group", "folder"], "1 group cannot be split"),
        (["--group", "picture", "--keep", "tset"], "no such split"),
        (["--group", "picture", "--images", "lnk"], "did you mean 'link'?"),
        (["--group", "picture", "--relation", "plate:cra"], "did you mean 'car'?"),
    ],
)
def test_wrong_usage_is_one_line(
    options: list[str], said: str, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "split", str(clips), "--out", str(tmp_path / "out"), *options]) == 2
    out, err = capsys.readouterr()
    assert out == "" and said in err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_help_has_an_example_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from icr.cli.commands import run; run(['data', 'split', '--help']);"
        "print(sorted({'torch', 'numpy', 'PIL', 'yaml', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Example: icr data split" in done.stdout and done.stdout.splitlines()[-1] == "[]"
