"""Every command line that the pages and the help show is one that the command takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from icr.cli import commands

HOME = Path(__file__).resolve().parents[2]
PAGES = [HOME / "README.md", HOME / "CONTRIBUTING.md", *sorted((HOME / "docs").glob("*.md"))]
pages = pytest.mark.skipif(not PAGES[0].is_file(), reason="the pages are not beside the tests")


@cache
def root() -> Any:
    return get_command(commands.app)


def leaf(words: list[str]) -> tuple[Any, list[str]]:
    """The command that some words name, and the words that are left for it."""
    command = root()
    while getattr(command, "commands", None) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    return command, words


def options(command: Any) -> set[str]:
    named = chain.from_iterable((*each.opts, *each.secondary_opts) for each in command.params)
    return {"--help", "-h", *(each for each in named if each.startswith("-"))}


def every_command(command: Any) -> Iterator[Any]:
    yield command
    for each in getattr(command, "commands", {}).values():
        yield from every_command(each)


def fenced(text: str) -> Iterator[str]:
    """The lines of code blocks that begin with icr, those continued on the next line joined."""
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.sub(r"\s#.*", "", line).removeprefix("$ ").split(" && "):
                if part.startswith("icr "):
                    yield part


@pages
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_line_of_code_is_taken(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    lines = list(fenced(text))
    assert bool(lines) == bool(re.search(r"^(\$ )?icr ", text, re.M))
    for line in lines:
        command, words = leaf(shlex.split(line)[1:])
        command.make_context("icr", words)


@pages
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_and_option_in_the_text_is_there(page: Path) -> None:
    known = set(chain.from_iterable(options(each) for each in every_command(root())))
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for span in re.findall(r"`([^`\n]+)`", text):
        words = span.split()
        if words[0] == "icr" and len(words) > 1 and words[1].islower():
            command, rest = leaf(words[1:])
            assert not getattr(command, "commands", None) or not rest, span
            assert {word.split("=")[0] for word in rest if word.startswith("--")} <= options(command), span
        elif words[0].startswith("--"):
            assert words[0].split("=")[0] in known, span


def test_every_example_of_the_help_is_taken() -> None:
    found = 0
    for each in every_command(root()):
        for line in re.findall(r"^\s*Example: (icr .*)", each.help or "", re.M):
            command, words = leaf(shlex.split(line)[1:])
            command.make_context("icr", words)
            found += 1
    assert found > 20
