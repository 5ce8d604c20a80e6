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
    log = LibraryLog()
    interrupts = Interrupts()
    terminal = Terminal(log, as_json, interrupts, command)
    code = 1
    try:
        with interrupts.heeded(), _warnings_shown(terminal):
            yield terminal
        code = 0
    except typer.Exit:
        raise
    except KeyboardInterrupt as interrupt:
        code = STOPPED
        terminal.fail(f"interrupted; {interrupt}" if str(interrupt) else INTERRUPTED)
    except TledgeError as error:
        log.record(error)
        if interrupts.asked:
            code = STOPPED
        elif isinstance(error, OptionError | UnknownNameError):
            code = WRONG_USAGE
        terminal.fail(INTERRUPTED if interrupts.asked else str(error))
    except BrokenPipeError:
        pass
    except OSError as error:
        log.record(error)
        terminal.fail(_explain(error))
    except MemoryError as error:
        log.record(error)
        terminal.fail("out of memory; try a smaller --batch-size or --image-size")
    except Exception as error:  # noqa: BLE001 - an unforeseen error is also shown in one line, without a traceback
        log.record(error)
        code = STOPPED if interrupts.asked else 1
        if interrupts.asked:
            terminal.fail(INTERRUPTED)
        else:
            report = f"internal error: {type(error).__name__}: {error}; please report it with the log {log.keep()}"
            terminal.fail(report)
    finally:
        log.close(terminal.log_to)
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
