"""Texts from outside, such as names of classes and files, in figures that matplotlib draws."""

from __future__ import annotations

from tledge.core.terminal_text import printable_text


def figure_text(text: str) -> str:
    """Returns a text that matplotlib draws as it is.

    matplotlib reads the text between two dollar signs as a formula, which raises an error if it is none, and leaves
    labels that start with "_" out of a legend.
    """
    escaped = printable_text(text).replace("$", r"\$")
    return f"\u200b{escaped}" if escaped.startswith("_") else escaped
