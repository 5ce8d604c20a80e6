r"""Texts from outside, such as names of classes and files, as text that a terminal, a log or a page shows as it is.

A terminal obeys control characters: an escape sequence moves the cursor, sets the title or hides what was printed
before, and a carriage return lets one name overwrite another. Bidirectional controls reorder a line, and invisible
characters make two names look alike (Unicode Technical Report 36). They are shown as Python writes them, ``\x1b`` and
``\u202e``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_HIDDEN = (
    r"\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufdd0-\ufdef\ufeff\ufff9-\ufffb"
    r"\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f"
)
"""Control characters, bidirectional controls, invisible characters, and surrogates, which stand for bytes of file names
that are not UTF-8."""

_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]{2,7}\U000e007f"
"""The flags of England, Scotland and Wales: a black flag and letters that are invisible elsewhere (UTS 51, ED-14a)."""

_JOINER = rf"(?<=[^\x00-\xbf\u2000-\u206f{_HIDDEN}])[\u200c\u200d]"
"""A joiner behind a letter, mark or emoji that it joins: words in Persian and Hindi, families of emoji."""

_PATTERN = re.compile(rf"(?P<kept>{_FLAG}|{_JOINER})|[{_HIDDEN}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def printable_text(text: str) -> str:
    """Returns a text on one line, in which control, bidirectional and invisible characters are visible escapes.

    Everything else stays as it is, in all scripts and emoji. A text that is printable stays the same.
    """
    return text if text.isprintable() else escape_hidden(text, _python_escape)


def printable_lines(text: str) -> str:
    """Returns a text of several lines, each as of :func:`printable_text`."""
    return text if text.isprintable() else "\n".join(map(printable_text, text.split("\n")))


def escape_hidden(text: str, escape: Callable[[str], str]) -> str:
    """Returns a text with each character that :func:`printable_text` would escape replaced by ``escape(character)``."""
    return _PATTERN.sub(lambda found: found[0] if found["kept"] else escape(found[0]), text)


def _python_escape(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    number = ord(character)
    return rf"\x{number:02x}" if number < 0x100 else rf"\u{number:04x}" if number < 0x10000 else rf"\U{number:08x}"
