"""Texts from outside, such as names of classes and files, as HTML that shows them as they are."""

from __future__ import annotations

from html import escape
from typing import Any

from tledge.core.terminal_text import printable_lines


def html_text(text: str) -> str:
    """Returns a text as HTML or SVG, for elements and for attributes in quotes; it may have several lines."""
    return escape(printable_lines(text))


def shown_value(value: Any) -> Any:
    """Returns what a page shows for a value, before it is escaped: the ``finalize`` function of a template.

    Args:
        value: a text becomes printable; markup, and anything else, stays as it is.
    """
    return printable_lines(value) if type(value) is str else value
