"""``tledge``: the Typer app. A command's module is imported when that command runs."""

from __future__ import annotations

import atexit
import sys
from typing import Annotated

import typer

from tledge.cli.command_builder import GroupedCommand
from tledge.cli.commands import adopt, bench, demo, doctor, export, predict, train, visualize
from tledge.cli.library_log import silence_last_words
from tledge.core import word_size

app = typer.Typer(
    name="tledge",
    epilog="Begin with: tledge demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help in plain text: importing Rich takes longer than all the rest of --help
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (demo, train, export, bench, predict, visualize, adopt, doctor):
    app.command(module.__name__.rsplit(".", 1)[-1], cls=GroupedCommand)(module.run)


def _print_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        print(f"tledge {importlib.metadata.version('tledge')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Pretrained Keras backbones to quantized TFLite and ONNX models, with numbers about the artifacts that ship."""


def main() -> None:
    """The entry point of the installed command."""
    if complaint := word_size.word_size_problem():
        sys.exit(f"tledge: {complaint}")
    atexit.register(silence_last_words)
    app()
