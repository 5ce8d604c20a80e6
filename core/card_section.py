"""Sections of ``model_card.md`` that are replaced after the card was written, such as the benchmark's."""

from __future__ import annotations

from pathlib import Path

from tledge.core import atomic

PLACE = "<!-- sections of later commands -->"
"""Where a card takes new sections; each is inserted before this line."""


def replace_section(card: Path, key: str, heading: str, text: str) -> None:
    """Writes a section of a model card in place of an earlier one with the same key, atomically.

    Keeps the rest of the card byte for byte, including edits made by hand. Does nothing if there is no card.

    Args:
        key: identifies the section, in comments around it.
        heading: of the section, in Markdown.

    Raises:
        OSError: the card cannot be read, or its folder cannot be written to.
        UnicodeError: the card is not UTF-8.
    """
    if not card.is_file():
        return
    start, end = f"<!-- start: {key} -->", f"<!-- end: {key} -->"
    content = card.read_bytes().decode()
    line = "\r\n" if "\r\n" in content else "\n"
    section = f"{start}\n## {heading}\n\n{text.strip()}\n{end}".replace("\n", line)
    before, found, rest = content.partition(start)
    _, closed, after = rest.partition(end)
    if found and closed:
        content = f"{before}{section}{after}"
    elif PLACE in content:
        content = content.replace(PLACE, f"{section}{line}{line}{PLACE}", 1)
    else:
        gap = line * (1 if content.endswith("\n") else 2)
        content = f"{content}{gap}{section}{line}"
    atomic.write_text(card, content)
