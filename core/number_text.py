"""Numbers and names as people read them, the same in every table, report and message."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from tledge.core.sizes import size_text

ABSENT = "–"
"""Stands where there is no number."""


def duration_text(milliseconds: float) -> str:
    """Returns milliseconds without the unit, with three digits or all before the point: "2.91", "34.5", "1,204"."""
    for limit, digits in ((0.1, 4), (1.0, 3), (10.0, 2), (100.0, 1)):
        if milliseconds < limit:
            return f"{milliseconds:.{digits}f}"
    return f"{milliseconds:,.0f}"


def time_text(seconds: float) -> str:
    """Returns a time in words: "40 s", "3 min", "2 h 5 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def counted(number: int, noun: str) -> str:
    """Returns a number with its noun, which is in the singular for 1: "1 photo", "2,000 photos".

    Args:
        noun: in the plural; its last word ends in "s".
    """
    if number == 1:
        noun = f"{noun[:-3]}y" if noun.endswith("ies") else noun.removesuffix("es" if noun.endswith("sses") else "s")
    return f"{number:,} {noun}"


def rate_text(rate: float) -> str:
    """Returns images per second: "344", "8.4"."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def p_text(value: float) -> str:
    """Returns a p-value: "0.62", "0.004", "< 0.001"."""
    if value < 0.001:
        return "< 0.001"
    return f"{value:.3f}" if value < 0.0995 else f"{value:.2f}"


def speed_words(ratio: float) -> str:
    """Returns a ratio of latencies in words: "1.34× faster" for 0.746, "1.20× slower" for 1.2."""
    return f"{1 / ratio:.2f}× faster" if ratio < 1 else f"{ratio:.2f}× slower"


def speed_interval(ratio: float, interval: tuple[float, float]) -> str:
    """Returns the interval of a ratio of latencies in the direction of :func:`speed_words`: "1.30–1.38"."""
    low, high = interval
    return interval_text((1 / high, 1 / low) if ratio < 1 else interval, 2)


TEXTS: Mapping[str, Callable[[float], str]] = {
    "fraction": lambda value: f"{value:.3f}",
    "ratio": lambda value: f"{value:.2f}×",
    "ms": duration_text,
    "images/s": rate_text,
    "bytes": size_text,
    "mJ/image": lambda value: f"{value:.1f}",
    "p": p_text,
    "logits": lambda value: f"{value:.2g}",
}
"""How a number of each unit is written; the text says the unit of bytes and ratios."""

DIGITS: Mapping[str, int] = {"fraction": 3, "ratio": 2}
"""Digits behind the point of an interval's ends."""

UNITS_IN_HEADINGS = ("ms", "images/s", "p", "mJ/image")
"""Units that stand with a column's heading."""


def value_text(value: float, unit: str) -> str:
    """Returns a value as reports write values of its unit."""
    return TEXTS[unit](value) if unit in TEXTS else f"{value:g}"


def interval_text(interval: tuple[float, float] | None, digits: int = 3) -> str:
    """Returns an interval, "0.948–0.986"; empty if there is none."""
    return "" if interval is None else f"{interval[0]:.{digits}f}–{interval[1]:.{digits}f}"


def range_text(values: Iterable[float | None], unit: str, *, digits: int = 0) -> str:
    """Returns the lowest and the highest value, "51–55 °C"; empty if none is known."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = f"{min(known):,.{digits}f}", f"{max(known):,.{digits}f}"
    return f"{low}{unit}" if low == high else f"{low}–{high}{unit}"


def cell_name(artifact: str, target: str) -> str:
    """Returns a cell's name for people: "int8.tflite on litert:cpu:2"."""
    return f"{artifact} on {target}"


NETWORKS = re.compile(r"mobilenet(_v2|_v3_large|_v3_small)?|resnet\d+(_v2)?|vgg\d+")
"""The names of backbones; those of imported models are their files', which stay as they are."""


def network_name(backbone: str) -> str:
    """Returns a backbone's name as its paper writes it: "mobilenet_v3_large" becomes "MobileNetV3Large".

    The names of other models stay as they are.
    """
    if not NETWORKS.fullmatch(backbone):
        return backbone
    name = "".join(word[:1].upper() + word[1:] for word in backbone.split("_"))
    return name.replace("net", "Net").replace("Vgg", "VGG")


def cpu_name(cpu: str) -> str:
    """Returns a CPU's model name without marks and clock: "Intel(R) Xeon(R) CPU @ 2.20GHz" becomes "Intel Xeon"."""
    plain = re.sub(r"\((R|TM|C)\)|\bCPU\b|\b\d+-Core\b|\bProcessor\b|@.*", " ", cpu, flags=re.IGNORECASE)
    return " ".join(plain.split()) or cpu


def flag_text(flag: str) -> str:
    """Returns a flag as words: "throttled since boot"."""
    return flag.replace("_", " ")


def listed(words: Sequence[str], most: int = 6) -> str:
    """Returns words as a list: "a, b and c", or "a, b and 4 more"."""
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def abridged(names: Iterable[str], most: int = 5) -> str:
    """Returns the first names of a list, for an error message: "a, b, c, d, e, …"."""
    words = list(names)
    return ", ".join(words[:most]) + (", …" if len(words) > most else "")
