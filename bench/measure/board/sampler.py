"""Samples a board's health while something else runs on it.

Run it beside the measured process, never inside it: there it would compete for Python's interpreter lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from threading import Event, Thread

from tledge.bench.measure.board import files, vcgencmd
from tledge.bench.results.board_readings import BoardReadings, Spread, Throttling
from tledge.core.environment import read_board_model

INTERVAL = 1.0
"""Seconds between two samples of files, which take a fraction of a millisecond."""

FIRMWARE_INTERVAL = 3.0
"""Seconds between two samples of the firmware, each of which starts some processes."""

Command = tuple[str, ...]
_PARSERS: dict[Command, Callable[[str], float | None]] = {
    vcgencmd.CLOCK: vcgencmd.parse_clock,
    vcgencmd.VOLTAGE: vcgencmd.parse_voltage,
    vcgencmd.POWER: vcgencmd.parse_power,
    vcgencmd.TEMPERATURE: vcgencmd.parse_temperature,
}


@dataclass
class _Samples:
    """All samples so far."""

    count: int = 0
    temperatures: list[float] = field(default_factory=list)
    clocks: list[float] = field(default_factory=list)
    governors: set[str] = field(default_factory=set)
    memory: list[int] = field(default_factory=list)
    firmware: dict[Command, list[float]] = field(default_factory=lambda: {command: [] for command in _PARSERS})
    throttling: list[Throttling] = field(default_factory=list)


class BoardSampler:
    """Samples a board's health during a ``with`` block.

    Throttling, temperature and memory are also sampled once before and once after the block. On a machine that is not
    a board, nothing is started.

    Args:
        root: where ``/proc`` and ``/sys`` are.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._model = read_board_model(root)
        self._policies: list[Path] = []
        self._samples = _Samples()
        self._done = Event()
        self._thread: Thread | None = None
        self._commands: list[Command] = []
        self._has_firmware = False

    def __enter__(self) -> BoardSampler:
        throttling = vcgencmd.read_throttling()
        self._has_firmware = throttling is not None
        if throttling is None and not self._model:
            return self
        self._policies = files.find_policies(self._root)
        self._sample_files()
        if throttling is not None:
            self._samples.throttling.append(throttling)
            self._find_supported_commands()
        self._thread = Thread(target=self._run, name="board", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._thread is None:
            return
        self._done.set()
        self._thread.join()
        if kind is None:
            self._sample_files()
            self._sample_throttling()

    @property
    def readings(self) -> BoardReadings | None:
        """The readings so far; None if the machine is not a board."""
        samples = self._samples
        if not samples.count:
            return None
        firmware = samples.firmware
        return BoardReadings(
            model=self._model,
            samples=samples.count,
            temperature=Spread.of(samples.temperatures or firmware[vcgencmd.TEMPERATURE]),
            clock=Spread.of(firmware[vcgencmd.CLOCK] or samples.clocks),
            governors=tuple(sorted(samples.governors)),
            memory_available=min(samples.memory, default=None),
            core_voltage=min(firmware[vcgencmd.VOLTAGE], default=None),
            power=median(firmware[vcgencmd.POWER]) if firmware[vcgencmd.POWER] else None,
            throttling=_join(samples.throttling),
        )

    def _find_supported_commands(self) -> None:
        """Finds the commands that this firmware supports, so that no program is started in vain later."""
        commands = list(_PARSERS)
        if self._samples.temperatures:
            commands.remove(vcgencmd.TEMPERATURE)  # its file is the same sensor, and needs no process
        self._commands = [command for command in commands if _PARSERS[command](vcgencmd.query(command)) is not None]

    def _run(self) -> None:
        last = float("-inf")
        while not self._done.wait(INTERVAL):
            self._sample_files()
            self._sample_clock()
            if time.monotonic() - last >= FIRMWARE_INTERVAL - INTERVAL / 2:
                last = time.monotonic()
                self._sample_throttling()
                for command in self._commands:
                    value = _PARSERS[command](vcgencmd.query(command))
                    self._samples.firmware[command] += [] if value is None else [value]

    def _sample_files(self) -> None:
        samples = self._samples
        samples.count += 1
        temperature, memory = files.read_temperature(self._root), files.read_memory_available(self._root)
        samples.temperatures += [] if temperature is None else [temperature]
        samples.memory += [] if memory is None else [memory]
        samples.governors |= set(filter(None, map(files.read_governor, self._policies)))

    def _sample_clock(self) -> None:
        clocks = [clock for clock in map(files.read_clock, self._policies) if clock is not None]
        self._samples.clocks += [max(clocks)] if clocks else []

    def _sample_throttling(self) -> None:
        throttling = vcgencmd.read_throttling() if self._has_firmware else None
        self._samples.throttling += [] if throttling is None else [throttling]


def _join(samples: list[Throttling]) -> Throttling | None:
    """Joins samples: the throttling at any of them, or between them (a bit since boot that was not set at first)."""
    if not samples:
        return None
    now = since_boot = 0
    for sample in samples:
        now |= sample.now | (sample.since_boot & ~samples[0].since_boot)
        since_boot |= sample.since_boot
    return Throttling(now=now, since_boot=since_boot)
