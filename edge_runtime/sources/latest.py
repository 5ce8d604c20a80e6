"""What a live source gives faster than it is taken: the newest few are kept, the others counted."""

from __future__ import annotations

from collections import deque
from threading import Condition, Event
from typing import Generic, TypeVar

T = TypeVar("T")

PATIENCE = 0.2
"""Seconds between two looks at whether to go on waiting."""


class Latest(Generic[T]):
    """A queue between two threads that never grows: where it is full, the oldest item is dropped for the newest.

    Args:
        capacity: items that it holds.

    Attributes:
        dropped: how many items were dropped so far.
    """

    def __init__(self, capacity: int = 2) -> None:
        self._items: deque[T] = deque(maxlen=capacity)
        self._changed = Condition()
        self._error: Exception | None = None
        self._finished = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Adds an item; never waits."""
        with self._changed:
            self.dropped += len(self._items) == self._items.maxlen
            self._items.append(item)
            self._changed.notify()

    def finish(self, error: Exception | None = None) -> None:
        """No item will follow: because of an error, or because there are no more."""
        with self._changed:
            self._finished = True
            self._error = error
            self._changed.notify()

    def take(self, ended: Event) -> T | None:
        """The oldest item that is kept, waiting for one; None at the end or when ``ended`` is set.

        Raises:
            Exception: that with which the source finished, once all items are taken.
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
