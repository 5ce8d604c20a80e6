"""Readings of a board's sensors during one round of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from tledge.bench.results.throttling import Throttling
from tledge.core.records import Record


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The lowest, the median and the highest of some samples."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread | None:
        """Summarizes samples; None if there are none."""
        return cls(low=min(samples), median=median(samples), high=max(samples)) if samples else None


@dataclass(frozen=True, kw_only=True)
class BoardReadings(Record):
    """What a board reported during a round; None or empty where it reported nothing.

    Attributes:
        model: the board's name, as its maker writes it.
        samples: how often the sensors were read.
        temperature: of the hottest sensor, degrees Celsius.
        clock: MHz of the fastest cores, as measured by the firmware; where only the kernel reports it, as requested by
            the kernel. Clock, voltage and power are those of a board under load: None if the round was too short.
        governors: the frequency governor of each set of cores, sorted.
        memory_available: bytes, the minimum.
        core_voltage: V, the minimum.
        power: W, the median over the power chip's rails.
        throttling: what limited the board; ``now`` stands for the time of the round, at or between samples.
    """

    model: str
    samples: int
    temperature: Spread | None = None
    clock: Spread | None = None
    governors: tuple[str, ...] = ()
    memory_available: int | None = None
    core_voltage: float | None = None
    power: float | None = None
    throttling: Throttling | None = None

    @property
    def held_down(self) -> bool | None:
        """Whether anything limited the board during the round; None if the board does not report it."""
        return None if self.throttling is None else bool(self.throttling.now)
