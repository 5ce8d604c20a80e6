"""Files of labels, one class per line."""

from __future__ import annotations

import re
from pathlib import Path
from unicodedata import normalize

from tledge.core.errors import OptionError
from tledge.core.regular_file import read_bounded
from tledge.core.terminal_text import printable_text

LARGEST_FILE = 16 << 20
"""The most bytes of a file of labels."""


def read_labels(text: str) -> tuple[str, ...]:
    """Reads a file of labels, one per line. Raises OptionError if it cannot be read or has an empty line."""
    path = Path(text)
    try:
        lines = read_bounded(path, LARGEST_FILE, "file of labels").decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise OptionError(
            f"cannot read the labels in '{text}': {reason}; expected a text file with one class per line"
        ) from error
    labels = trim_labels(lines)
    if not all(labels) or not labels:
        where = f"line {labels.index('') + 1} is empty" if labels else "the file is empty"
        raise OptionError(f"no labels in '{text}': {where}; expected one class per line")
    return labels


def trim_labels(lines: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Returns labels in Unicode NFC, without spaces and numbers around them and empty lines at the end.

    Raises:
        OptionError: a label has control or invisible characters.
    """
    labels = [normalize("NFC", line.strip()) for line in lines]
    while labels and not labels[-1]:
        labels.pop()
    labels = _without_numbers(labels)
    unprintable = [label for label in labels if printable_text(label) != label]
    if unprintable:
        raise OptionError(f"a label has control or invisible characters: {unprintable[0]!r}; write it in plain text")
    return tuple(labels)


def _without_numbers(labels: list[str]) -> list[str]:
    """Returns the names of labels that start with their numbers, from 0 or 1: "0 cat", "1: dog".

    Labels stay as they are without such numbers, or if names would repeat: "1 Euro", "2 Euro".
    """
    parts = [re.match(r"(\d+)(?:\s*[:,;]\s*|\s+)(\S.*)", label) for label in labels]
    found = {int(part[1]): part[2] for part in parts if part}
    for first in (0, 1):
        numbered = sorted(found) == list(range(first, first + len(labels)))
        if labels and numbered and len(set(found.values())) == len(labels):
            return [found[number] for number in sorted(found)]
    return labels
