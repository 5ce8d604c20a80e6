"""Runs the body of a command: every error becomes one line and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from tledge.cli.failure import describe_failure, working_folder_is_gone
from tledge.cli.interrupts import Interrupts
from tledge.cli.library_log import LibraryLog
from tledge.cli.output_streams import CLOSED_PIPE, OutputLostError
from tledge.cli.terminal import Terminal
from tledge.core.cpu import CpuWarning
from tledge.core.errors import OptionError, TledgeError, UnknownNameError

WRONG_USAGE = 2
"""The exit code for options that do not exist, are not valid or contradict each other."""

NOTHING_INCOMPLETE = "no incomplete files are left behind"
"""Shown after an interruption, also when a library turned it into another error."""


@contextmanager
def executing(command: str, as_json: bool) -> Iterator[Terminal]:
    """Gives a command its terminal; turns errors into one line on standard error and an exit code.

    Args:
        command: its name; messages that name Python parameters are shown with its flags.
        as_json: print JSON instead of tables.

    Raises:
        typer.Exit: instead of the error; with code 1, ``WRONG_USAGE``, ``CLOSED_PIPE`` or that of a signal.
    """
    # The cells of a benchmark share the GPU with this process.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    interrupts = Interrupts()
    log: LibraryLog | None = None
    with interrupts.heeded():
        try:
            import numpy  # noqa: F401 - its OpenBLAS ends a process with too little memory; the log would hide why

            log = LibraryLog()
            terminal = Terminal(log, as_json, interrupts, command)
        except (OSError, MemoryError, ImportError, RuntimeError) as error:
            if log is not None:
                log.close(None)
            print(f"tledge: {describe_failure(error, command) or f'cannot start: {error}'}", file=sys.stderr)
            raise typer.Exit(1) from error
        code = 1
        try:
            try:
                with _warnings_shown(terminal):
                    yield terminal
                code = 0
            except typer.Exit as end:
                code = end.exit_code
            except OutputLostError:
                code = 0  # the loss has a code of its own
            except Exception as error:  # noqa: BLE001 - an unforeseen error is also shown in one line, without a traceback
                interrupts.finish()  # a signal from now on is too late to be what ended the command
                code = _report(error, terminal, log)
        except KeyboardInterrupt as interrupt:
            interrupts.finish()
            code = interrupts.exit_code
            _fail(terminal, interrupts.describe(str(interrupt) or NOTHING_INCOMPLETE))
        finally:
            interrupts.finish()
            code = code or _report_lost_output(terminal, log)
            log.close(terminal.log_to)
    if code:
        raise typer.Exit(code)


def _report(error: Exception, terminal: Terminal, log: LibraryLog) -> int:
    """Shows an error in one line and returns the exit code; the log of an internal error is kept."""
    log.record(error)
    # Of a library's error, the signal may be the cause; a full disk or too little memory is one of its own.
    if terminal.interrupts.asked and not isinstance(error, OSError | MemoryError):
        _fail(terminal, terminal.interrupts.describe(NOTHING_INCOMPLETE))
        return terminal.interrupts.exit_code
    if isinstance(error, TledgeError):
        _fail(terminal, _located(str(error)))
        return WRONG_USAGE if isinstance(error, OptionError | UnknownNameError) else 1
    known = describe_failure(error, terminal.command)
    report = f"internal error: {type(error).__name__}: {error}; please report it with the log "
    _fail(terminal, f"{report}{log.keep()}" if known is None else _located(known))
    return 1


def _report_lost_output(terminal: Terminal, log: LibraryLog) -> int:
    """Returns the exit code for a standard output that could not be written; 0 if it could. Says why if that helps."""
    log.out.flush()
    lost = log.lost
    if lost is None:
        return 0
    if isinstance(lost, BrokenPipeError):  # the reader had enough
        return CLOSED_PIPE
    terminal.fail(f"cannot write the output: {lost.strerror}")
    return 1


@contextmanager
def _warnings_shown(terminal: Terminal) -> Iterator[None]:
    """Shows each of our own warnings in one line; those of libraries go to the log."""
    show = warnings.showwarning

    def heed(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        if issubclass(category, CpuWarning):
            terminal.warn(str(message))
        else:
            show(message, category, *rest, **more)

    warnings.showwarning = heed
    try:
        yield
    finally:
        warnings.showwarning = show


def _located(message: str) -> str:
    """Returns an error message, after its likely cause if the working directory was removed."""
    if working_folder_is_gone():
        return f"the working directory was removed; change to another folder and try again ({message})"
    return message


def _fail(terminal: Terminal, message: str) -> None:
    """Shows an error, without colours and wrapping if there is too little memory for these."""
    try:
        terminal.fail(message)
    except (MemoryError, ImportError, RuntimeError):
        terminal.fail_plainly(message)
