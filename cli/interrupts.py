"""Remembers Ctrl-C: a library may swallow its KeyboardInterrupt, or raise another exception instead."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Whether Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Remembers Ctrl-C while the block runs, and raises KeyboardInterrupt as Python does.

        A process that was started to ignore it, such as a shell's background job, keeps ignoring it.
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
        """Raises KeyboardInterrupt if Ctrl-C was pressed and the exception was lost."""
        if self.asked:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        raise KeyboardInterrupt


class Ending:
    """Whether SIGTERM or Ctrl-C asked the program to stop, which it does after the current image.

    Attributes:
        asked: whether either was received.
        by_ctrl_c: whether Ctrl-C was.
    """

    def __init__(self) -> None:
        self.asked = False
        self.by_ctrl_c = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Remembers both signals while the block runs; a second Ctrl-C raises KeyboardInterrupt.

        A signal that the process was started to ignore stays ignored.
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
