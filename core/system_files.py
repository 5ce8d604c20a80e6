"""The files of ``/proc`` and ``/sys`` by which Linux tells of a machine, none of which must be there."""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path) -> str:
    """A file's text without the white space around it; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
