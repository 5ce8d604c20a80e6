"""Files that end with a hash of their content, so that damage is noticed: those of caches and checkpoints.

The formats stored so (NumPy's .npy, ZIP) ignore what follows their content.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

MAGIC = b"tledge-blake2b-1"
SEAL_SIZE = len(MAGIC) + 32
"""Bytes that :func:`seal` adds."""


def seal(path: Path, label: str) -> None:
    """Appends the hash of a file's content.

    Args:
        label: what the file is. It is part of the hash, so that a file in the place of another one is noticed.
    """
    with path.open("rb+") as file:
        digest = _digest(path, label, size=path.stat().st_size)
        file.seek(0, 2)
        file.write(MAGIC + digest)


def is_sealed(path: Path) -> bool:
    """Returns whether a file ends as :func:`seal` leaves it, whatever its content."""
    return _stored_digest(path) is not None


def is_intact(path: Path, label: str) -> bool:
    """Returns whether a file has the content that it was sealed with; False for anything that cannot be read."""
    try:
        stored = _stored_digest(path)
        return stored is not None and stored == _digest(path, label, size=path.stat().st_size - SEAL_SIZE)
    except OSError:
        return False


def remove_path(path: Path) -> None:
    """Removes whatever stands at a path, a file or a folder; nothing is an error."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _stored_digest(path: Path) -> bytes | None:
    if not path.is_file() or path.stat().st_size < SEAL_SIZE:
        return None
    with path.open("rb") as file:
        file.seek(-SEAL_SIZE, 2)
        end = file.read()
    return end[len(MAGIC) :] if end.startswith(MAGIC) else None


def _digest(path: Path, label: str, *, size: int) -> bytes:
    digest = hashlib.blake2b(label.encode(errors="surrogateescape") + b"\0", digest_size=32)
    with path.open("rb") as file:
        while size > 0 and (piece := file.read(min(size, 2**20))):
            digest.update(piece)
            size -= len(piece)
    return digest.digest()
