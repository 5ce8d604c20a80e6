"""Sections of ``model_card.md`` that are replaced after the card was written, such as the benchmark's."""

from __future__ import annotations

from pathlib import Path

from tledge.core import atomic

PLACE = "<!-- sections of later commands -->"
"""Where a card takes new sections; each is inserted before this line."""


def replace_section(card: Path, heading: str, text: str) -> None:
    """Writes a section of a model card in place of an earlier one with the same heading, atomically.

    Other parts of the card, which a person may have edited, stay as they are. Without a card, nothing is written.
    """
    if not card.is_file():
        return
    start, end = f"<!-- start: {heading} -->", f"<!-- end: {heading} -->"
    section = f"{start}\n## {heading}\n\n{text.strip()}\n{end}"
    content = card.read_text(encoding="utf-8")
    before, found, rest = content.partition(start)
    _, closed, after = rest.partition(end)
    if found and closed:
        content = f"{before}{section}{after}"
    elif PLACE in content:
        content = content.replace(PLACE, f"{section}\n\n{PLACE}", 1)
    else:
        content = f"{content.rstrip()}\n\n{section}\n"
    atomic.write_text(card, content)
