"""`icr data …`: what one does with a data set before training."""

from __future__ import annotations

import typer

app = typer.Typer(name="data", help="Check, convert, look at and generate data sets.", no_args_is_help=True)
