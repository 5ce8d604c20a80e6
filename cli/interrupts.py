"""Ctrl-C that is not lost: a library may swallow the exception that it raises, or make another one of it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether a person has asked to stop."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Notes Ctrl-C while the block runs, and raises KeyboardInterrupt as Python does.

        A process that was started to ignore it, as a shell's background jobs are, goes on ignoring it.
        """
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def stop_if_asked(self) -> None:
        """Raises KeyboardInterrupt if it was asked for and the program still runs."""
        if self.asked:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        raise KeyboardInterrupt


class Ending:
    """Whether a program was asked to end, by SIGTERM or Ctrl-C, which it does at the next good place.

    Attributes:
        asked: whether it was.
        by_ctrl_c: whether a person did, rather than a system that stops a service.
    """

    def __init__(self) -> None:
        self.asked = False
        self.by_ctrl_c = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Notes both signals while the block runs; a second Ctrl-C raises KeyboardInterrupt.

        What the process was started to ignore, as a shell's background jobs ignore Ctrl-C, it goes on ignoring.
        """
        before = {
            number: signal.signal(number, self._note)
            for number in (signal.SIGTERM, signal.SIGINT)
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if self.by_ctrl_c:
                raise KeyboardInterrupt
            self.by_ctrl_c = True
        self.asked = True
