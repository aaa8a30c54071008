"""`icr data synth` as a person or a script calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from icr.cli.commands import BAD_INPUT, DONE, run

SMALL = ("--size", "192x144", "--workers", "1")


def test_json_is_one_object_that_agrees_with_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scenes"
    status = run(["data", "synth", str(out), "--train", "2", "--val", "1", "--close", "--seed", "5", "--json", *SMALL])
    told = json.loads(capsys.readouterr().out)
    assert status == DONE
    assert told["images"] == {"train": 2, "val": 1, "test": 0}
    assert told["size"] == [192, 144]
    rows = [row for file in (out / "labels").rglob("*.txt") for row in file.read_text().splitlines()]
    assert told["plates"] == told["pairs"] == sum(row.startswith("0 ") for row in rows)
    assert told["vehicles"] == sum(row.startswith("1 ") for row in rows)


def test_other_scenes_and_spoiled_labels_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "doors"
    options = ["--train", "6", "--scene", "door", "--label-noise", "1", "--size", "480x320", "--workers", "1"]
    assert run(["data", "synth", str(out), *options]) == DONE
    said = capsys.readouterr().out
    assert "x handle" in said and "x door" in said
    spoiled = sum(len(entry["spoiled"]) for entry in json.loads((out / "manifest.json").read_text())["images"])
    assert f"{spoiled} training labels are spoiled" in said
    assert (out / "labels-clean/train").is_dir() and (out / "pairs-clean/train").is_dir()


def test_the_presets_set_the_scenes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, key, expected in (("--svmlp", "size", [1920, 1080]), ("--crowded", "size", [1280, 720])):
        assert (
            run(["data", "synth", str(tmp_path / option), "--train", "1", "--json", "--workers", "1", option]) == DONE
        )
        told = json.loads(capsys.readouterr().out)
        assert told[key] == expected
        assert told["objects"]["plate"] == told["plates"] == told["pairs"] == told["objects"]["vehicle"]
        assert (told["plates"] > 7) == (option == "--crowded")


def test_images_are_divided_into_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "synth", str(tmp_path / "scenes"), "--images", "4", "--close", *SMALL]) == DONE
    said = capsys.readouterr()
    assert "4 images (train 2, val 1, test 1)" in said.out
    assert "icr data show" in said.err


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--size", "1280"], "--size is '1280'"),
        (["--size", "40x30"], "size is 40x30"),
        (["--size", "99999x99999"], "size is 99999x99999"),
        (["--images", "0"], "--images is 0"),
        (["--images", "3", "--train", "2"], "--images stands beside"),
        (["--train", "-1"], "--train is -1"),
        (["--train", "0", "--val", "0"], "come to 0 images"),
        (["--images", "2", "--seed", "-3"], "seed is -3"),
        (["--images", "2", "--workers", "0"], "workers is 0"),
        (["--images", "many"], "valid integer"),
        (["--svmlp", "--close"], "--close and --svmlp say different things"),
        (["--crowded", "--scene", "door"], "--crowded and --scene door say different things"),
        (["--svmlp", "--size", "640x480"], "--size stands beside --svmlp"),
        (["--scene", "riders"], "did you mean 'rider'?"),
        (["--images", "2", "--label-noise", "2"], "label noise is 2.0"),
        (["--val", "2", "--label-noise", "0.5"], "there is no train split"),
    ],
)
def test_bad_options_are_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    assert run(["data", "synth", str(tmp_path / "scenes"), *options]) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out == ""
    assert named in said.err
    assert said.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_that_holds_something_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    assert run(["data", "synth", str(tmp_path), "--images", "1"]) == BAD_INPUT
    assert "holds files already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_way_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "scenes").write_text("kept")
    assert run(["data", "synth", str(tmp_path / "scenes"), "--images", "1"]) == BAD_INPUT
    assert "is a file" in capsys.readouterr().err


def test_an_empty_folder_is_used_even_the_present_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "scenes"
    out.mkdir()
    monkeypatch.chdir(out)
    assert run(["data", "synth", ".", "--images", "1", "--close", *SMALL]) == DONE
    assert {path.name for path in Path().iterdir()} == {"images", "labels", "pairs", "data.yaml", "manifest.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]
