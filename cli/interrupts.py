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
