"""What a person sees: results on standard output, progress on standard error, and nothing of the libraries'
own logging, which goes to a file.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tledge.core.progress import Progress, Step

PIPED_WIDTH = 120
"""Columns where the output is no terminal."""


class LibraryLog:
    """Takes over file descriptors 1 and 2, so that even C++ code writes its logs to a file.

    What is meant for the user goes through ``out`` and ``err``, copies of the original two.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = (os.dup(1), os.dup(2))
        self.out: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
        self.err: IO[str] = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
        handle, name = tempfile.mkstemp(prefix="tledge-", suffix=".log")
        self.path = Path(name)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)

    def record(self, error: BaseException) -> None:
        """Writes an error with its traceback to the log."""
        traceback.print_exception(error, file=sys.stderr)

    def close(self, keep_as: Path | None, keep: bool) -> None:
        """Gives the descriptors back; the log is moved to ``keep_as``, kept where it is, or deleted."""
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, saved in zip((1, 2), self._saved, strict=True):
            os.dup2(saved, descriptor)
            os.close(saved)
        for stream in (self.out, self.err):
            try:
                stream.close()
            except OSError:  # the reader of a pipe has gone
                continue
        if keep_as is not None and keep_as.parent.parent.is_dir():
            keep_as.parent.mkdir(exist_ok=True)
            keep_as.write_bytes(self.path.read_bytes())
        if not keep:
            self.path.unlink(missing_ok=True)


class Terminal:
    """The two streams of one command.

    Attributes:
        as_json: results are for a machine; nothing but JSON goes to standard output.
        log_to: where the libraries' log is kept once there is a run directory.
    """

    def __init__(self, log: LibraryLog, as_json: bool) -> None:
        from rich.console import Console

        def console(stream: IO[str]) -> Console:
            width = None if stream.isatty() else PIPED_WIDTH
            return Console(file=stream, width=width, highlight=False, soft_wrap=not stream.isatty())

        self.as_json = as_json
        self.log_to: Path | None = None
        self._out = console(log.out)
        self._err = console(log.err)

    def print(self, content: Any = "") -> None:
        """Prints for a person; nothing with ``--json``."""
        if not self.as_json:
            self._out.print(content)

    def heading(self, text: str) -> None:
        """Prints the title of one of several parts."""
        from rich.text import Text

        self.print(Text(f"\n{text}", "bold"))

    def print_json(self, content: Any) -> None:
        """Prints one line of JSON if ``--json`` was given."""
        if self.as_json:
            self._out.file.write(json.dumps(content, ensure_ascii=False, allow_nan=False, default=str) + "\n")
            self._out.file.flush()

    def fail(self, message: str) -> None:
        """Prints an error on standard error."""
        self._err.print(f"tledge: {message}", markup=False, style="bold red" if self._err.is_terminal else "")

    def progress(self) -> Progress:
        """Progress that this terminal shows: bars on a terminal, single lines elsewhere, nothing with ``--json``."""
        if self.as_json:
            return Progress()
        return _Bars(self) if self._err.is_terminal else _Lines(self)

    @property
    def error_console(self) -> Any:
        """The Rich console on standard error."""
        return self._err


class _Lines(Progress):
    """One line per finished step."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def note(self, label: str, text: str) -> None:
        from rich.text import Text

        self._terminal.print(Text.assemble((f"{label:<9} ", "bold"), text))

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        step = _LastDetail()
        yield step
        self._terminal.error_console.print(f"{label}: {total:,} {unit}  {step.detail}".rstrip(), markup=False)


class _LastDetail(Step):
    def __init__(self) -> None:
        self.detail = ""

    def advance(self, count: int = 1, detail: str = "") -> None:
        self.detail = detail or self.detail


class _Bars(_Lines):
    """A bar with the rate and the time left, while the step runs."""

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        from rich import progress as bars

        columns = (
            bars.TextColumn("{task.description:<24}"),
            bars.BarColumn(bar_width=24),
            bars.MofNCompleteColumn(),
            bars.TextColumn(unit),
            bars.TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            bars.TextColumn("{task.fields[detail]}", markup=False),
        )
        with bars.Progress(*columns, console=self._terminal.error_console) as shown:
            task = shown.add_task(label, total=total, detail="")

            class BarStep(Step):
                def advance(self, count: int = 1, detail: str = "") -> None:
                    shown.update(task, advance=count, detail=detail or shown.tasks[0].fields["detail"])

            yield BarStep()
            if not shown.tasks[0].finished:  # stopped early, by its own decision
                shown.update(task, total=shown.tasks[0].completed)
