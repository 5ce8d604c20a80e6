"""Folders in the user's cache: each is complete or not there, and safe to delete."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
    temporary = Path(tempfile.mkdtemp(prefix=".partial-", suffix=f"-{path.name}", dir=path.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if not path.exists():
            try:
                temporary.rename(path)
            except OSError:
                if not path.is_dir():  # not built meanwhile
                    raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
