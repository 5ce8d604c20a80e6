"""A row of figures as a row of bars, for one line of a terminal."""

from __future__ import annotations

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], most: int = 20) -> str:
    """The last values as bars, from the least to the largest of them; "▄" where all are the same."""
    shown = list(values)[-most:]
    low, high = min(shown), max(shown)
    if high == low:
        return "▄" * len(shown)
    return "".join(_BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] for value in shown)
