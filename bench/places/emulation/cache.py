"""The cache of downloads and root folders.

An entry's name ends with a fingerprint of everything it was built from, so entries never change, and other versions are
other entries. An entry is complete or not there, and sealed with a hash of its content. (So emulated programs store no
bytecode in it, which costs them 3 s at start.)
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tledge.core.progress import Progress
from tledge.core.user_cache import holds, user_cache

_intact: set[Path] = set()


def cache_folder() -> Path:
    """Returns the folder of all entries."""
    return user_cache("emulation")


def entry(kind: str, built_from: Any) -> Path:
    """Returns the path of the entry that is built from ``built_from``, any value that JSON can hold."""
    digest = hashlib.sha256(json.dumps(built_from, sort_keys=True).encode()).hexdigest()
    return cache_folder() / f"{kind}-{digest[:16]}"


def has_entry(path: Path, progress: Progress) -> bool:
    """Returns whether an entry is there and intact; a damaged one is removed and reported, see ``core.user_cache``.

    Each process reads an entry once, in about a second for all of a board. What damages it later is noticed by the next
    process.
    """
    if path in _intact and path.is_dir():
        return True
    if holds(path, progress):
        _intact.add(path)
        return True
    return False
