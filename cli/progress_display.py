"""How the progress of a command is shown: bars on a terminal, lines where the output is piped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from tledge.core.progress import Progress, Step
from tledge.core.sizes import size_text

if TYPE_CHECKING:
    from tledge.cli.terminal import Terminal

WIDE = 110
LABEL_WIDTHS = (13, 22)
"""Columns of the labels, so that bars are aligned: on a terminal narrower than ``WIDE``, and on a wider one."""

LEAST_DETAIL = 8
"""Columns below which the detail of a bar is left out."""

BAR_WIDTHS = (8, 14)
"""Columns of the bars, on a narrow terminal and on a wide one."""

NOTES_INDENT = 10

SECONDS_BETWEEN_LINES = 10.0, 60.0
"""Between two lines of a step: at first, and after some time."""

SHORTEST = 0.5
"""Seconds that a rate is measured for."""

FINE_UNITS = ("photos", "images", "queries", "bytes", "steps")
"""Units so small that only their number is shown, not which of them is worked on."""


class TimeLeft:
    """Estimates the time that a step still takes from the units that are done.

    Args:
        total: units of the step.
        clock: returns seconds.
        long: a unit may take seconds or minutes.

    Attributes:
        count: the units that are done.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic, *, long: bool = True) -> None:
        self.count = 0
        self._total = total
        self._clock = clock
        self._started = self._first_at = self._last_at = clock()
        self._first = 0
        self._expected: float | None = None
        self._long = long

    def expect(self, seconds: float | None) -> None:
        """Sets the expected seconds per unit, which count until some units are done."""
        self._expected = seconds

    def advance(self, count: int) -> None:
        """Counts units that are done."""
        if count:
            self.count += count
            self._last_at = self._clock()
            if not self._first:  # its duration often includes a start-up
                self._first, self._first_at = self.count, self._last_at

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    @property
    def rate(self) -> float | None:
        """Units per second; None if it is not known yet."""
        if self._last_at - self._first_at >= SHORTEST:
            return (self.count - self._first) / (self._last_at - self._first_at)
        if self._last_at - self._started >= SHORTEST:
            return self.count / (self._last_at - self._started)
        return 1 / max(self._expected, self._clock() - self._last_at) if self._expected else None

    @property
    def left(self) -> float | None:
        """Seconds until the end; None if they are not known yet, or if nothing is left."""
        rate = self.rate
        if rate is None or self.count >= self._total:
            return None
        units = self._total - self.count
        whole = units - 1 if self._long else 0  # those after one that takes longer than expected
        return max(whole / rate, units / rate - (self._clock() - self._last_at))


class SilentProgress(Progress):
    """Shows only warnings, on standard error, and reacts to Ctrl-C."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def warn(self, text: str) -> None:
        self._terminal.warn(text)

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        yield _Stoppable(self._terminal)


class _Stoppable(Step):
    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def advance(self, count: int = 1, detail: str = "") -> None:
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        self._terminal.interrupts.stop_if_asked()


class _ShownStep(_Stoppable):
    """A step with what is known of it: how far it is, what is worked on, and the latest figures."""

    def __init__(self, terminal: Terminal, label: str, total: int, unit: str) -> None:
        super().__init__(terminal)
        self._label = label
        self._total = total
        self._unit = unit
        self._current = ""
        self._detail = ""
        self.time = TimeLeft(total, long=unit not in FINE_UNITS)

    def begin(self, detail: str, seconds: float | None = None) -> None:
        self._current = detail
        self.time.expect(seconds)

    def advance(self, count: int = 1, detail: str = "") -> None:
        super().advance(count, detail)
        self.time.advance(count)
        self._detail = detail or self._detail

    def mark(self, detail: str) -> None:
        self._detail = detail

    @property
    def position(self) -> str:
        """How many units of the step are done."""
        if self._unit == "bytes":
            return f"{size_text(self.time.count)} of {size_text(self._total)}"
        return f"{self.time.count:,}/{self._total:,} {self._unit}"


class ProgressLines(SilentProgress):
    """A line for each round, epoch or artifact, at most one in ten seconds for photos, and one at the end."""

    def note(self, label: str, text: str) -> None:
        from rich.text import Text

        from tledge.cli.terminal import wrap

        console, indent = self._note_console, " " * NOTES_INDENT
        line = f"{label:<{NOTES_INDENT - 1}} " + self._terminal.translate(text).replace("\n", f"\n{indent}")
        shown = Text(wrap(line, console.width, indent) if self._terminal.is_terminal else line)
        shown.stylize("bold", 0, len(label))
        console.print(shown, soft_wrap=True)

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        step = _StepLines(self._terminal, label, total, unit)
        yield step
        step.end()

    @property
    def _note_console(self) -> Any:
        return self._terminal.console


class _StepLines(_ShownStep):
    def __init__(self, terminal: Terminal, label: str, total: int, unit: str) -> None:
        super().__init__(terminal, label, total, unit)
        self._printed_at = 0.0
        self._marked = False

    def begin(self, detail: str, seconds: float | None = None) -> None:
        super().begin(detail, seconds)
        if not self._marked:
            number = f"{self.time.count + 1:,}/{self._total:,}"
            self._print("" if self._unit in FINE_UNITS else f"{self._unit.removesuffix('s')} {number}", detail)
        self._marked = False

    def advance(self, count: int = 1, detail: str = "") -> None:
        super().advance(count, detail)
        shortest, longest = SECONDS_BETWEEN_LINES
        pause = min(max(shortest, self.time.elapsed / 20), longest)
        if self.time.elapsed - self._printed_at >= pause and self.time.count < self._total:
            self._print(self._current, self.position, self._detail)

    def mark(self, detail: str) -> None:
        super().mark(detail)
        self._marked = True
        self._print(self._current, detail)

    def end(self) -> None:
        """Prints how many units were done."""
        done = f"{self.time.count:,} {self._unit}" if self._unit != "bytes" else size_text(self.time.count)
        detail = "" if self._marked else self._detail
        self._print(f"{done} in {_duration(self.time.elapsed)}", detail, ended=True)

    def _print(self, *parts: str, ended: bool = False) -> None:
        left = None if ended else self.time.left
        remaining = "" if left is None else f"about {_duration(left)} left"
        self._printed_at = self.time.elapsed
        self._terminal.note(f"{self._label}: {', '.join(filter(None, (*parts, remaining)))}")


class ProgressBars(ProgressLines):
    """A line with a bar for each step while it runs, with the time left."""

    def __init__(self, terminal: Terminal) -> None:
        super().__init__(terminal)
        self._steps: list[_StepBar] = []

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        from rich.live import Live

        step = _StepBar(self._terminal, label, total, unit)
        self._steps.append(step)
        try:
            with ExitStack() as stack:
                if len(self._steps) == 1:
                    # Libraries write to sys.stdout and sys.stderr, which are files: Rich must not show that.
                    stack.enter_context(
                        Live(
                            get_renderable=self._lines,
                            console=self._terminal.error_console,
                            refresh_per_second=4,
                            redirect_stdout=False,
                            redirect_stderr=False,
                        )
                    )
                yield step
                step.ended = True
        finally:
            self._steps.remove(step)

    def _lines(self) -> Any:
        from rich.console import Group

        return Group(*(step.line(self._terminal.error_console.width) for step in self._steps))

    @property
    def _note_console(self) -> Any:
        """The console that draws the bar, which then stays below the note, if both streams are one terminal."""
        bar = self._steps and self._terminal.is_terminal
        return self._terminal.error_console if bar else self._terminal.console


class _StepBar(_ShownStep):
    """Attributes: ended, whether the step has ended."""

    ended = False

    def line(self, width: int) -> Any:
        """Returns the line, which fits in the columns: the detail is shortened first, the time left never."""
        from rich.cells import cell_len, set_cell_size
        from rich.text import Text

        wide = width >= WIDE
        label, bar_width = self._label, BAR_WIDTHS[wide]
        detail = "  ".join(filter(None, ("" if self.ended else self._current, self._detail)))
        numbers = self._numbers(rate=wide or not detail)
        if cell_len(label) + 2 + cell_len(numbers) > width:
            numbers = self._numbers(rate=False)
        room = max(0, width - cell_len(numbers) - 2)
        columns = max(LABEL_WIDTHS[wide], cell_len(label))
        if columns + bar_width + 1 > room:
            bar_width, columns = 0, min(columns, room)
        label = set_cell_size(_shorten(label, columns), columns)
        share = min(1.0, self.time.count / self._total) if self._total else 1.0
        filled = round(bar_width * share)
        line = Text(label, no_wrap=True, overflow="crop")
        if bar_width:
            line.append(" ").append("━" * filled, "green" if self.ended else "magenta")
            line.append("─" * (bar_width - filled), "bright_black")
        line.append(f"  {numbers}")
        room = width - line.cell_len - 2
        return line.append(f"  {_shorten(detail, room)}", "cyan") if detail and room >= LEAST_DETAIL else line

    def _numbers(self, *, rate: bool) -> str:
        speed = self.time.rate if rate and self._unit in ("photos", "images") else None
        left = self.time.left
        if self.ended:
            remaining = f"in {_clock(self.time.elapsed)}"
        else:
            remaining = f"{_clock(self.time.elapsed)} so far" if left is None else f"{_clock(left)} left"
        return "  ".join([self.position, *([] if speed is None else [f"{speed:,.0f} img/s"]), remaining])


def _shorten(text: str, width: int) -> str:
    """Returns a text that fits in the columns; the ends of those that do not are cut off."""
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return text
    return f"{set_cell_size(text, width - 1).rstrip()}…" if width > 0 else ""


def _clock(seconds: float) -> str:
    """Returns 2:05, or 1:02:05."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _duration(seconds: float) -> str:
    """Returns a duration in words: 40 s, 3 min, 2 h 5 min."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
