"""Progress reports, independent of how they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Step:
    """A long piece of work in progress."""

    def begin(self, detail: str, seconds: float | None = None, later: float | None = None) -> None:
        """Reports what is worked on from now on ("int8.tflite on litert:cpu:2", "epoch 3/8").

        Args:
            detail: its name.
            seconds: how long a unit is expected to take.
            later: how long all units after it will take; by default, each is expected to take as long as those before.
        """

    def advance(self, count: int = 1, detail: str = "") -> None:
        """Reports ``count`` more units; ``detail`` is the latest figure to show."""

    def mark(self, detail: str) -> None:
        """Reports the figures of the current work, on a line of their own if there is no progress bar."""

    def finish(self, detail: str) -> None:
        """Reports that the step ends as intended, even if units are left; ``detail`` is its result, in short."""

    def stop_if_asked(self) -> None:
        """Raises KeyboardInterrupt if the user pressed Ctrl-C and a library swallowed the exception.

        ``advance`` does the same.
        """


class Progress:
    """Silent progress; the command line overrides the methods."""

    def note(self, label: str, text: str) -> None:
        """Reports a fact ("Data", "photos/: 2,000 images"), one line; more lines of a fact follow without a label."""

    def warn(self, text: str) -> None:
        """Reports something to know before trusting a result; shown even if the output is JSON."""

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        """Starts a piece of work of ``total`` units ("images", "epochs"), shown until the block ends."""
        yield Step()


def progress_or_default(given: Progress | None) -> Progress:
    """Returns ``given``, or by default progress bars in a notebook and silence elsewhere."""
    from tledge.core.notebook import NotebookProgress, in_notebook

    if given is not None:
        return given
    return NotebookProgress() if in_notebook() else Progress()
