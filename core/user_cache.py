"""Folders in the user's cache: each is complete or not there, and safe to delete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tledge.core import atomic
from tledge.core.temporary_files import temporary_folder


def user_cache(name: str) -> Path:
    """Returns ``tledge/NAME`` in ``$XDG_CACHE_HOME`` or ``~/.cache`` (XDG Base Directory Specification)."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    return base / "tledge" / name


@contextmanager
def building(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``path``, which becomes ``path`` if the block succeeds and is removed if not.

    If another process builds the same entry first, that one is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path) as temporary:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            return
        atomic.flush_file_system(temporary)
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():  # not built meanwhile
                raise
        atomic.flush_folder(path.parent)
