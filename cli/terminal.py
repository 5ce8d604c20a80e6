"""What a command prints: results on standard output, progress on standard error. Libraries log to a file instead."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tledge.cli.interrupts import Interrupts
from tledge.cli.library_log import LibraryLog
from tledge.cli.messages import translate
from tledge.core.progress import Progress, Step

PIPED_WIDTH = 120
"""Columns if the output is not a terminal."""


class Terminal:
    """The two streams of one command.

    Attributes:
        as_json: only JSON goes to standard output.
        interrupts: whether Ctrl-C was pressed.
        command: the name of the command; messages are shown with its flags.
        log_to: where the libraries' log is kept once there is a run directory.
    """

    def __init__(self, log: LibraryLog, as_json: bool, interrupts: Interrupts, command: str) -> None:
        from rich.console import Console

        def console(stream: IO[str]) -> Console:
            width = None if stream.isatty() else PIPED_WIDTH
            # Paths and messages are not markup: [train] is the name of an extra, not a style.
            return Console(
                file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=not stream.isatty()
            )

        self.as_json = as_json
        self.interrupts = interrupts
        self.command = command
        self.log_to: Path | None = None
        self._out = console(log.out)
        self._err = console(log.err)

    def translate(self, message: str) -> str:
        """Returns a message with the flags of the command in place of Python parameters."""
        return translate(message, self.command)

    def print(self, content: Any = "") -> None:
        """Prints a text, with flags in place of Python parameters, or a table; nothing with ``--json``."""
        if not self.as_json:
            self._out.print(self.translate(content) if isinstance(content, str) else content)

    def print_line(self, line: str) -> None:
        """Prints a line unchanged and immediately, whatever its width; nothing with ``--json``."""
        if not self.as_json:
            print(line, file=self._out.file, flush=True)

    def print_sentence(self, text: str) -> None:
        """Prints a sentence, wrapped to the width of the terminal; nothing with ``--json``."""
        if not self.as_json:
            self._out.print(self.translate(text), soft_wrap=False)

    @property
    def width(self) -> int:
        """Columns available for results."""
        return self._out.width

    def print_command(self, command: str) -> None:
        """Prints the next command to run, on one line even if the terminal is narrow."""
        if not self.as_json:
            self._out.print(f"Next: {command}", soft_wrap=True)

    def heading(self, text: str) -> None:
        """Prints the title of one of several parts."""
        from rich.text import Text

        self.print(Text(f"\n{text}", "bold"))

    def print_json(self, content: Any) -> None:
        """Prints one line of JSON if ``--json`` was given."""
        if self.as_json:
            line = json.dumps(content, ensure_ascii=False, allow_nan=False, default=str)
            if re.search(r"[\ud800-\udfff]", line):  # a file name in another encoding: only escapes can be decoded
                line = json.dumps(content, allow_nan=False, default=str)
            print(line, file=self._out.file, flush=True)

    @property
    def can_ask(self) -> bool:
        """Whether the user can be asked: input and error output are a terminal."""
        return not self.as_json and self._err.is_terminal and sys.stdin.isatty()

    def ask(self, question: str, default: str | None) -> str:
        """Asks a question; ``default`` stands for an empty reply. Raises KeyboardInterrupt if the input ends."""
        hint = "" if default is None else f" [{default or 'none'}]"
        self._err.print(f"{question}{hint}: ", end="", soft_wrap=True)
        answer = sys.stdin.readline()
        if not answer:
            raise KeyboardInterrupt
        return answer.strip() or default or ""

    def note(self, message: str) -> None:
        """Prints a line about the progress on standard error, also with ``--json``."""
        print(self.translate(message), file=self._err.file, flush=True)

    def fail(self, message: str) -> None:
        """Prints an error on standard error."""
        self._say(message, "bold red")

    def warn(self, message: str) -> None:
        """Prints a warning on standard error."""
        self._say(f"warning: {message}", "yellow")

    def _say(self, message: str, style: str) -> None:
        one_line = " ".join(self.translate(message).split())
        self._err.print(f"tledge: {one_line}", style=style if self._err.is_terminal else "", soft_wrap=True)

    def progress(self) -> Progress:
        """Returns the progress display: bars on a terminal, single lines elsewhere, nothing with ``--json``."""
        if self.as_json:
            return _Silent(self)
        return _Bars(self) if self._err.is_terminal else _Lines(self)

    @property
    def error_console(self) -> Any:
        """The Rich console on standard error."""
        return self._err


class _Silent(Progress):
    """Shows only warnings, on standard error, and reacts to Ctrl-C."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def warn(self, text: str) -> None:
        self._terminal.warn(text)

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        yield _Stoppable(self._terminal)


class _Stoppable(Step):
    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def advance(self, count: int = 1, detail: str = "") -> None:
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        self._terminal.interrupts.stop_if_asked()


class _Lines(_Silent):
    """One line per finished step."""

    def note(self, label: str, text: str) -> None:
        from rich.text import Text

        lines = self._terminal.translate(text).replace("\n", f"\n{'':<10}")
        self._terminal.print(Text.assemble((f"{label:<9} ", "bold"), lines))

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        step = _Counted(self._terminal, label)
        yield step
        self._terminal.error_console.print(f"{label}: {step.count:,} {unit}  {step.detail}".rstrip())


class _Counted(_Stoppable):
    def __init__(self, terminal: Terminal, label: str) -> None:
        super().__init__(terminal)
        self._label = label
        self.count = 0
        self.detail = ""

    def advance(self, count: int = 1, detail: str = "") -> None:
        super().advance(count, detail)
        self.count += count
        self.detail = detail or self.detail

    def mark(self, detail: str) -> None:
        self._terminal.error_console.print(f"{self._label}: {detail}")


def _rate_columns(unit: str) -> tuple[Any, ...]:
    """Returns the columns for the unit, or for the rate of images."""
    from rich import progress as bars
    from rich.text import Text

    class Rate(bars.ProgressColumn):
        def render(self, task: bars.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text(f"{speed:,.0f} img/s" if speed else "", style="progress.data.speed")

    return (Rate(),) if unit in ("photos", "images") else (bars.TextColumn(unit),)


class _Bars(_Lines):
    """A bar with the rate and the time left, while the step runs."""

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        from rich import progress as bars

        columns = (
            bars.TextColumn("{task.description:<22}"),
            bars.BarColumn(bar_width=14),
            bars.MofNCompleteColumn(),
            *(_rate_columns(unit)),
            bars.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            bars.TextColumn("{task.fields[detail]}", markup=False),
        )
        with bars.Progress(*columns, console=self._terminal.error_console) as shown:
            task = shown.add_task(label, total=total, detail="")

            class BarStep(_Stoppable):
                def advance(self, count: int = 1, detail: str = "") -> None:
                    super().advance(count, detail)
                    shown.update(task, advance=count, detail=detail or shown.tasks[0].fields["detail"])

                def mark(self, detail: str) -> None:
                    shown.update(task, detail=detail)

            yield BarStep(self._terminal)
            if not shown.tasks[0].finished:  # the step stopped early
                shown.update(task, total=shown.tasks[0].completed)
