"""Folders in the user's cache: each is complete or not there, sealed with a hash of its content, and safe to delete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tledge.core import atomic
from tledge.core.progress import Progress
from tledge.core.sealed_folder import is_folder_intact, seal_folder
from tledge.core.temporary_files import discard, locked_folder, temporary_folder


def user_cache(name: str) -> Path:
    """Returns ``tledge/NAME`` in ``$XDG_CACHE_HOME`` or ``~/.cache`` (XDG Base Directory Specification)."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    return base / "tledge" / name


def holds(path: Path, progress: Progress) -> bool:
    """Returns whether a folder that :func:`building` made is there and intact; it reads every file.

    Whatever else stands in its place is removed, and reported in one line.

    Raises:
        OSError: what is damaged cannot be removed.
    """
    if is_folder_intact(path, path.name):
        return True
    in_the_way = path.parent.exists() and not path.parent.is_dir()
    for place in (path.parent, path) if in_the_way else (path,):
        if os.path.lexists(place) and _discard(place):
            progress.note("Cache", f"discarded '{place}', which is damaged or from an earlier version")
    return path.is_dir()


def _discard(place: Path) -> bool:
    """Removes what is damaged; returns False if another process has repaired it meanwhile."""
    with locked_folder(place.parent):
        if is_folder_intact(place, place.name):
            return False
        with suppress(FileNotFoundError):
            discard(place)
        return True


@contextmanager
def building(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``path``, which becomes ``path`` if the block succeeds and is removed if not.

    It is sealed, so that :func:`holds` finds it. If another process builds the same entry first, that one is kept.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path) as temporary:
        yield temporary
        seal_folder(temporary, path.name)
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
