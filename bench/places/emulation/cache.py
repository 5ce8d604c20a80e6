"""The cache of downloads and root folders.

An entry's name ends with a fingerprint of everything it was built from, so entries never change, and other versions are
other entries. (Emulated programs store their bytecode in them.) An entry is complete or not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def cache_folder() -> Path:
    """Returns ``tledge/emulation`` in ``$XDG_CACHE_HOME`` or ``~/.cache`` (XDG Base Directory Specification)."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    return base / "tledge" / "emulation"


def entry(kind: str, built_from: Any) -> Path:
    """Returns the path of the entry that is built from ``built_from``, any value that JSON can hold."""
    digest = hashlib.sha256(json.dumps(built_from, sort_keys=True).encode()).hexdigest()
    return cache_folder() / f"{kind}-{digest[:16]}"


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
