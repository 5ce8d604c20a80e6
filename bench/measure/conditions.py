"""How the machine was while something was timed: what else ran on it, its clock, its heat."""

from __future__ import annotations

import os
import re
import time
from hashlib import sha256
from pathlib import Path
from statistics import median

from tledge.bench.measure.board import read_throttling
from tledge.bench.measure.board.files import read_clock, read_governor, read_number, read_temperature
from tledge.bench.results.round_conditions import Conditions
from tledge.core.system_files import read_text

SETTLING = 0.05
"""Seconds for which a runtime's threads may go on spinning after its last query."""

_IDLE, _IOWAIT, _STEAL = 3, 4, 7  # columns of /proc/stat: proc(5)
_YARDSTICK_BYTES = bytes(4 << 20)
_YARDSTICK_TIMES = 5


def time_yardstick() -> float:
    """Times a fixed piece of work on one thread, hashing 4 MiB: the median of five, in ms."""
    times = []
    for _ in range(_YARDSTICK_TIMES):
        began = time.perf_counter_ns()
        sha256(_YARDSTICK_BYTES)
        times.append(time.perf_counter_ns() - began)
    return median(times) / 1e6


class Watch:
    """Watches the machine from its making to ``end``; costs nothing in between.

    Args:
        root: where ``/proc`` and ``/sys`` are.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._yardstick = time_yardstick()
        self._throttles = self._count_throttles()
        self._held_down = _held_down()
        self._own = time.process_time()
        self._ticks = self._read_ticks()

    def end(self) -> Conditions:
        """How the machine was since the watch was made."""
        ticks, own = self._read_ticks(), time.process_time() - self._own
        throttles = self._count_throttles()
        time.sleep(SETTLING)
        load = steal = None
        if ticks is not None and self._ticks is not None:
            spent = [now - before for now, before in zip(ticks, self._ticks, strict=True)]
            whole = sum(spent) or 1
            per_second = os.sysconf("SC_CLK_TCK")
            busy = whole - spent[_IDLE] - spent[_IOWAIT] - spent[_STEAL]
            load = max(0.0, (busy - own * per_second) / whole)
            steal = spent[_STEAL] / whole
        throttled = None
        if throttles is not None and self._throttles is not None:
            throttled = throttles > self._throttles
        held_down = _held_down()
        if held_down is not None:
            throttled = bool(throttled) or held_down or bool(self._held_down)
        cpu = self._root / "sys/devices/system/cpu/cpu0/cpufreq"
        return Conditions(
            load=load,
            steal=steal,
            mhz=read_clock(cpu),
            governor=read_governor(cpu),
            temperature=read_temperature(self._root),
            throttled=throttled,
            yardstick=(self._yardstick + time_yardstick()) / 2,
        )

    def _read_ticks(self) -> list[int] | None:
        """Clock ticks by use, the first eight columns of /proc/stat, of the cores that this process may use."""
        lines = [line.split() for line in read_text(self._root / "proc/stat").splitlines() if line.startswith("cpu")]
        own = {f"cpu{core}" for core in os.sched_getaffinity(0)} if hasattr(os, "sched_getaffinity") else set()
        chosen = [fields for fields in lines if fields[0] in own] or lines[:1]
        if not chosen or any(len(fields) < 9 for fields in chosen):
            return None
        return [sum(int(fields[column]) for fields in chosen) for column in range(1, 9)]

    def _count_throttles(self) -> int | None:
        """How often x86 cores were throttled, or this container held to its share of the processor, so far."""
        counters = self._root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
        counts = [count for count in map(read_number, counters) if count is not None]
        held = re.search(r"^nr_throttled (\d+)$", read_text(self._root / "sys/fs/cgroup/cpu.stat"), re.MULTILINE)
        return int(sum(counts)) + int(held[1] if held else 0) if counts or held else None


def _held_down() -> bool | None:
    """Whether a Raspberry Pi is held down just now; None on another machine."""
    throttling = read_throttling()
    return None if throttling is None else bool(throttling.now)
