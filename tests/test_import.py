"""What `import icr` and the command's help may load."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "ultralytics",
    "transformers",
    "matplotlib",
    "cv2",
    "supervision",
    "hotcoco",
    "scipy",
    "PIL",
    "pandas",
    "polars",
)


def loaded_after(code: str) -> set[str]:
    """The top-level modules in memory after running `code` in a fresh interpreter."""
    program = f"{code}\nimport sys; print('\\n'.join(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_icr_loads_nothing_heavy() -> None:
    assert not loaded_after("import icr; icr.ICRLoss, icr.Relation, icr.match_parents, icr.containment") & set(HEAVY)


def test_import_alone_does_not_even_load_torch() -> None:
    assert "torch" not in loaded_after("import icr")


def test_help_does_not_load_torch_or_anything_heavy() -> None:
    code = (
        "import contextlib, io\nfrom icr.cli.commands import run\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    for command in (['--help'], ['train', '--help'], ['data', 'check', '--help'], ['predict', '--help']):\n"
        "        assert run(command) == 0"
    )
    assert not loaded_after(code) & {*HEAVY, "torch", "numpy"}


def test_every_public_name_resolves() -> None:
    import icr

    for name in icr.__all__:
        if name != "ultralytics":  # its room needs the framework
            assert getattr(icr, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    import icr

    try:
        icr.no_such_name  # noqa: B018
    except AttributeError as error:
        assert "no_such_name" in str(error)
    else:
        raise AssertionError("an unknown name resolved")
