"""The table of commands, and what becomes of an error."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from icr.cli import (
    add_parents,
    bench,
    bench_report,
    compare,
    data,
    demo,
    doctor,
    evaluate,
    export,
    from_video,
    lab,
    models,
    pair,
    predict,
    relations,
    show,
    split,
    stats,
    synth,
    train,
)
from icr.cli.output import answer, say
from icr.errors import InputError
from icr.version import __version__

DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 3

app = typer.Typer(
    name="icr",
    help="Train detectors to find a small thing inside a larger one, and measure whether it helped.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        answer(f"icr {__version__}")
        raise typer.Exit()


app.command("demo")(demo.demo)
app.command("train")(train.train)
app.command("doctor")(doctor.doctor)
app.command("eval")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("models")(models.models)
app.command("compare")(compare.compare)
app.add_typer(bench.app)
bench.app.command("report")(bench_report.report)
bench.app.add_typer(bench_report.figure)
app.add_typer(lab.app)
app.add_typer(data.app)
data.app.command("add-parents")(add_parents.add_parents)
data.app.command("pair")(pair.pair)
data.app.command("from-video")(from_video.from_video)
data.app.command("relations")(relations.relations)
data.app.command("show")(show.show)
data.app.command("stats")(stats.stats)
data.app.command("split")(split.split)
data.app.command("synth")(synth.synth)


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit status."""
    try:
        status = app(list(args), prog_name="icr", standalone_mode=False)
    except InputError as error:
        say(f"icr: {' '.join(str(error).split())}")
        return BAD_INPUT
    except typer.TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        say(f"icr: {' '.join(message.split())} ({_command_of(args)} --help shows the usage)")
        return BAD_INPUT
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    except BrokenPipeError:
        sys.stderr.close()
        return DONE
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"icr: {where}{error.strerror or error}; look at the path and its permissions, or choose another --out")
        return BAD_INPUT
    if status == 130:
        say("icr: interrupted")
        return INTERRUPTED
    return status if isinstance(status, int) else DONE


def _command_of(args: Sequence[str]) -> str:
    """The known command at the front of a command line."""
    from typer.main import get_command

    words, known = ["icr"], getattr(get_command(app), "commands", {})
    for arg in args:
        if arg not in known:
            break
        words.append(arg)
        known = getattr(known[arg], "commands", {})
    return " ".join(words)
