"""Atomic writes: a file is either complete or not there.

Each write goes to a temporary file in the same folder, which then replaces the target. So a killed process or a full
disk leaves the old file or the new one, never a part of it. Both are flushed to the disk, the file before it is
renamed, so the same holds after a power failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tledge.core.json_text import json_text
from tledge.core.temporary_files import temporary_file, temporary_folder


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``, which replaces ``path`` if the block succeeds.

    The temporary name keeps the suffixes, since some libraries choose a format by them. It starts with ``.partial-``
    and is removed if the block fails; after a kill, by the next command that writes or lists the folder.

    Raises:
        OSError: the disk is full, read-only or not writable for this user.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_file(path.parent, path.name) as temporary:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~umask())
        temporary.replace(path)
    flush_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes ``content`` atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Writes ``content`` as UTF-8, atomically."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Writes ``content`` as indented JSON, atomically."""
    write_text(path, json_text(content, indent=2) + "\n")


def point_link(link: Path, name: str) -> None:
    """Points the symbolic link ``link`` to ``name`` in the same folder, atomically."""
    with temporary_folder(link) as folder:
        temporary = folder / link.name
        temporary.symlink_to(name, target_is_directory=True)
        temporary.replace(link)
    flush_folder(link.parent)


def flush_folder(folder: Path) -> None:
    """Flushes the names in a folder to the disk: before that, a power failure can undo a rename."""
    with suppress(OSError):  # some network file systems cannot
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def flush_tree(folder: Path) -> None:
    """Flushes all files below a folder, and their names, to the disk."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent) / name for name in names):
            if path.is_symlink():
                continue
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        flush_folder(Path(parent))


def flush_file_system(folder: Path) -> None:
    """Flushes the file system of a folder to the disk: faster than each of very many files."""
    try:
        import ctypes

        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            ctypes.CDLL(None).syncfs(handle)
        finally:
            os.close(handle)
    except (ImportError, OSError, AttributeError):  # not Linux: all file systems
        os.sync()


def umask() -> int:
    """Returns the permissions that new files and folders of this process do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
