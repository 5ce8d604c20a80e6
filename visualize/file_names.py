"""File names made of photo and layer names."""

from __future__ import annotations

import re

LONGEST = 60


def slug(text: str) -> str:
    """Returns a text as part of a file name: "cat/0123.jpg" becomes "cat-0123"; never empty."""
    without_suffix = re.sub(r"\.(jpe?g|png|webp|bmp|gif|tiff?)$", "", text, flags=re.IGNORECASE)
    return re.sub(r"[^\w.-]+", "-", without_suffix).strip("-.")[-LONGEST:].lstrip("-.") or "unnamed"
