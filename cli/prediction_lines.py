"""Answers as lines, one at a time: who reads them may wait for the next one for days."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tledge.cli.terminal import Terminal
    from tledge.edge_runtime.prediction_stream import FrameResult

WIDEST_NAME = 60
WIDEST_LABEL = 24
"""Columns; what is longer pushes its own line's others to the right."""

SECONDS_BETWEEN_NOTES = 60.0
"""Between two lines on dropped frames."""


class PredictionLines:
    """Prints answers, and counts them.

    Args:
        terminal: to print on.
        class_names: all that can be answered.
        width: columns that the names of images take, as far as that is known; longer ones make their column wider.

    Attributes:
        read: images that were answered.
        unreadable: images that could not be read.
    """

    def __init__(self, terminal: Terminal, class_names: Sequence[str], width: int) -> None:
        self._terminal = terminal
        self._width = min(width, WIDEST_NAME)
        self._label_width = min(max(map(len, class_names)), WIDEST_LABEL)
        self._noted_at = -SECONDS_BETWEEN_NOTES
        self._noted = 0
        self.read = 0
        self.unreadable = 0

    def show(self, answer: FrameResult) -> None:
        """Prints an answer: a line of text, or of JSON."""
        dropped = {} if answer.dropped is None else {"dropped": answer.dropped}
        if answer.error:
            self.unreadable += 1
            self._terminal.print_json({"image": answer.name, "error": answer.error, **dropped})
            self._terminal.print_line(_printable(answer.error))
        else:
            self.read += 1
            predictions = [vars(item) for item in answer.predictions]
            milliseconds = round(answer.milliseconds, 3)
            self._terminal.print_json({"image": answer.name, "predictions": predictions, "ms": milliseconds, **dropped})
            self._terminal.print_line(self._line(answer))
        if answer.dropped:
            self._note_dropped(answer.dropped)

    def summarize(self, dropped: int | None) -> None:
        """Prints how many there were; of a live source also how many frames were dropped."""
        parts = [f"{self.read:,} image{'s'[: self.read != 1]}"]
        if self.unreadable:
            parts.append(f"{self.unreadable:,} unreadable")
        if dropped is not None:
            parts.append(f"{dropped:,} dropped")
        self._terminal.print_line(", ".join(parts))

    def _line(self, answer: FrameResult) -> str:
        name = _printable(answer.name)
        self._width = max(self._width, min(len(name), WIDEST_NAME))
        scores = "   ".join(f"{item.label:<{self._label_width}} {item.score:.3f}" for item in answer.predictions)
        return f"{name:<{self._width}}   {scores}   {answer.milliseconds:6.1f} ms"

    def _note_dropped(self, dropped: int) -> None:
        """Says so now and then: the first time, and again after a minute if there were more."""
        now = time.monotonic()
        if dropped > self._noted and now - self._noted_at >= SECONDS_BETWEEN_NOTES:
            self._terminal.note(f"{dropped:,} frames dropped so far: more come than the model has time for")
            self._noted_at, self._noted = now, dropped


def _printable(text: str) -> str:
    """A text on one line, without what a terminal would obey: file names may hold anything."""
    if text.isprintable():
        return text
    return "".join(item if item.isprintable() else ascii(item)[1:-1] for item in text)
