"""The folder in which downloads and root folders are kept between runs.

An entry's name ends in a fingerprint of all that it was made from, so an entry never changes: what was made from other
versions is another entry. (Emulated programs keep their bytecode in it.) An entry is whole or not there.
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
    """``$XDG_CACHE_HOME/tledge/emulation``, or ``~/.cache/tledge/emulation`` (XDG Base Directory Specification)."""
    named = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if Path(named).is_absolute() else Path.home() / ".cache"
    return base / "tledge" / "emulation"


def entry(kind: str, made_from: Any) -> Path:
    """The path of the entry that is made from ``made_from``, which JSON can hold."""
    digest = hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()
    return cache_folder() / f"{kind}-{digest[:16]}"


@contextmanager
def building(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``path`` that becomes ``path`` if the block succeeds and is removed if not.

    Where another process has made the entry meanwhile, that one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".partial-", suffix=f"-{path.name}", dir=path.parent))
    try:
        yield aside
        aside.chmod(0o755)
        if not path.exists():
            _rename_unless_made(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _rename_unless_made(aside: Path, path: Path) -> None:
    try:
        aside.rename(path)
    except OSError:
        if not path.is_dir():
            raise
