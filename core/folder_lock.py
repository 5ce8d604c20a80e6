"""Locks on folders: whoever writes one holds its lock, so that no other process continues or removes it meanwhile.

The lock ends with the process that holds it, however it ends, and leaves no file.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def try_lock(folder: Path) -> Iterator[bool | None]:
    """Takes the lock of a folder for the block.

    Yields:
        True if this process holds the lock now; False if another one does, or the folder was removed; None if the file
        system has no such locks.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held: bool | None = _is_same(handle, folder)
        except BlockingIOError:
            held = False
        except OSError:  # some network file systems lock only files that are open for writing
            held = None
        yield held
    finally:
        os.close(handle)


def _is_same(handle: int, folder: Path) -> bool:
    """Returns whether an open folder still has its name: another process may have removed it before it was locked."""
    try:
        return os.path.samestat(os.fstat(handle), folder.stat())
    except FileNotFoundError:
        return False
