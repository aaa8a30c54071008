"""The frame of the command line: usage errors, exit statuses, where words go."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from icr.cli import commands
from icr.cli.output import answer_json, chatter_on_stderr
from icr.errors import InputError

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["trian"], "Did you mean 'train'? (icr --help"),
        (["train"], "Missing argument"),
        (["train", "data.yaml", "--model"], "requires an argument"),
        (["train", "data.yaml", "--model", "yolo11n", "--epochs", "many"], "valid integer"),
        (["train", "data.yaml", "--model", "yolo11n", "--epoch", "3"], "No such option"),
        (["data", "chek"], "Did you mean 'check'? (icr data --help"),
        (["eval", "nowhere.pt", "data.yaml"], "nowhere.pt is not there"),
        (["eval", "nowhere.json", "data.yaml"], "nowhere.json is not there"),
        (["train", "", "--model", "yolo11n"], "it is empty; name a data.yaml"),
        (["compare", " ", "--model", "yolo11n"], "it is empty"),
        (["eval", "found.json", ""], "it is empty"),
        (["doctor", ""], "it is empty"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(args: list[str], said: str, capsys: Capture) -> None:
    assert commands.run(args) == commands.BAD_INPUT
    out, err = capsys.readouterr()
    assert out == "" and said in err and err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    ("raised", "status"),
    [(InputError("two\n lines"), commands.BAD_INPUT), (KeyboardInterrupt(), commands.INTERRUPTED)],
)
def test_errors_become_statuses(
    raised: BaseException, status: int, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("icr.training.train", fail)
    assert commands.run(["train", "data.yaml", "--model", "yolo11n"]) == status
    assert capsys.readouterr().err.count("\n") == 1


def test_every_command_has_help_with_an_example(capsys: Capture) -> None:
    from typer.main import get_command

    def leaves(command: object, path: list[str]) -> list[list[str]]:
        children = getattr(command, "commands", None)
        return (
            [path]
            if not children
            else [leaf for name, child in children.items() for leaf in leaves(child, [*path, name])]
        )

    paths = leaves(get_command(commands.app), [])
    assert ["train"] in paths and ["data", "check"] in paths
    for path in paths:
        assert commands.run([*path, "--help"]) == commands.DONE
        assert "Example" in capsys.readouterr().out, path


def test_version(capsys: Capture) -> None:
    assert commands.run(["--version"]) == commands.DONE
    assert capsys.readouterr().out.startswith("icr ")


def test_chatter_of_python_and_of_c_goes_to_stderr(capfd: Capture) -> None:
    with chatter_on_stderr():
        print("from python")
        os.write(1, b"from c\n")
    answer_json({"a": 1})
    out, err = capfd.readouterr()
    assert json.loads(out) == {"a": 1} and "from python" in err and "from c" in err


def test_a_closed_pipe_is_no_traceback() -> None:
    code = "import sys; from icr.cli.commands import run; sys.exit(run(['--help']))"
    done = subprocess.run(f'{sys.executable} -c "{code}" | true', shell=True, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
