"""The rooms of the package import each other one way, and the engines stand apart."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import icr

HOME = Path(icr.__file__).parent
FILES = sorted(HOME.rglob("*.py"))
GROUND = {"errors", "boxes"}
"""All that losses and relations may know."""


def room(file: Path) -> str:
    return file.relative_to(HOME).parts[0].removesuffix(".py")


def imported(file: Path) -> Iterator[str]:
    """The full names that a file imports as it runs, at its top or in a function; not those for type checkers alone."""
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)
        waiting.extend(ast.iter_child_nodes(node))


def rooms_behind(file: Path) -> set[str]:
    """The rooms of the package that a file imports, its own left out."""
    known = {room(each) for each in FILES}
    named = {name.split(".")[1] for name in imported(file) if name.startswith("icr.")}
    return (named & known) - {room(file)}


def test_rooms_import_each_other_one_way() -> None:
    behind: dict[str, set[str]] = {}
    for file in FILES:
        if file.parent != HOME or file.name not in ("__init__.py", "__main__.py"):
            behind.setdefault(room(file), set()).update(rooms_behind(file))
    assert behind["cli"] >= {"data", "bench"}
    list(TopologicalSorter(behind).static_order())


def test_losses_and_relations_know_nothing_of_files_engines_and_commands() -> None:
    for file in FILES:
        if room(file) in ("losses", "relations", "boxes"):
            assert rooms_behind(file) <= GROUND, file


@pytest.mark.parametrize("engine", ["ultralytics", "transformers"])
def test_only_its_own_room_imports_an_engine(engine: str) -> None:
    for file in FILES:
        if room(file) != engine:
            assert engine not in {name.split(".")[0] for name in imported(file)}, file
            assert engine not in rooms_behind(file), file
