"""Texts from outside, such as names of classes and files, in CSV that a spreadsheet opens.

A spreadsheet takes a cell for a formula if it starts with one of a few characters, and a formula can start programs and
send other cells away. Source: OWASP, CSV Injection. An apostrophe is put in front of such a text, as spreadsheets mark
plain text.
"""

from __future__ import annotations

import re

_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""What makes a cell a formula, in either width, perhaps behind apostrophes, so that it can be read back."""


def csv_text(text: str) -> str:
    r"""Returns a text as a cell that no spreadsheet takes for a formula, and that UTF-8 can hold.

    Only for texts: numbers stay numbers, also negative ones. :func:`text_of_cell` returns the text again; lone
    surrogates, which UTF-8 cannot hold, become ``\udcff``.
    """
    marked = f"'{text}" if _FORMULA.match(text) else text
    return utf8_text(marked)


def text_of_cell(cell: str) -> str:
    """Returns the text that :func:`csv_text` made a cell of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def utf8_text(text: str) -> str:
    r"""Returns a text that UTF-8 can hold: lone surrogates become ``\udcff``."""
    return text.encode("utf-8", "backslashreplace").decode()
