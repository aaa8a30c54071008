"""`icr lab …`: tables, JSON, pictures that can be opened, and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from icr.cli.commands import run


def test_a_trajectory_is_measured_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "figures"
    asked = ["lab", "trajectory", "--number", "50", "--steps", "30", "--form", "product", "--form", "sum"]
    assert run([*asked, "--out", str(out)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in table] == ["loss", "CIoU", "ICR-CIoU", "ICR-CIoU (sum)"]
    assert sorted(path.name for path in out.iterdir()) == [
        "curves.png",
        "curves.svg",
        "ways.gif",
        "ways.png",
        "ways.svg",
    ]
    with Image.open(out / "ways.gif") as moving:
        assert moving.n_frames > 10
    with Image.open(out / "ways.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 50


def test_json_holds_curves_from_the_first_step_to_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", "trajectory", "--starts", "grid", "--steps", "20", "--parameters", "centre", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["number"] == 5 * 3 * 3 * 16
    assert set(told["losses"]) == {"CIoU", "ICR-CIoU"}
    assert len(told["losses"]["CIoU"]["error"]) == 21
    assert told["losses"]["ICR-CIoU"]["error"][-1] < told["losses"]["ICR-CIoU"]["error"][0]


@pytest.mark.parametrize(("command", "pictures"), [("gradient", ["by-size", "gradient"]), ("landscape", ["landscape"])])
def test_fields_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, pictures: list[str]
) -> None:
    out = tmp_path / "figures"
    assert run(["lab", command, "--base", "iou", "--base", "diou", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    losses = told["gradient"] if command == "gradient" else told["mean_loss"]
    assert set(losses) == {"IoU", "ICR-IoU", "DIoU", "ICR-DIoU"}
    assert sorted(path.name for path in out.iterdir()) == [
        f"{name}.{kind}" for name in pictures for kind in ("png", "svg")
    ]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["trajectory", "--base", "coiu"], "coiu"),
        (["trajectory", "--starts", "circle"], "--starts circle: expected random or grid"),
        (["trajectory", "--number", "0"], "--number 0"),
        (["trajectory", "--rate", "-1"], "--rate -1.0"),
        (["gradient", "--child", "1,2,3"], "--child 1,2,3: expected four numbers"),
        (["landscape", "--parent", "9,9,1,1"], "expected x1 < x2"),
        (["landscape", "--weight", "nan"], "--weight nan"),
    ],
)
def test_bad_input_is_one_line(args: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["lab", *args]) == 2
    told = capsys.readouterr()
    assert not told.out
    assert said in told.err and len(told.err.strip().splitlines()) == 1


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kept.txt").touch()
    assert run(["lab", "landscape", "--out", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
