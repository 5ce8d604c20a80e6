"""How the machine was while something was timed: what else ran on it, its clock, its heat."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Any

from tledge.bench.measure.board import BoardReadings, read_throttling
from tledge.bench.measure.board.files import read_clock, read_governor, read_number, read_temperature
from tledge.core.system_files import read_text

BUSY = 0.05
"""Others' share of the machine's processor time from which a measurement is noisy."""

STOLEN = 0.02
"""The share that the host gave to other guests from which it is noisy."""

SLOWED = 1.1
"""How many times the yardstick's best time makes a measurement noisy; on a quiet machine it varies by 2 or 3%."""

SETTLING = 0.05
"""Seconds for which a runtime's threads may go on spinning after its last query."""

_IDLE, _IOWAIT, _STEAL = 3, 4, 7  # columns of /proc/stat: proc(5)
_YARDSTICK_BYTES = bytes(4 << 20)
_YARDSTICK_TIMES = 5


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The machine during one round of one cell; None where the system does not tell.

    Attributes:
        load: the share of all cores' time that other processes used, 0 to 1.
        steal: the share that the host gave to other guests, 0 to 1.
        mhz: the clock of core 0 at the end.
        governor: its frequency governor; empty where the system does not tell.
        temperature: of the hottest sensor at the end, degrees Celsius.
        throttled: whether the clock was held down for heat or low voltage.
        yardstick: ms that a fixed piece of work took on one thread, before and after: the machine's own speed.
        slowed: that was clearly more than in the best round of the benchmark.
        board: what the board told all the while; None where the machine is none.
    """

    load: float | None
    steal: float | None
    mhz: float | None
    governor: str
    temperature: float | None
    throttled: bool | None
    yardstick: float
    slowed: bool = False
    board: BoardReadings | None = None

    @property
    def quiet(self) -> bool:
        """Nothing that is known speaks against what was timed meanwhile."""
        return not self.noisy and not self.throttled

    @property
    def noisy(self) -> bool:
        """Something else used the processor, or the host, unseen from here, gave less of it."""
        return (self.load or 0.0) > BUSY or (self.steal or 0.0) > STOLEN or self.slowed

    def held_against(self, best: float) -> Conditions:
        """The same, judged by the yardstick of the benchmark's best round."""
        return replace(self, slowed=self.yardstick > SLOWED * best)

    def with_board(self, board: BoardReadings | None) -> Conditions:
        """The same, with what the board told: what held it down counts as ``throttled``."""
        if board is None:
            return self
        known = [state for state in (self.throttled, board.held_down) if state is not None]
        return replace(self, throttled=any(known) if known else None, board=board)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Conditions:
        """Reads what ``to_dict`` gave, now or before boards were told of. Raises KeyError or TypeError if it cannot."""
        read = {**fields}
        if read.get("board") is not None:
            read["board"] = BoardReadings.from_dict(read["board"])
        return cls(**read)


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
