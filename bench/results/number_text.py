"""Numbers and names as people read them, the same in every part of a report."""

from __future__ import annotations


def duration_text(milliseconds: float) -> str:
    """Milliseconds without the unit, three digits or all before the point: "2.91", "34.5", "1,204"."""
    for limit, digits in ((0.1, 4), (1.0, 3), (10.0, 2), (100.0, 1)):
        if milliseconds < limit:
            return f"{milliseconds:.{digits}f}"
    return f"{milliseconds:,.0f}"


def rate_text(rate: float) -> str:
    """Images a second: "344", "8.4"."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def p_text(value: float) -> str:
    """A p-value: "0.62", "0.004", "< 0.001"."""
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.0995 else f"{value:.2f}"


def flag_text(flag: str) -> str:
    """A flag's word."""
    return flag.replace("_", " ")


def listed(words: list[str], most: int = 6) -> str:
    """Words as a list: "a, b and c", or "a, b and 4 more"."""
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
