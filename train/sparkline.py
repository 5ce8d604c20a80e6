"""Draws numbers as a row of bars, within a line of text."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], most: int = 20) -> str:
    """Returns the last ``most`` values as bars, scaled between the smallest and the largest; "▄" if all are equal."""
    shown = list(values)[-most:]
    low, high = min(shown), max(shown)
    if high == low:
        return "▄" * len(shown)
    return "".join(_BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] for value in shown)
