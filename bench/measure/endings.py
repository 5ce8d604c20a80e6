"""How another process ended, in words."""

from __future__ import annotations

import signal


def describe_end(code: int, printed: str) -> str:
    """How a program failed, for an error: "ended with exit code 1: no such file".

    Args:
        code: its exit code; negative where a signal ended it.
        printed: what it wrote on standard error, of which the last line is told.
    """
    last = (printed.strip().splitlines() or ["it printed nothing"])[-1]
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}: {last}"
    return f"ended with exit code {code}: {last}"
