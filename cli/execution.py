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
from tledge.cli.terminal import Terminal
from tledge.core.cpu import CpuWarning
from tledge.core.errors import OptionError, TledgeError, UnknownNameError

WRONG_USAGE = 2
"""The exit code for options that do not exist, are not valid or contradict each other."""

STOPPED = 130
"""The exit code after Ctrl-C, as of a shell's commands."""

INTERRUPTED = "interrupted; no incomplete files are left behind"
"""Also shown when a library turned Ctrl-C into another error."""


@contextmanager
def executing(command: str, as_json: bool) -> Iterator[Terminal]:
    """Gives a command its terminal; turns errors into one line on standard error and an exit code.

    Args:
        command: its name; messages that name Python parameters are shown with its flags.
        as_json: print JSON instead of tables.

    Raises:
        typer.Exit: instead of the error; with code 1, ``WRONG_USAGE`` or ``STOPPED``.
    """
    # The cells of a benchmark share the GPU with this process.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    interrupts = Interrupts()
    log: LibraryLog | None = None
    try:
        import numpy  # noqa: F401 - its OpenBLAS ends a process with too little memory; the log would hide why

        log = LibraryLog()
        terminal = Terminal(log, as_json, interrupts, command)
    except (OSError, MemoryError, ImportError, RuntimeError) as error:
        if log is not None:
            log.close(None, keep=False)
        print(f"tledge: {describe_failure(error) or f'cannot start: {error}'}", file=sys.stderr)
        raise typer.Exit(1) from error
    keep = False
    code = 1
    try:
        with interrupts.heeded(), _warnings_shown(terminal):
            yield terminal
        code = 0
    except typer.Exit:
        raise
    except KeyboardInterrupt as interrupt:
        code = STOPPED
        _fail(terminal, f"interrupted; {interrupt}" if str(interrupt) else INTERRUPTED)
    except TledgeError as error:
        log.record(error)
        if interrupts.asked:
            code = STOPPED
        elif isinstance(error, OptionError | UnknownNameError):
            code = WRONG_USAGE
        _fail(terminal, INTERRUPTED if interrupts.asked else _located(str(error)))
    except BrokenPipeError:
        pass
    except Exception as error:  # noqa: BLE001 - an unforeseen error is also shown in one line, without a traceback
        log.record(error)
        known = describe_failure(error)
        # Of a library's error, Ctrl-C may be the cause; a full disk or too little memory is one of its own.
        interrupted = interrupts.asked and not isinstance(error, OSError | MemoryError)
        keep = known is None and not interrupted
        code = STOPPED if interrupted else 1
        report = f"internal error: {type(error).__name__}: {error}; please report it with the log {log.path}"
        _fail(terminal, INTERRUPTED if interrupted else report if known is None else _located(known))
    finally:
        log.close(terminal.log_to, keep)
    if code:
        raise typer.Exit(code)


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
