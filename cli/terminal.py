"""What a command prints: results on standard output, progress on standard error. Libraries log to a file instead.

Everything is printed by :class:`Terminal`, which escapes the control characters that names from files may contain
(:mod:`tledge.core.terminal_text`).
"""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import IO, Any

from tledge.cli.interrupts import Interrupts
from tledge.cli.library_log import LibraryLog
from tledge.cli.messages import translate
from tledge.cli.output_streams import OutputLostError
from tledge.core.json_text import finite_content, json_text
from tledge.core.progress import Progress
from tledge.core.terminal_text import printable_text

PIPED_WIDTH = 120
"""Columns if the output is not a terminal."""

LONGEST_MESSAGE = 4000
"""Characters of an error or a warning: names from files may have any length."""


class Terminal:
    """The two streams of one command.

    Attributes:
        as_json: only JSON goes to standard output.
        interrupts: whether Ctrl-C was pressed.
        command: the name of the command; messages are shown with its flags.
        log_to: where the libraries' log is kept once there is a run directory.
    """

    def __init__(self, log: LibraryLog, as_json: bool, interrupts: Interrupts, command: str) -> None:
        from tledge.cli.escaping_console import EscapingConsole

        def console(stream: IO[str]) -> EscapingConsole:
            # Paths and messages are not markup: [train] is the name of an extra, not a style.
            return EscapingConsole(
                file=stream,
                width=_fixed_width(stream),
                highlight=False,
                markup=False,
                emoji=False,
                soft_wrap=not stream.isatty(),
            )

        self.as_json = as_json
        self.interrupts = interrupts
        self.command = command
        self.log_to: Path | None = None
        self._log = log
        self._out = console(log.out)
        self._err = console(log.err)

    def translate(self, message: str) -> str:
        """Returns a message on one line, printable, with the flags of the command in place of Python parameters."""
        return printable_text(translate(message, self.command))

    def print(self, content: Any = "") -> None:
        """Prints a text, with flags in place of Python parameters, or a table; nothing with ``--json``.

        A text that is wider than the terminal is wrapped between words. Lines that it begins with stay empty; it has no
        other line ends.
        """
        if self.as_json:
            return
        if isinstance(content, str):
            line = content.lstrip("\n")
            text = content[: len(content) - len(line)] + self.translate(line)
            self._out.print(wrap(text, self.width) if self.is_terminal else text, soft_wrap=True)
        else:
            self._out.print(content)

    def print_line(self, *lines: str) -> None:
        """Prints lines immediately, whatever their width, and unchanged if printable; nothing with ``--json``.

        Raises:
            OutputLostError: standard output is closed or full.
        """
        if not self.as_json:
            self._write("\n".join(map(printable_text, lines)))

    def print_sentence(self, text: str) -> None:
        """Prints a sentence, wrapped to the width of the terminal; nothing with ``--json``."""
        if not self.as_json:
            self._out.print(wrap(self.translate(text), self.width), soft_wrap=True)

    @property
    def is_terminal(self) -> bool:
        """Whether results go to a terminal."""
        return self._out.file.isatty()

    @property
    def width(self) -> int:
        """Columns available for results."""
        return self._out.width

    def print_command(self, command: str) -> None:
        """Prints the next command to run, on a line of its own if it does not fit behind the label."""
        if not self.as_json:
            command = printable_text(command)
            own_line = self.is_terminal and len(f"Next: {command}") > self.width
            self._out.print(f"Next:{chr(10) if own_line else ' '}{command}", soft_wrap=True)

    def heading(self, text: str) -> None:
        """Prints the title of one of several parts."""
        from rich.text import Text

        self.print(Text(f"\n{printable_text(text)}", "bold"))

    def print_json(self, content: Any) -> None:
        """Prints one line of JSON if ``--json`` was given; raises OutputLostError like ``print_line``.

        JSON has no number that is not finite, as a damaged model gives: it is null.
        """
        if self.as_json:
            try:
                line = json_text(content, default=str)
            except ValueError:
                line = json_text(finite_content(content), default=str)
            self._write(line)

    def _write(self, text: str) -> None:
        print(text, file=self._out.file, flush=True)
        if self._log.lost is not None:
            raise OutputLostError

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
        self._print_error(self.translate(message))

    def fail(self, message: str) -> None:
        """Prints an error on standard error."""
        self._say(message, "bold red")

    def fail_plainly(self, message: str) -> None:
        """Prints an error without Rich, which loads modules when it first prints."""
        print(f"tledge: {' '.join(message.split())}", file=self._err.file, flush=True)

    def warn(self, message: str) -> None:
        """Prints a warning on standard error."""
        self._say(f"warning: {message}", "yellow")

    def _say(self, message: str, style: str) -> None:
        one_line = _abridged(self.translate(" ".join(message.split())))
        self._print_error(f"tledge: {one_line}", style if self._err.is_terminal else "")

    def _print_error(self, line: str, style: str = "") -> None:
        shown = wrap(line, self._err.width, indent="  ") if self._err.file.isatty() else line
        self._err.print(shown, style=style, soft_wrap=True)

    def progress(self) -> Progress:
        """Returns the progress display: bars on a terminal, single lines elsewhere, nothing with ``--json``."""
        from tledge.cli.progress_display import ProgressBars, ProgressLines, SilentProgress

        if self.as_json:
            return SilentProgress(self)
        bars = self._err.file.isatty() and not self._err.is_dumb_terminal
        return ProgressBars(self) if bars else ProgressLines(self)

    @property
    def console(self) -> Any:
        """The Rich console on standard output."""
        return self._out

    @property
    def error_console(self) -> Any:
        """The Rich console on standard error."""
        return self._err


def wrap(text: str, width: int, indent: str = "") -> str:
    """Wraps each line of a text between words; a word that is wider, such as a path, stays in one piece.

    Args:
        text: one or several lines.
        width: characters per line.
        indent: what the second and later lines of each line start with.
    """
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def _abridged(message: str) -> str:
    """Returns a message without its middle if it is too long: what was wrong and what to do stay."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    return f"{message[: LONGEST_MESSAGE * 3 // 4]} … {message[-LONGEST_MESSAGE // 4 :]}"


def _fixed_width(stream: IO[str]) -> int | None:
    """Returns the columns of a stream; None if Rich finds them, and follows changes, through standard input."""
    if not stream.isatty():
        return PIPED_WIDTH
    if sys.stdin is not None and sys.stdin.isatty():
        return None
    return os.get_terminal_size(stream.fileno()).columns or None
