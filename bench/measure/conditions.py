"""The state of the machine while something is timed: other load, clock, temperature, throttling."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import median

from tledge.bench.measure.board import read_throttling
from tledge.bench.measure.board.files import read_clock, read_governor, read_number, read_temperature
from tledge.bench.results.round_conditions import Conditions
from tledge.core.system_files import read_text

SETTLING_SECONDS = 0.05
"""How long a runtime's threads may keep spinning after its last query."""

_IDLE, _IOWAIT, _STEAL = 3, 4, 7
"""Columns of /proc/stat, from 0. Source: proc(5)."""

_TICK_COLUMNS = 8

_REFERENCE_BYTES = bytes(4 << 20)
_REFERENCE_REPEATS = 5


def time_reference_workload() -> float:
    """Times a fixed workload on one thread, hashing 4 MiB: the median of five repeats, in ms."""
    times = []
    for _ in range(_REFERENCE_REPEATS):
        began = time.perf_counter_ns()
        sha256(_REFERENCE_BYTES)
        times.append(time.perf_counter_ns() - began)
    return median(times) / 1e6


@dataclass(frozen=True)
class ProcessorShares:
    """Shares of the processor time of some cores, 0 to 1.

    Attributes:
        load: used by other processes.
        steal: given to other guests by the host.
    """

    load: float
    steal: float

    @classmethod
    def between(
        cls, before: Sequence[int], after: Sequence[int], *, own_seconds: float, ticks_per_second: float
    ) -> ProcessorShares:
        """Computes the shares of the time between two readings of /proc/stat.

        Args:
            before, after: ticks by use, the first eight columns of /proc/stat.
            own_seconds: processor time that this process used between them.
            ticks_per_second: of the system (``SC_CLK_TCK``).
        """
        spent = [later - earlier for earlier, later in zip(before, after, strict=True)]
        total = sum(spent)
        busy = total - spent[_IDLE] - spent[_IOWAIT] - spent[_STEAL]
        if total == 0:  # shorter than a tick
            return cls(load=0.0, steal=0.0)
        load = max(0.0, (busy - own_seconds * ticks_per_second) / total)
        return cls(load=load, steal=spent[_STEAL] / total)


class ConditionsMonitor:
    """Records the machine's conditions from its construction to :meth:`finish`; does nothing in between.

    Args:
        root: where ``/proc`` and ``/sys`` are.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._reference_time = time_reference_workload()
        self._throttle_events = self._count_throttle_events()
        self._board_was_throttled = _is_board_throttled()
        self._process_time = time.process_time()
        self._ticks = self._read_ticks()

    def finish(self) -> Conditions:
        """Returns the conditions since the construction."""
        ticks, process_time = self._read_ticks(), time.process_time()
        throttle_events = self._count_throttle_events()
        time.sleep(SETTLING_SECONDS)
        shares = None
        if ticks is not None and self._ticks is not None:
            shares = ProcessorShares.between(
                self._ticks,
                ticks,
                own_seconds=process_time - self._process_time,
                ticks_per_second=os.sysconf("SC_CLK_TCK"),
            )
        cpu = self._root / "sys/devices/system/cpu/cpu0/cpufreq"
        return Conditions(
            load=None if shares is None else shares.load,
            steal=None if shares is None else shares.steal,
            mhz=read_clock(cpu),
            governor=read_governor(cpu),
            temperature=read_temperature(self._root),
            throttled=_was_throttled(
                (self._throttle_events, throttle_events), (self._board_was_throttled, _is_board_throttled())
            ),
            reference_time=(self._reference_time + time_reference_workload()) / 2,
        )

    def _read_ticks(self) -> list[int] | None:
        """Reads clock ticks by use, the first eight columns of /proc/stat, of the cores that this process may use."""
        lines = [line.split() for line in read_text(self._root / "proc/stat").splitlines() if line.startswith("cpu")]
        own = {f"cpu{core}" for core in os.sched_getaffinity(0)} if hasattr(os, "sched_getaffinity") else set()
        chosen = [fields for fields in lines if fields[0] in own] or lines[:1]
        if not chosen or any(len(fields) <= _TICK_COLUMNS for fields in chosen):
            return None
        return [sum(int(fields[column]) for fields in chosen) for column in range(1, _TICK_COLUMNS + 1)]

    def _count_throttle_events(self) -> int | None:
        """Counts how often x86 cores, or this container by its CPU quota, have been throttled so far."""
        counters = self._root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
        counts = [count for count in map(read_number, counters) if count is not None]
        quota = re.search(r"^nr_throttled (\d+)$", read_text(self._root / "sys/fs/cgroup/cpu.stat"), re.MULTILINE)
        return int(sum(counts)) + int(quota[1] if quota else 0) if counts or quota else None


def _was_throttled(events: tuple[int | None, int | None], board: tuple[bool | None, bool | None]) -> bool | None:
    """Returns whether the count of events rose, or a board was throttled before or after; None if neither is known."""
    before, after = events
    known = [state for state in board if state is not None]
    if before is not None and after is not None:
        known.append(after > before)
    return any(known) if known else None


def _is_board_throttled() -> bool | None:
    """Returns whether a Raspberry Pi is throttled at this moment; None on other machines."""
    throttling = read_throttling()
    return None if throttling is None else bool(throttling.now)
