"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of tables for people.")]
Run = Annotated[
    str | None, typer.Option("--run", help="A run directory or its name.  [default: the newest finished run]")
]
Runs = Annotated[Path, typer.Option("--runs", help="The folder of run directories.")]
