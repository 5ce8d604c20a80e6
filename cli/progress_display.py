"""How the progress of a command is shown: bars on a terminal, lines where the output is piped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from tledge.core.number_text import counted, time_text
from tledge.core.progress import Progress, Step
from tledge.core.sizes import size_text
from tledge.core.terminal_text import printable_text

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

SPARKS = "▁▂▃▄▅▆▇█"
"""The characters of the curve behind the figures of an epoch."""

UNEVEN_UNITS = ("artifacts", "recipes", "parts")
"""Units that take seconds or minutes: those that are done say nothing about the others, so no time left is shown."""

SLACK = 2.0
"""A unit that takes this many times as long as expected makes the time left unknown."""

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
        self._later: float | None = None
        self._long = long

    def expect(self, seconds: float | None, later: float | None = None) -> None:
        """Sets the expected seconds per unit, until some units are done; or of this unit, and of all ``later`` ones."""
        self._expected, self._later = seconds, later

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
        return 1 / self._expected if self._expected else None

    @property
    def left(self) -> float | None:
        """Seconds until the end; None if they are not known, or if nothing is left."""
        rate, units = self.rate, self._total - self.count
        now = self._expected if self._later is not None else rate and 1 / rate
        if now is None or units <= 0:
            return None
        later = now * (units - 1) if self._later is None else self._later
        spent = self._clock() - self._last_at
        if not self._long:
            return max(0.0, now + later - spent)
        return None if spent > SLACK * now else later + max(0.0, now - spent)


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
        self._label = printable_text(label)
        self._total = total
        self._unit = unit
        self._current = ""
        self._detail = ""
        self.time = TimeLeft(total, long=unit not in FINE_UNITS)

    def begin(self, detail: str, seconds: float | None = None, later: float | None = None) -> None:
        self._current = printable_text(detail)
        self.time.expect(seconds, later)

    def advance(self, count: int = 1, detail: str = "") -> None:
        super().advance(count, detail)
        self.time.advance(count)
        self._detail = printable_text(detail) or self._detail

    def mark(self, detail: str) -> None:
        self._detail = printable_text(detail)

    def finish(self, detail: str) -> None:
        self._detail = printable_text(detail)

    @property
    def done(self) -> str:
        """How many units were done."""
        return size_text(self.time.count) if self._unit == "bytes" else counted(self.time.count, self._unit)

    @property
    def left(self) -> float | None:
        """Seconds until the end; None if they are not known."""
        return None if self._unit in UNEVEN_UNITS else self.time.left

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
        label = printable_text(label)
        line = f"{label:<{NOTES_INDENT - 1}} {self._terminal.translate(text)}"
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

    def begin(self, detail: str, seconds: float | None = None, later: float | None = None) -> None:
        super().begin(detail, seconds, later)
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

    def finish(self, detail: str) -> None:
        super().finish(detail)
        self._marked = False

    def end(self) -> None:
        """Prints how many units were done."""
        detail = "" if self._marked else self._detail
        self._print(f"{self.done} in {time_text(self.time.elapsed)}", detail, ended=True)

    def _print(self, *parts: str, ended: bool = False) -> None:
        left = None if ended else self.left
        remaining = "" if left is None else f"about {time_text(left)} left"
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
        """Returns the line, which fits in the columns: figures are left out, the main one last, and never cut."""
        from rich.cells import cell_len, set_cell_size
        from rich.text import Text

        wide = width >= WIDE
        numbers, details = self._numbers(rate=wide), self._details()
        columns = max(LABEL_WIDTHS[wide], cell_len(self._label))
        if self.ended and cell_len(f"{numbers}{details[0]}") + 4 > width - columns:
            numbers = self._numbers(rate=False).removeprefix(f"{self.done}  " if details[0] else "")
        elif cell_len(self._label) + 2 + cell_len(numbers) > width:
            numbers = self._numbers(rate=False)
        room = max(0, width - cell_len(numbers) - 2)
        columns = min(columns, room)
        room -= columns
        bar_width = BAR_WIDTHS[wide]
        choices = [(bar, text) for text in details for bar in (bar_width, 0) if _fits(text, bar, room)]
        bar_width, detail = choices[0] if choices else (bar_width if _fits("", bar_width, room) else 0, "")
        share = min(1.0, self.time.count / self._total) if self._total and not self.ended else 1.0
        filled = round(bar_width * share)
        line = Text(set_cell_size(_shorten(self._label, columns), columns), no_wrap=True, overflow="crop")
        if bar_width:
            line.append(" ").append("━" * filled, "green" if self.ended else "magenta")
            line.append("─" * (bar_width - filled), "bright_black")
        line.append(f"  {numbers}")
        room = width - line.cell_len - 2
        if not choices and not self._detail and room >= LEAST_DETAIL:
            detail = _shorten(details[0], room)
        return line.append(f"  {detail}", "cyan") if detail else line

    def _details(self) -> list[str]:
        """Returns what is worked on with the latest figures, then less and less of it."""
        current, detail = "" if self.ended else self._current, self._detail
        figures = detail.rstrip(f"{SPARKS} ")
        parts = figures.split("  ")
        shown = [detail, *("  ".join(parts[place:]) for place in range(len(parts)))]
        return ["  ".join(filter(None, (current, text))) for text in shown] + [parts[-1]]

    def _numbers(self, *, rate: bool) -> str:
        speed = self.time.rate if rate and self._unit in ("photos", "images") else None
        if self.ended:
            position, remaining = self.done, f"in {_clock(self.time.elapsed)}"
        else:
            left, position = self.left, self.position
            remaining = f"{_clock(self.time.elapsed)} so far" if left is None else f"{_clock(left)} left"
        return "  ".join([position, *([] if speed is None else [f"{speed:,.0f} img/s"]), remaining])


def _fits(detail: str, bar_width: int, room: int) -> bool:
    """Whether a detail and a bar, with the spaces before them, fit in the columns."""
    from rich.cells import cell_len

    return (cell_len(detail) + 2 if detail else 0) + (bar_width + 1 if bar_width else 0) <= room


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
