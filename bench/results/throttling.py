"""What limits a Raspberry Pi, now and since it was started.

Source: Raspberry Pi documentation, OS, "vcgencmd", ``get_throttled``: bits 0 to 3 hold now, bits 16 to 19 since the
last reboot. https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
"""

from __future__ import annotations

from dataclasses import dataclass

NAMES = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Names of the bits, the lowest first; the bits since the last start have the same names."""

UNDER_VOLTAGE = 1
_SINCE_BOOT = 16
_MASK = (1 << len(NAMES)) - 1


@dataclass(frozen=True, kw_only=True)
class Throttling:
    """What limits a board.

    Attributes:
        now: bits of the limits in force now, in the order of NAMES.
        since_boot: bits of the limits that were in force at any time since the board was started, in the same order.
    """

    now: int
    since_boot: int

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
