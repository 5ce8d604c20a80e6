"""Prints predictions as lines, each at once: with a camera, the next one may be days away."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tledge.core.number_text import counted
from tledge.core.terminal_text import printable_text

if TYPE_CHECKING:
    from tledge.cli.terminal import Terminal
    from tledge.edge_runtime.prediction_stream import FrameResult

WIDEST_NAME = 60
WIDEST_LABEL = 24
"""Columns; a longer label moves the rest of its line to the right."""

SECONDS_BETWEEN_NOTES = 60.0
"""Between two notes about dropped frames."""


class PredictionLines:
    """Prints predictions, and counts them.

    Args:
        terminal: to print on.
        class_names: of the model.
        width: expected columns of the image names; longer ones make their column wider.

    Attributes:
        read: images that were classified.
        unreadable: images that could not be read.
    """

    def __init__(self, terminal: Terminal, class_names: Sequence[str], width: int) -> None:
        self._terminal = terminal
        self._width = min(width, WIDEST_NAME)
        self._label_width = min(max(_columns(printable_text(name)) for name in class_names), WIDEST_LABEL)
        self._fitting: int | None = None
        self._noted_at = -SECONDS_BETWEEN_NOTES
        self._noted = 0
        self.read = 0
        self.unreadable = 0

    def show(self, result: FrameResult) -> None:
        """Prints a result: a line of text, or of JSON."""
        dropped = {} if result.dropped is None else {"dropped": result.dropped}
        if result.error:
            self.unreadable += 1
            self._terminal.print_json({"image": result.name, "error": result.error, **dropped})
            self._terminal.print_line(result.error)
        else:
            self.read += 1
            predictions = [vars(item) for item in result.predictions]
            milliseconds = round(result.milliseconds, 3)
            self._terminal.print_json({"image": result.name, "predictions": predictions, "ms": milliseconds, **dropped})
            self._terminal.print_line(*self._lines(result))
        if result.dropped:
            self._note_dropped(result.dropped)

    def summarize(self, dropped: int | None) -> None:
        """Prints the number of images, and of dropped frames for a live source."""
        parts = [f"{self.read:,} image{'s'[: self.read != 1]}"]
        if self.unreadable:
            parts.append(f"{self.unreadable:,} unreadable")
        if dropped is not None:
            parts.append(f"{dropped:,} dropped")
        self._terminal.print_line(", ".join(parts))
        if self._fitting is not None:
            shown = "1 class" if self._fitting == 1 else f"{self._fitting} classes"
            self._terminal.print_sentence(
                f"Only {shown} per image fit in {self._terminal.width} columns: use a wider terminal or --json"
            )

    def _lines(self, result: FrameResult) -> list[str]:
        """Returns a line, or two if a terminal is too narrow for the name and a class beside it."""
        name, time = printable_text(result.name), f"{result.milliseconds:6.1f} ms"
        self._width = max(self._width, min(_columns(name), WIDEST_NAME))
        scores = [
            f"{_padded(printable_text(item.label), self._label_width)} {item.score:.3f}   "
            for item in result.predictions
        ]
        above, start = [], f"{_padded(name, self._width)}   "
        if self._terminal.is_terminal:
            room, width = self._terminal.width - len(time), _columns(scores[0])
            if _columns(start) + width > room:
                above, start = [name], "  "
            fitting = max(1, (room - _columns(start)) // width)
            if fitting < len(scores):
                self._fitting = fitting
            scores = scores[:fitting]
        return [*above, f"{start}{''.join(scores)}{time}"]

    def _note_dropped(self, dropped: int) -> None:
        """Notes dropped frames the first time, and again after a minute if there are more."""
        now = time.monotonic()
        if dropped > self._noted and now - self._noted_at >= SECONDS_BETWEEN_NOTES:
            self._terminal.note(
                f"{counted(dropped, 'frames')} dropped so far: they arrive faster than the model classifies them"
            )
            self._noted_at, self._noted = now, dropped


def _columns(text: str) -> int:
    """Returns the columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - _columns(text))
