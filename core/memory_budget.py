"""Memory that threads share: each takes what it needs, and waits while others have taken too much of it."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path
from threading import Condition, Lock
from types import TracebackType
from typing import Self

from tledge.core.control_groups import group_folders
from tledge.core.system_files import read_text

SHARE = 8
"""A machine with much memory uses up to this part of it."""

LARGE = 32 << 20
"""Bytes of a claim after which freed memory goes back to the system, before others get theirs."""


def budget_for(least: int) -> MemoryBudget:
    """Returns the budget of this machine: ``least`` bytes, or more if it has plenty of memory."""
    return MemoryBudget(max(least, usable_memory() // SHARE))


def usable_memory(root: Path = Path("/")) -> int:
    """Returns the bytes of memory that this process may use: the machine's, or less in a container; 0 if not known.

    Args:
        root: the folder that contains ``proc`` and ``sys``.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        memory = 0
    names = {2: "memory.max", 1: "memory.limit_in_bytes"}
    texts = (read_text(folder / names[version]) for version, folder in group_folders("memory", root))
    return min([memory, *(int(text) for text in texts if text.isdigit())])


class MemoryBudget:
    """A number of bytes that all threads together may use.

    Args:
        total: the bytes.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._changed = Condition()
        self._turn = Lock()

    def claim(self) -> Claim:
        """Returns a claim on nothing yet, to be used in a ``with`` block, which gives back what it took."""
        return Claim(self)

    def _take(self, amount: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= amount)
            self._free -= amount

    def _give_back(self, amount: int) -> None:
        with self._changed:
            self._free += amount
            self._changed.notify()


class Claim:
    """What one thread takes of a budget. Claims are served in order, so that a large one does not wait for ever."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._amount = 0
        self._has_turn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_turn()
        if self._amount:
            if self._amount >= LARGE:
                _trim()
            self._budget._give_back(self._amount)
            self._amount = 0

    def hold(self, amount: int, *, last: bool) -> None:
        """Waits until the claim holds ``amount`` bytes, at most the budget's total.

        Args:
            amount: the bytes.
            last: whether it is known that no more will be needed. Until then no other claim is served: two that wait
                for each other's memory would wait for ever.
        """
        if not self._has_turn:
            self._budget._turn.acquire()
            self._has_turn = True
        if amount > self._amount:
            self._budget._take(amount - self._amount)
            self._amount = amount
        if last:
            self._end_turn()

    def _end_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._budget._turn.release()


def _trim() -> None:
    """Gives freed memory back to the system, which glibc keeps for each thread; only glibc has this function."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
