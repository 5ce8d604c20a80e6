"""Delays Ctrl-C and the other signals that end a program while results are saved."""

from __future__ import annotations

import signal

TYPE_CHECKING = False  # importing typing takes long, and the command line imports this module first
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, Self

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that ask a program to end."""


class InterruptDelay:
    """Holds back the signals that end a program; use it in a ``with`` block.

    Whatever Python function handles a signal is called at the end of the block, for the first signal that came.
    Signals that the program ignores, or that end it at once, stay as they are. Without effect outside of the main
    thread, where Python handles no signals.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[..., Any]] = {}
        self._pending: int | None = None

    def __enter__(self) -> Self:
        import threading

        if threading.current_thread() is threading.main_thread():
            try:
                for number in ENDING_SIGNALS:
                    handler = signal.getsignal(number)
                    if callable(handler):
                        signal.signal(number, self._note)
                        self._handlers[number] = handler
            except BaseException:  # a signal that is not held back yet
                self._restore()
                raise
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._restore()
        if kind is None:
            self._deliver()

    def take(self) -> bool:
        """Returns whether a signal came, and handles it here instead of at the end of the block.

        A KeyboardInterrupt that its handler raises is suppressed: the caller ends its work.
        """
        try:
            came = self._pending is not None
            self._deliver()
        except KeyboardInterrupt:
            return True
        return came

    def _deliver(self) -> None:
        number, self._pending = self._pending, None
        if number is not None:
            self._handlers[number](number, None)

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._pending is None:
            self._pending = number
