"""Sizes of files and memory as text."""

from __future__ import annotations


def size_text(size: float) -> str:
    """Returns a number of bytes as text: "2.7 MB", "3.4 kB"."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
