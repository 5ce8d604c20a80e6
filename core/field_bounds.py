"""What the values of a record's fields may be, beyond their types: ranges, lengths and patterns.

A field declares its bounds in its type: ``images: Count``, or ``keys: Annotated[str, Characters(most=300_000)]``.
Without any, a number must be finite and fit into 64 bits, and a text may have up to ``MOST_CHARACTERS``. ``Limits`` and
``Choices`` are those of options.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Annotated, Any

from tledge.core.options import Choices, Limits
from tledge.core.terminal_text import printable_text

MOST_CHARACTERS = 10_000
"""Of a text that declares no other length: longer than any path or class name."""

LARGEST_INTEGER = 2**63 - 1

SHOWN = 60
"""Characters of a wrong value that an error message shows."""

LONGEST_REASON = 600
"""Characters of the reason in an error message, which may quote a value."""


@dataclass(frozen=True)
class Characters:
    """The length of a text, instead of ``MOST_CHARACTERS``."""

    most: int


@dataclass(frozen=True)
class Items:
    """The length of an array or a mapping."""

    least: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Matching:
    """A text that a regular expression matches as a whole; error messages call it ``name``."""

    pattern: str
    name: str


@dataclass(frozen=True)
class _AnyFloat:
    """Infinity and NaN are allowed."""


Count = Annotated[int, Limits(least=0)]
PositiveCount = Annotated[int, Limits(least=1)]
Fraction = Annotated[float, Limits(least=0, most=1)]
Positive = Annotated[float, Limits(above=0)]
NotNegative = Annotated[float, Limits(least=0)]
AnyFloat = Annotated[float, _AnyFloat()]
Sha256 = Annotated[str, Matching("[0-9a-f]{64}", "a SHA-256 of 64 hexadecimal digits")]
OptionalSha256 = Annotated[str, Matching("([0-9a-f]{64})?", "a SHA-256 of 64 hexadecimal digits, or empty")]
FileName = Annotated[str, Matching(r"(?!\.{1,2}\Z)[^/\\]+", "the name of a file, without a folder")]
PathInside = Annotated[
    str,
    Matching(r"(?s)(?!/)(?!(?:.*[/\\])?\.\.?(?:[/\\]|\Z)).+", "a path inside its folder, relative and without '..'"),
]
IsoTime = Annotated[str, Matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.:+Z-]*", "a time in ISO 8601")]
TargetName = Annotated[str, Matching(r"[\w.-]+(:[\w.-]+){0,2}", "a target such as litert:cpu:2")]
ImageSize = tuple[Annotated[int, Limits(least=1, most=65_535)], Annotated[int, Limits(least=1, most=65_535)]]


def find_fault(value: object, bounds: tuple[Any, ...]) -> str:
    """Returns why a value of a JSON type is not allowed; empty if it is.

    Args:
        value: a converted value; None is always allowed, where the type allows it.
        bounds: what the field's type declares.
    """
    fault = ""
    if isinstance(value, str):
        fault = _fault_of_text(value, bounds)
    elif type(value) is int and not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        fault = f"a whole number of more than 64 bits: {shown(value)}"
    elif isinstance(value, float) and not math.isfinite(value) and _AnyFloat() not in bounds:
        fault = f"expected a finite number, received {value}"
    if fault or not bounds or value is None:
        return fault
    return next((found for bound in bounds if (found := _fault(value, bound))), "")


def shown(value: object) -> str:
    """Returns a value as an error message shows it: one line, shortened, without control characters."""
    if type(value) is int and not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        return f"about {'-' * (value < 0)}2^{value.bit_length()}"
    text = repr(value[: SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def one_line(reason: str) -> str:
    """Returns a reason that may quote a record: shortened, and with control characters escaped."""
    short = reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}…"
    return printable_text(short)


def _fault_of_text(text: str, bounds: tuple[Any, ...]) -> str:
    most = next((bound.most for bound in bounds if isinstance(bound, Characters)), MOST_CHARACTERS)
    if len(text) > most:
        return f"{len(text):,} characters, more than {most:,}"
    if "\0" in text:
        return f"a text with the character NUL: {shown(text)}"
    if not _is_encodable(text):
        return f"a text that is not valid Unicode: {shown(text)}"
    return ""


def _is_encodable(text: str) -> bool:
    """Returns whether a text is Unicode, apart from bytes of file names that are not UTF-8, as ``os.fsdecode`` has."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _fault(value: object, bound: object) -> str:
    if isinstance(bound, Limits) and isinstance(value, int | float) and not bound.allow(value):
        return f"must be {bound}; received {shown(value)}"
    if isinstance(bound, Choices) and value not in bound.names:
        return f"must be one of {', '.join(bound.names)}; received {shown(value)}"
    if isinstance(bound, Matching) and isinstance(value, str) and not re.fullmatch(bound.pattern, value):
        return f"expected {bound.name}; received {shown(value)}"
    if isinstance(bound, Items) and isinstance(value, list | tuple | dict):
        if len(value) < bound.least:
            return f"expected {bound.least} or more, received {len(value)}"
        if bound.most is not None and len(value) > bound.most:
            return f"expected {bound.most:,} or fewer, received {len(value):,}"
    return ""
