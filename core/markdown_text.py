"""Texts from outside, such as names of classes and files, as Markdown that shows them as they are.

Sources: CommonMark 0.31 and GitHub Flavored Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tledge.core.terminal_text import printable_text

_SIGNS = re.compile(r"[\\`*_<>\[\]|&~$#]|:(?=//)|(?<=\b(?i:www))\.")
"""What stands for emphasis, code, HTML, links, images, columns, formulas and headings, or makes an address a link."""

_BLOCK = re.compile(r"^(\d{1,9}(?=[.)])|)([-+=](?=[\s=-]|$)|(?<=\d)[.)](?=\s|$))")
"""What starts a list or underlines a heading, at the start of a line."""

_MENTION = re.compile(r"(?<!\w)@(?=\w)|(?<=[\w.+-])@(?=[\w-]+\.)")
"""An @ that GitHub reads as a mention, which notifies that user, or as an e-mail address, even if it is escaped."""


class Markdown(str):
    """Text that is Markdown already, and is not escaped again. Parts of it are plain texts."""

    __slots__ = ()


def plain_text(text: str) -> Markdown:
    """Returns a text on one line whose signs mean nothing in Markdown, in tables and in HTML."""
    shown = _BLOCK.sub(r"\1\\\2", _SIGNS.sub(r"\\\g<0>", printable_text(" ".join(text.split()))))
    return Markdown(_MENTION.sub("@&#8203;", shown))


def code_text(text: str) -> Markdown:
    """Returns a text on one line as code; for text, not for tables, since code cannot hold the sign of a column."""
    text = printable_text(" ".join(text.split()))
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if len(fence) > 1 or not text else ""
    return Markdown(f"{fence}{space}{text}{space}{fence}")


def inline_text(text: str) -> Markdown:
    """Returns a text as of :func:`plain_text`, and Markdown as it is."""
    return text if isinstance(text, Markdown) else plain_text(text)


def heading(text: str, level: int) -> Markdown:
    """Returns the heading of a section; ``level`` is 1 for the largest."""
    return Markdown(f"{'#' * level} {inline_text(text)}")


def bullets(texts: Iterable[str]) -> Markdown:
    """Returns a list of texts, one per line."""
    return Markdown("\n".join(f"- {inline_text(text)}" for text in texts))


def table_row(cells: Iterable[str]) -> Markdown:
    """Returns one row of a table."""
    return Markdown(f"| {' | '.join(map(inline_text, cells))} |")
