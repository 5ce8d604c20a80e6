"""The names of splits: of folders, and in the split column of a table."""

from __future__ import annotations

import re

TRAIN, VALIDATION, TEST = SPLITS = ("train", "validation", "test")

UNASSIGNED = ""
"""The split of a photo that its layout assigns to none; it is drawn."""

UNCLEAR = "unclear"
"""Stands for a name like that of a split that does not say which one: "eval", "test1"."""

_AFFIX = r"(?:[ _-]?(?:sets?|data|dataset|split|images|imgs|photos|pictures))?"
_PATTERNS = {
    TRAIN: r"(?:seg[ _-])?(?:train|training)" + _AFFIX,
    VALIDATION: r"(?:seg[ _-])?(?:val|valid|validate|validation|dev)" + _AFFIX,
    TEST: r"(?:seg[ _-])?(?:test|testing)" + _AFFIX,
    UNCLEAR: r"eval|evaluation|hold[ _-]?out|(?:train|training|val|valid|validation|test|testing)[ _-]?\d+",
}


def split_of(name: str) -> str | None:
    """Returns the split that a name stands for, in any case: one of ``SPLITS``, ``UNCLEAR``, or None if it is none."""
    return next((split for split, spelt in _PATTERNS.items() if re.fullmatch(spelt, name.strip(), re.IGNORECASE)), None)
