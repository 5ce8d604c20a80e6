"""The files of ``/proc`` and ``/sys`` that describe a machine on Linux; any of them may be missing."""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path) -> str:
    """Returns a file's text without surrounding white space; empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
