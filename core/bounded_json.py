"""JSON from a file that may be damaged or hostile, decoded within bounds: every fault is a one-line ``ValueError``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

DEEPEST = 32
"""Levels of arrays and objects; the deepest record of tledge has 8."""


def parse_json(content: bytes | str, deepest: int = DEEPEST) -> Any:
    """Decodes JSON; a byte order mark is skipped.

    Returns:
        Mappings, lists, strings, numbers, booleans and None. NaN and Infinity, which Python's ``json`` accepts, are
        floats here: who reads the value judges them.

    Raises:
        ValueError: it is no JSON in UTF-8, has an object with the same field twice, is nested deeper than ``deepest``,
            or has a whole number of thousands of digits.
    """
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content.removeprefix("\ufeff")
        value = json.loads(text, object_pairs_hook=_unique)
    except _RepeatedFieldError:
        raise
    except RecursionError:
        raise ValueError(f"it is nested deeper than {deepest} levels") from None
    except ValueError as error:
        raise ValueError(f"not valid JSON: {error}") from error
    check_depth(value, deepest)
    return value


def check_depth(value: object, deepest: int = DEEPEST) -> None:
    """Raises ValueError if a value from JSON is nested deeper than ``deepest`` levels; names the outermost field."""
    if not isinstance(value, Mapping):
        if not _within(value, deepest):
            raise ValueError(f"it is nested deeper than {deepest} levels")
        return
    for name, item in value.items():
        if not _within(item, deepest - 1):
            raise ValueError(f"'{name}' is nested deeper than {deepest} levels")


class _RepeatedFieldError(ValueError):
    """An object has the same field twice: which one is meant is not known."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise _RepeatedFieldError(f"field {repeated[:60]!r} is there twice")
    return found


def _within(value: object, levels: int) -> bool:
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return True
    return levels > 0 and all(_within(item, levels - 1) for item in value if isinstance(item, dict | list))
