"""Ctrl-C, SIGTERM and SIGHUP outside of a command's work, when nothing has to be saved.

The process ends without a traceback, also in the middle of an import.
"""

from __future__ import annotations

import os
import signal

from tledge.core.interrupt_delay import ENDING_SIGNALS

TYPE_CHECKING = False  # importing typing takes long, and Ctrl-C is not handled before this module is loaded
if TYPE_CHECKING:
    from types import FrameType


def exit_code(number: int) -> int:
    """Returns the exit code of a command that a signal ended, as a shell shows it: 130 for Ctrl-C."""
    return 128 + number


def describe(number: int) -> str:
    """Returns what happened, for a message: "interrupted", or "interrupted by SIGTERM"."""
    return "interrupted" if number == signal.SIGINT else f"interrupted by {signal.Signals(number).name}"


def heeded_signals() -> tuple[signal.Signals, ...]:
    """Returns the ending signals but those that this process was started to ignore, as ``nohup`` starts it."""
    return tuple(number for number in ENDING_SIGNALS if signal.getsignal(number) not in (signal.SIG_IGN, None))


def end_at_once() -> None:
    """Makes the signals end the process with one line; used while the command line is loaded and read."""
    for number in heeded_signals():
        signal.signal(number, _end)


def end_by_default() -> None:
    """Makes the signals end the process without a word; used once everything is saved and printed."""
    for number in heeded_signals():
        signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    # Not an exception: an import or a destructor would swallow it, or print a traceback.
    try:
        os.write(2, f"tledge: {describe(number)}\n".encode())
    finally:
        os._exit(exit_code(number))
