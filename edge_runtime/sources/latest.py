"""A queue for live sources: it keeps the newest items and counts those it drops."""

from __future__ import annotations

from collections import deque
from threading import Condition, Event
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE = 0.2
"""Seconds between two checks whether to stop waiting."""


class Latest(Generic[T]):
    """A bounded queue between two threads: if it is full, a new item replaces the oldest.

    Args:
        capacity: the most items it holds.

    Attributes:
        dropped: number of items dropped so far.
    """

    def __init__(self, capacity: int = 2) -> None:
        self._items: deque[T] = deque(maxlen=capacity)
        self._changed = Condition()
        self._error: Exception | None = None
        self._finished = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Adds an item without waiting."""
        with self._changed:
            self.dropped += len(self._items) == self._items.maxlen
            self._items.append(item)
            self._changed.notify()

    def finish(self, error: Exception | None = None) -> None:
        """Marks the end of the items, with the error that caused it, if any."""
        with self._changed:
            self._finished = True
            self._error = error
            self._changed.notify()

    def take(self, ended: Event) -> T | None:
        """Waits for the oldest item and returns it; None at the end or when ``ended`` is set.

        Raises:
            Exception: the error passed to :meth:`finish`, once all items are taken.
        """
        with self._changed:
            while not self._items:
                if ended.is_set():
                    return None
                if self._finished:
                    if self._error is not None:
                        raise self._error
                    return None
                self._changed.wait(PATIENCE)
            return self._items.popleft()
