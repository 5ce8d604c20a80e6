"""Folders that hold a hash of all that is in them, so that damage is noticed: those of caches.

The hash is over the names, the kinds and the content of everything below the folder, and over the targets of links, but
not over times and permissions, nor over files that a system's file manager adds. So a file that is cut off, changed,
emptied, missing, added, or replaced by a folder or a pipe is noticed, and a copy of the folder is still intact. It
finds damage, not malice: anybody can compute it again.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tledge.core.cores import usable_cores
from tledge.core.regular_file import open_regular, read_bounded

SEAL = ".tledge-blake2b-1"
"""The file in the folder that holds the hash."""

ADDED_BY_SYSTEMS = frozenset({".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", "Desktop.ini"})
"""Files that file managers add to the folders that they show."""

_PIECE = 1 << 20
_LENGTH = 32


def seal_folder(folder: Path, label: str) -> None:
    """Writes the hash of a folder into it.

    Args:
        label: what the folder is. It is part of the hash, so that a folder in the place of another one is noticed.

    Raises:
        OSError: something in it cannot be read, or is neither a file, a folder nor a link.
    """
    (folder / SEAL).write_bytes(_digest(folder, label))


def is_folder_intact(folder: Path, label: str) -> bool:
    """Returns whether a folder holds what it was sealed with; False for anything that cannot be read.

    It reads every file: about a second per GB.
    """
    try:
        return read_bounded(folder / SEAL, _LENGTH) == _digest(folder, label)
    except OSError:
        return False


def _digest(folder: Path, label: str) -> bytes:
    digest = hashlib.blake2b(os.fsencode(label) + b"\0", digest_size=_LENGTH)
    with ThreadPoolExecutor(usable_cores()) as pool:
        for parent, entries in _walk(folder):
            digest.update(os.fsencode(parent.relative_to(folder)) + b"\0")
            names = [name for name in entries if name not in ADDED_BY_SYSTEMS and (parent, name) != (folder, SEAL)]
            paths = [parent / name for name in names]
            for path, content in zip(paths, pool.map(_describe, paths), strict=True):
                digest.update(os.fsencode(path.name) + b"\0" + content)
    return digest.digest()


def _walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yields each folder below one, without linked ones, and the sorted names in it. Raises OSError."""
    waiting = [folder]
    while waiting:
        parent = waiting.pop()
        with os.scandir(parent) as entries:
            found = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        names = sorted(found)
        yield parent, names
        waiting += [parent / name for name in names if found[name]]


def _describe(path: Path) -> bytes:
    """Returns the kind of something in a folder, with the hash of its content or its target; 33 bytes."""
    mode = path.lstat().st_mode
    if stat.S_ISDIR(mode):
        return b"d" + bytes(_LENGTH)
    if stat.S_ISLNK(mode):
        return b"l" + hashlib.blake2b(os.fsencode(path.readlink()), digest_size=_LENGTH).digest()
    digest = hashlib.blake2b(digest_size=_LENGTH)
    with open_regular(path) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return b"f" + digest.digest()
