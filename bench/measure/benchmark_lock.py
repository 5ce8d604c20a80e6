"""The lock that lets one benchmark at a time run on a machine: two would slow each other down."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tledge.core.progress import Progress
from tledge.core.temporary_files import system_folder
from tledge.core.worker import kept_open_in_children

NAME = "tledge-bench.lock"


@contextmanager
def alone_on_this_machine(progress: Progress, folder: Path | None = None) -> Iterator[None]:
    """Waits until no other benchmark runs on this machine, and makes others wait during the block.

    Args:
        progress: shows a note while this benchmark waits.
        folder: where all benchmarks look for the lock; by default the system's folder for temporary files.
    """
    path = (folder or system_folder()) / NAME
    handle = _open(path)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip()
            progress.note(
                "Waiting",
                f"another benchmark is running on this machine (process {holder}); this one starts when it ends",
            )
            fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(OSError):  # another user's lock file can be locked, not written
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        with kept_open_in_children(handle):  # a measuring child that outlives this process keeps the lock
            yield
    finally:
        os.close(handle)  # releases the lock, as the end of the process and of its children would


def _open(path: Path) -> int:
    """Opens the lock file that all users share; refuses a symbolic link in its place."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        handle = os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        return os.open(path, flags | os.O_RDONLY)
    with suppress(OSError):  # the file belongs to another user
        os.fchmod(handle, 0o666)
    return handle
