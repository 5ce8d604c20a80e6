"""Remembers Ctrl-C, SIGTERM and SIGHUP: a library may swallow the KeyboardInterrupt, or raise another exception."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

from tledge.cli.ending_signals import describe, exit_code, heeded_signals

SECONDS_APART = 1.0
"""Signals within this time of another are one request: a closed terminal and ``timeout`` send several."""


class Interrupts:
    """Whether a signal asked the command to end: Ctrl-C, SIGTERM or SIGHUP.

    Attributes:
        asked: whether one was received.
        number: the first one.
    """

    def __init__(self) -> None:
        self.asked = False
        self.number: int = signal.SIGINT
        self._raised_at = -SECONDS_APART
        self._finishing = False

    def heeded(self) -> AbstractContextManager[None]:
        """Remembers the signals while the block runs, and raises KeyboardInterrupt as Python does for Ctrl-C."""
        return _handled_by(self._note)

    def finish(self) -> None:
        """From now on signals are only remembered: the command says how it ended."""
        self._finishing = True

    def stop_if_asked(self) -> None:
        """Raises KeyboardInterrupt if a signal was received and the exception was lost."""
        if self.asked:
            raise KeyboardInterrupt

    @property
    def exit_code(self) -> int:
        """The exit code of a command that was interrupted."""
        return exit_code(self.number)

    def describe(self, outcome: str) -> str:
        """Returns the message of a command that was interrupted; ``outcome`` says what was kept."""
        return f"{describe(self.number)}; {outcome}"

    def _note(self, number: int, frame: FrameType | None) -> None:
        if not self.asked:
            self.asked, self.number = True, number
        now = time.monotonic()
        if self._finishing or now - self._raised_at < SECONDS_APART:
            return
        self._raised_at = now
        raise KeyboardInterrupt


class Ending:
    """Whether a signal asked the program to stop, which it does after the current image.

    Attributes:
        asked: whether one was received.
    """

    def __init__(self, interrupts: Interrupts) -> None:
        self.asked = False
        self._interrupts = interrupts
        self._asked_at = 0.0

    def heeded(self) -> AbstractContextManager[None]:
        """Remembers the signals while the block runs; another one after a second raises KeyboardInterrupt."""
        return _handled_by(self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.asked:
            self._asked_at, self._interrupts.number = now, number
        self.asked = True
        if now - self._asked_at >= SECONDS_APART:
            raise KeyboardInterrupt


@contextmanager
def _handled_by(note: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Calls a function for each ending signal while the block runs.

    A process that was started to ignore one of them, such as a shell's background job, keeps ignoring it.
    """
    before = {number: signal.signal(number, note) for number in heeded_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
