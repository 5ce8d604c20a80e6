"""What holds a Raspberry Pi down, now and at some time since it was started.

Source: Raspberry Pi documentation, OS, "vcgencmd", ``get_throttled``: bits 0 to 3 hold now, bits 16 to 19 since the
last reboot. https://www.raspberrypi.com/documentation/computers/os.html#get_throttled
"""

from __future__ import annotations

from dataclasses import dataclass

NAMES = ("under-voltage", "frequency capped", "throttled", "soft temperature limit")
"""Of the bits, the lowest first; those since boot have the same names."""

UNDER_VOLTAGE = 1
_SINCE_BOOT = 16
_MASK = (1 << len(NAMES)) - 1


@dataclass(frozen=True, kw_only=True)
class Throttling:
    """What holds a board down.

    Attributes:
        now: bits of what holds just now, as in NAMES.
        since_boot: bits of what held at some time since the board was started, at the same places.
    """

    now: int
    since_boot: int

    @classmethod
    def of(cls, bits: int) -> Throttling:
        """Takes the number of ``get_throttled`` apart; bits that are not documented are left out."""
        return cls(now=bits & _MASK, since_boot=bits >> _SINCE_BOOT & _MASK)

    @property
    def under_voltage(self) -> bool:
        """The supply is too weak now."""
        return bool(self.now & UNDER_VOLTAGE)


def words(bits: int) -> str:
    """The names of the bits that are set: "under-voltage, throttled"; empty where none is."""
    return ", ".join(name for place, name in enumerate(NAMES) if bits >> place & 1)
