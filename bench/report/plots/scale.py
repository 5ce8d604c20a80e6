"""Scales from values to pixels, and the round numbers at an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class _Scale:
    """A scale from the values ``low`` to ``high`` onto the pixels ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float


class Linear(_Scale):
    """A linear scale."""

    def __call__(self, value: float) -> float:
        """Returns the pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Returns 2 to ``most`` multiples of 1, 2 or 5 times a power of ten within the scale; ``most`` is 2 or more."""
        step, finer = _round_step((self.high - self.low) / (4 * most)), [0.0]
        while True:
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            found = [round(index * step, 12) for index in range(first, last + 1)]
            if len(found) < 2:  # every few of the finer ones
                return finer[:: -(-len(finer) // most)]
            if len(found) <= most:
                return found
            step, finer = _round_step(step * 1.5), found


class Log(_Scale):
    """A logarithmic scale of values above 0."""

    def __call__(self, value: float) -> float:
        """Returns the pixel of a value above 0."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Returns 2 to ``most`` round multiples of powers of ten within the scale; linear steps if too few."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        least = 3 if most > 2 and self.high < 100 * self.low else 2
        for factors in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 5), (1, 3), (1,)):
            found = [factor * 10.0**decade for decade in decades for factor in factors]
            within = [round(value, 12) for value in found if self.low <= value <= self.high]
            if least <= len(within) <= most:
                return within
        if len(within) > most:
            return within[:: math.ceil(len(within) / most)]
        return Linear(self.low, self.high, self.start, self.end).ticks(most)


def padded(low: float, high: float, share: float) -> tuple[float, float]:
    """Returns a range widened by a share of its width on both sides, and never empty."""
    room = (high - low) * share or abs(high) * share or share
    return low - room, high + room


def padded_log(low: float, high: float, share: float) -> tuple[float, float]:
    """Returns a range widened by a share of its width on a logarithmic scale."""
    room = (high / low) ** share if high > low else 1 + share
    return low / room, high * room


def tick_texts(ticks: Sequence[float], *, alike: bool = True) -> list[str]:
    """Returns ticks as text; if ``alike``, all with as many decimals as the one that needs most: "0.95" and "1.00"."""
    own = [f"{value:,.6f}".rstrip("0").rstrip(".") for value in ticks]
    if not alike:
        return own
    decimals = max(len(text.partition(".")[2]) for text in own)
    return [f"{value:,.{decimals}f}" for value in ticks]


def _round_step(step: float) -> float:
    """Returns the smallest 1, 2 or 5 times a power of ten that is not below ``step``."""
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= step * (1 - 1e-9))
