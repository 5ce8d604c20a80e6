"""Looking at a board again and again while something else runs on it.

It belongs beside the process that is measured, never into it: it would take turns with what is measured there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from threading import Event, Thread
from types import TracebackType

from tledge.bench.measure.board import files, vcgencmd
from tledge.bench.results.board_readings import BoardReadings, Spread
from tledge.bench.results.throttling import Throttling
from tledge.core.environment import read_board_model

INTERVAL = 1.0
"""Seconds between two looks at files, which take a fraction of a millisecond."""

FIRMWARE_INTERVAL = 3.0
"""Seconds between two looks at the firmware, each of which starts some processes."""

Command = tuple[str, ...]
_FIGURES: dict[Command, Callable[[str], float | None]] = {
    vcgencmd.CLOCK: vcgencmd.parse_clock,
    vcgencmd.VOLTAGE: vcgencmd.parse_voltage,
    vcgencmd.POWER: vcgencmd.parse_power,
    vcgencmd.TEMPERATURE: vcgencmd.parse_temperature,
}


@dataclass
class _Seen:
    """All samples so far."""

    looks: int = 0
    temperatures: list[float] = field(default_factory=list)
    clocks: list[float] = field(default_factory=list)
    governors: set[str] = field(default_factory=set)
    memory: list[int] = field(default_factory=list)
    figures: dict[Command, list[float]] = field(default_factory=lambda: {command: [] for command in _FIGURES})
    throttling: list[Throttling] = field(default_factory=list)


class BoardSampler:
    """Samples what the board tells from ``with`` to the end of its block.

    It looks once before and once after what runs, at that which an idle board tells as well: throttling, heat, memory.
    Where the machine is no board nothing is started.

    Args:
        root: where ``/proc`` and ``/sys`` are.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._model = read_board_model(root)
        self._policies: list[Path] = []
        self._seen = _Seen()
        self._done = Event()
        self._thread: Thread | None = None
        self._asked: list[Command] = []
        self._has_firmware = False

    def __enter__(self) -> BoardSampler:
        throttling = vcgencmd.read_throttling()
        self._has_firmware = throttling is not None
        if throttling is None and not self._model:
            return self
        self._policies = files.find_policies(self._root)
        self._look()
        if throttling is not None:
            self._seen.throttling.append(throttling)
            self._find_questions()
        self._thread = Thread(target=self._go_on, name="board", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is None:
            return
        self._done.set()
        self._thread.join()
        if kind is None:
            self._look()
            self._ask_whether_held_down()

    @property
    def readings(self) -> BoardReadings | None:
        """What the board told so far; None where the machine is no board."""
        seen = self._seen
        if not seen.looks:
            return None
        figures = seen.figures
        return BoardReadings(
            model=self._model,
            samples=seen.looks,
            temperature=Spread.of(seen.temperatures or figures[vcgencmd.TEMPERATURE]),
            clock=Spread.of(figures[vcgencmd.CLOCK] or seen.clocks),
            governors=tuple(sorted(seen.governors)),
            memory_available=min(seen.memory, default=None),
            core_voltage=min(figures[vcgencmd.VOLTAGE], default=None),
            power=median(figures[vcgencmd.POWER]) if figures[vcgencmd.POWER] else None,
            throttling=_join(seen.throttling),
        )

    def _find_questions(self) -> None:
        """The commands that this firmware answers: a program is not started in vain again and again."""
        questions = list(_FIGURES)
        if self._seen.temperatures:
            questions.remove(vcgencmd.TEMPERATURE)  # the same sensor, without a process
        self._asked = [command for command in questions if _FIGURES[command](vcgencmd.ask(command)) is not None]

    def _go_on(self) -> None:
        last = float("-inf")
        while not self._done.wait(INTERVAL):
            self._look()
            self._look_at_clock()
            if time.monotonic() - last >= FIRMWARE_INTERVAL - INTERVAL / 2:
                last = time.monotonic()
                self._ask_whether_held_down()
                for command in self._asked:
                    value = _FIGURES[command](vcgencmd.ask(command))
                    self._seen.figures[command] += [] if value is None else [value]

    def _look(self) -> None:
        seen = self._seen
        seen.looks += 1
        temperature, memory = files.read_temperature(self._root), files.read_memory_available(self._root)
        seen.temperatures += [] if temperature is None else [temperature]
        seen.memory += [] if memory is None else [memory]
        seen.governors |= set(filter(None, map(files.read_governor, self._policies)))

    def _look_at_clock(self) -> None:
        clocks = [clock for clock in map(files.read_clock, self._policies) if clock is not None]
        self._seen.clocks += [max(clocks)] if clocks else []

    def _ask_whether_held_down(self) -> None:
        throttling = vcgencmd.read_throttling() if self._has_firmware else None
        self._seen.throttling += [] if throttling is None else [throttling]


def _join(samples: list[Throttling]) -> Throttling | None:
    """What held in any of the samples, or between them: a bit since boot that was not set at first."""
    if not samples:
        return None
    now = since_boot = 0
    for sample in samples:
        now |= sample.now | (sample.since_boot & ~samples[0].since_boot)
        since_boot |= sample.since_boot
    return Throttling(now=now, since_boot=since_boot)
