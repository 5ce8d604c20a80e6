"""Sections of ``model_card.md`` that are replaced after the card was written, such as the benchmark's."""

from __future__ import annotations

import re
from pathlib import Path

from tledge.core import atomic
from tledge.core.markdown_text import heading

PLACE = "<!-- sections of later commands -->"
"""Where a card takes new sections; each is inserted before this line."""


def replace_section(card: Path, key: str, title: str, text: str) -> None:
    """Writes a section of a model card in place of an earlier one with the same key, atomically.

    Keeps the rest of the card byte for byte, including edits made by hand. Does nothing if there is no card.

    Args:
        key: identifies the section, in comments around it.
        title: of the section.
        text: of the section, in Markdown.

    Raises:
        OSError: the card cannot be read, or its folder cannot be written to.
        UnicodeError: the card is not UTF-8.
    """
    if not card.is_file():
        return
    start, end = f"<!-- start: {key} -->", f"<!-- end: {key} -->"
    content = card.read_bytes().decode()
    line = "\r\n" if "\r\n" in content else "\n"
    section = f"{start}\n{heading(title, 2)}\n\n{text.strip()}\n{end}".replace("\n", line)
    # Only whole lines: names of classes, within a line, may read like a comment.
    found = re.search(rf"^{re.escape(start)}\r?$.*?^{re.escape(end)}(?=\r?$)", content, re.DOTALL | re.MULTILINE)
    place = re.search(rf"^{re.escape(PLACE)}(?=\r?$)", content, re.MULTILINE)
    if found:
        content = f"{content[: found.start()]}{section}{content[found.end() :]}"
    elif place:
        content = f"{content[: place.start()]}{section}{line}{line}{content[place.start() :]}"
    else:
        gap = line * (1 if content.endswith("\n") else 2)
        content = f"{content}{gap}{section}{line}"
    atomic.write_text(card, content)
