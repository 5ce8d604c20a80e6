"""How a room tells a person what it is doing, without knowing how that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Step:
    """One piece of long work that is under way."""

    def advance(self, count: int = 1, detail: str = "") -> None:
        """``count`` more units are done; ``detail`` is the newest figure worth showing."""

    def mark(self, detail: str) -> None:
        """A part of it is done that is worth a line of its own where lines are all there is ("epoch 3/8 …")."""

    def stop_if_asked(self) -> None:
        """Raises KeyboardInterrupt if a person has asked to stop and a library lost the exception.

        ``advance`` does so too.
        """


class Progress:
    """Silent; the command line overrides both methods."""

    def note(self, label: str, text: str) -> None:
        """Says one finished fact ("Data", "photos/: 2,000 images")."""

    def warn(self, text: str) -> None:
        """Says what a person should know before trusting a result; also where only machines are told of results."""

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        """Long work of ``total`` units ("images", "epochs"); shown while the block runs."""
        yield Step()
