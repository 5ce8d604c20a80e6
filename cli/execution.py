"""Runs the body of a command: every error becomes one line and an exit code."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

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
    log = LibraryLog()
    interrupts = Interrupts()
    terminal = Terminal(log, as_json, interrupts, command)
    with interrupts.heeded():
        code = 1
        try:
            with _warnings_shown(terminal):
                yield terminal
            code = 0
        except typer.Exit as end:
            code = end.exit_code
        except KeyboardInterrupt as interrupt:
            code = interrupts.exit_code
            terminal.fail(interrupts.describe(str(interrupt) or NOTHING_INCOMPLETE))
        except OutputLostError:
            code = 0  # the loss has a code of its own
        except Exception as error:  # noqa: BLE001 - an unforeseen error is also shown in one line, without a traceback
            code = _report(error, terminal, log)
        finally:
            interrupts.finish()
            code = code or _report_lost_output(terminal, log)
            log.close(terminal.log_to)
    if code:
        raise typer.Exit(code)


def _report(error: Exception, terminal: Terminal, log: LibraryLog) -> int:
    """Shows an error in one line and returns the exit code; the log of an internal error is kept."""
    log.record(error)
    if terminal.interrupts.asked and not isinstance(error, OSError | MemoryError):
        terminal.fail(terminal.interrupts.describe(NOTHING_INCOMPLETE))
        return terminal.interrupts.exit_code
    if isinstance(error, TledgeError):
        terminal.fail(str(error))
        return WRONG_USAGE if isinstance(error, OptionError | UnknownNameError) else 1
    if isinstance(error, OSError):
        terminal.fail(_explain(error))
    elif isinstance(error, MemoryError):
        terminal.fail("out of memory; try a smaller --batch-size or --image-size")
    else:
        terminal.fail(f"internal error: {type(error).__name__}: {error}; please report it with the log {log.keep()}")
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


def _explain(error: OSError) -> str:
    reason = error.strerror or str(error)
    if not error.filename:
        return f"cannot write: {reason}; free some space or write elsewhere"
    advice = {
        errno.ENOSPC: "free some space, or choose another disk with --runs",
        errno.EDQUOT: "free some space, or choose another disk with --runs",
        errno.EROFS: "the disk is read-only; choose another one with --runs",
        errno.EACCES: "check the permissions, or choose another folder with --runs",
        errno.EPERM: "check the permissions, or choose another folder with --runs",
        errno.EEXIST: "it is a file where a folder is needed; choose another name with --runs",
        errno.ENOTDIR: "a part of it is a file, not a folder; choose another name with --runs",
    }.get(error.errno or 0, "check the disk and try again")
    return f"cannot read or write '{error.filename2 or error.filename}': {reason}; {advice}"
