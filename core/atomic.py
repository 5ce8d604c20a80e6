"""Atomic writes: a file is either complete or not there.

Each write goes to a temporary file in the same folder, which then replaces the target. So a killed process or a full
disk leaves the old file or the new one, never a part of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tledge.core.json_text import json_text


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``, which replaces ``path`` if the block succeeds.

    The temporary name keeps the suffixes, since some libraries choose a format by them. It starts with ``.partial-``
    and is removed if the block fails.

    Raises:
        OSError: the disk is full, read-only or not writable for this user.
    """
    import tempfile  # takes milliseconds to import, and classifying writes nothing

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".partial-", suffix=f"-{path.name}", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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
    temporary = link.with_name(f".partial-{os.getpid()}-{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(name, target_is_directory=True)
    temporary.replace(link)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
