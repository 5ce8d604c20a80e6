"""``tledge``: the Typer app. A command's module is imported when that command is used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
import typer.main
from typer.core import TyperGroup

from tledge.core.terminal_text import printable_text

SUMMARIES = {
    "demo": "Train, export and benchmark on built-in handwritten digits.",
    "train": "Train a classifier on a pretrained backbone.",
    "export": "Export a run to TFLite and ONNX.",
    "bench": "Measure a run's artifacts, or model files, on this machine.",
    "compare": "Compare benchmarks of several runs, backbones and machines.",
    "predict": "Classify photos, videos, a stream or a camera's frames with an artifact.",
    "visualize": "Show what the network sees.",
    "adopt": "Describe a model made elsewhere, so that 'predict' and 'bench' can use it.",
    "doctor": "Show what is installed and which targets this machine has.",
}
"""The commands, in the order of the help, and the first line of each one's own help."""

_USAGE_ERROR: Any = typer.BadParameter.__base__
"""Of Click, which newer versions of Typer include and older ones depend on."""

CONTEXT = {"help_option_names": ["-h", "--help"]}


class LazyCommands(MutableMapping[str, Any]):
    """The commands by name; each is built when it is first looked up, since importing all of them takes long."""

    def __init__(self) -> None:
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._built:
            if name not in SUMMARIES:
                raise KeyError(name)
            from tledge.cli.command_builder import GroupedCommand

            single = typer.Typer(
                pretty_exceptions_enable=False, rich_markup_mode=None, add_completion=False, context_settings=CONTEXT
            )
            module = importlib.import_module(f"tledge.cli.commands.{name}")
            single.command(name, cls=GroupedCommand, context_settings=CONTEXT)(module.run)
            self._built[name] = typer.main.get_command(single)
        return self._built[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        del self._built[name]

    def __iter__(self) -> Iterator[str]:
        return iter(SUMMARIES)

    def __len__(self) -> int:
        return len(SUMMARIES)


@contextmanager
def _ending_on_ctrl_c() -> Iterator[None]:
    """Ends the program with one line and a shell's exit code for Ctrl-C; Typer's depend on its version."""
    try:
        yield
    except (KeyboardInterrupt, typer.Abort):
        print("tledge: interrupted", file=sys.stderr)
        sys.exit(130)
    except _USAGE_ERROR as error:
        error.message = printable_text(error.message)  # a shell's * gives names of files as arguments
        raise


class LazyGroup(TyperGroup):
    """The group of all commands; its help imports none of them. Ctrl-C ends it outside the body of a command too."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = LazyCommands()

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        with _ending_on_ctrl_c():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: Any) -> Any:
        with _ending_on_ctrl_c():
            return super().invoke(ctx)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


app = typer.Typer(
    name="tledge",
    cls=LazyGroup,
    epilog="Get started: tledge demo",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # help in plain text: importing Rich takes longer than all the rest of --help
    context_settings=CONTEXT,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        print(f"tledge {importlib.metadata.version('tledge')}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train an image classifier, export it to quantized TFLite and ONNX, and benchmark the exported files."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
