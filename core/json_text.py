"""JSON that is valid UTF-8 on any terminal: names from outside cannot end a line or hide a part of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from tledge.core.terminal_text import escape_hidden


def json_text(content: Any, *, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> str:
    r"""Returns JSON in which letters of all scripts are readable, and any reader finds the same texts.

    ``json.dumps`` leaves bidirectional controls, C1 controls, line separators and lone surrogates as they are, which
    cannot be encoded in UTF-8. They become ``\u`` escapes (RFC 8259, section 7).

    Args:
        content: what ``json.dumps`` takes.
        indent: spaces per level; None for a single line, which ``str.splitlines`` does not split.
        default: turns what JSON cannot hold into something that it can.

    Raises:
        ValueError: a number is not finite; JSON has none of those.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=indent, default=default)
    if text.isprintable() or (indent is not None and text.replace("\n", "").isprintable()):
        return text
    return "\n".join(escape_hidden(line, _escape) for line in text.split("\n"))


def finite_content(content: Any) -> Any:
    """Returns content for JSON with None, ``null``, in place of each number that is not finite."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: finite_content(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [finite_content(value) for value in content]
    return content


def _escape(character: str) -> str:
    return "".join(rf"\u{unit:04x}" for unit in _utf16(ord(character)))


def _utf16(number: int) -> tuple[int, ...]:
    """Returns the UTF-16 code units of a code point."""
    if number < 0x10000:
        return (number,)
    return (0xD800 + (number - 0x10000 >> 10), 0xDC00 + (number - 0x10000 & 0x3FF))
