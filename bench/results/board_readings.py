"""What a board's sensors reported during one round, and the limits that its firmware reports.

Source of the limits: Raspberry Pi documentation, OS, "vcgencmd", ``get_throttled``: bits 0 to 3 hold now, bits 16 to 19
since the last reboot. https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Annotated

from tledge.core.field_bounds import Count, NotNegative
from tledge.core.options import Limits
from tledge.core.records import Record

NAMES = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Names of the bits, the lowest first; the bits since the last start have the same names."""

UNDER_VOLTAGE = 1
_SINCE_BOOT = 16
_MASK = (1 << len(NAMES)) - 1
Bits = Annotated[int, Limits(least=0, most=_MASK)]


@dataclass(frozen=True, kw_only=True)
class Throttling:
    """What limits a board.

    Attributes:
        now: bits of the limits in force now, in the order of NAMES.
        since_boot: bits of the limits that were in force at any time since the board was started, in the same order.
    """

    now: Bits
    since_boot: Bits

    @classmethod
    def of(cls, bits: int) -> Throttling:
        """Splits the number of ``get_throttled``; undocumented bits are ignored."""
        return cls(now=bits & _MASK, since_boot=bits >> _SINCE_BOOT & _MASK)

    @property
    def under_voltage(self) -> bool:
        """Whether the supply voltage is too low now."""
        return bool(self.now & UNDER_VOLTAGE)


def words(bits: int) -> str:
    """Returns the names of the bits that are set ("under-voltage, throttled"); empty if none is."""
    return ", ".join(name for index, name in enumerate(NAMES) if bits >> index & 1)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The lowest, the median and the highest of some samples.

    Raises:
        ValueError: they are not in this order.
    """

    low: float
    median: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.median <= self.high:
            raise ValueError(f"low, median, high: not in order: {self.low}, {self.median}, {self.high}")

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
    samples: Count
    temperature: Spread | None = None
    clock: Spread | None = None
    governors: tuple[str, ...] = ()
    memory_available: Count | None = None
    core_voltage: NotNegative | None = None
    power: NotNegative | None = None
    throttling: Throttling | None = None

    @property
    def throttled(self) -> bool | None:
        """Whether anything limited the board during the round; None if the board does not report it."""
        return None if self.throttling is None else bool(self.throttling.now)
