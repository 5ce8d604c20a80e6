"""A hook of MkDocs: one page per command, made from the declared options, so that no page repeats a help text."""

from __future__ import annotations

from typing import Any

import typer.main
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from tledge.cli.app import SUMMARIES, app


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds ``commands/NAME.md`` for each command, and a list of them."""
    group = typer.main.get_command(app)
    rows = [f"| [`tledge {name}`]({name}.md) | {summary} |" for name, summary in SUMMARIES.items()]
    listed = "\n".join(["# Commands", "", "| command | what it does |", "|---|---|", *rows, "", COMMON])
    files.append(File.generated(config, "commands/index.md", content=listed))
    for name in SUMMARIES:
        files.append(File.generated(config, f"commands/{name}.md", content=command_page(name, group.commands[name])))  # type: ignore[attr-defined]
    return files


COMMON = """\
Every command has `--help`, and `--json` for output that programs read.

| exit code | meaning |
|---:|---|
| 0 | success |
| 1 | an error; the message says what to do |
| 2 | wrong usage, for instance an unknown option |
| 3 | `tledge bench`: a condition of `--fail-on` holds |
| 129 | interrupted by SIGHUP: the terminal was closed |
| 130 | interrupted with Ctrl-C |
| 141 | the program that reads the output has exited, as in `\\| head -1` |
| 143 | interrupted by SIGTERM |

Ctrl-C, SIGTERM and SIGHUP end a command in the same way: results so far are saved, child processes end, and one line
says what was kept. A signal that the process was started to ignore, for instance with `nohup`, stays ignored. Signals
within a second of the first count as one. In the first hundredths of a second, while Python itself starts, Ctrl-C can
still print a traceback.

If standard output is closed or full, a command still does its work and saves its results. Only `predict` stops, because
its results are what it prints. A full disk is an error (exit code 1). Output that was closed from the start (`>&-`) is
discarded.
"""


def command_page(name: str, command: Any) -> str:
    """Returns the Markdown page of a command: its description, and its options by heading, as definition lists."""
    context = typer.Context(command, info_name=f"tledge {name}")
    groups: dict[str, list[str]] = {}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            argument = parameter.param_type_name == "argument"
            heading = "Arguments" if argument else getattr(parameter, "rich_help_panel", None) or "Other options"
            groups.setdefault(heading, []).append(_row(*record))
    usage = command.collect_usage_pieces(context)
    lines = [f"# tledge {name}", "", command.help or "", "", "```text", f"tledge {name} {' '.join(usage)}", "```"]
    for heading, rows in groups.items():
        lines += ["", f"## {heading}", *rows]
    return "\n".join(lines)


def _row(option: str, help_text: str) -> str:
    text, _, default = help_text.partition("  [default: ")
    shown = f"`{default.rstrip(']')}`" if default and " " not in default.rstrip("]") else default.rstrip("]")
    return f"\n`{option}`\n:   {_plain(text)}" + (f"\n\n    Default: {_plain(shown)}" if shown else "")


def _plain(text: str) -> str:
    return text.replace("<", "&lt;").replace("\n", " ")
