"""Texts from outside, such as names of classes and files, as Markdown that shows them as they are."""

from __future__ import annotations

import re


def plain_text(text: str) -> str:
    """Returns a text on one line whose signs mean nothing in Markdown, in tables and in HTML."""
    return " ".join(re.sub(r"[\\`*_<>\[\]|&~]", r"\\\g<0>", text).split())


def code_text(text: str) -> str:
    """Returns a text on one line as code; for text, not for tables, since code cannot hold the sign of a column."""
    text = " ".join(text.split())
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if len(fence) > 1 or not text else ""
    return f"{fence}{space}{text}{space}{fence}"
