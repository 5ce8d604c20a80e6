"""The cache of downloads and root folders.

An entry's name ends with a fingerprint of everything it was built from, so entries never change, and other versions are
other entries. (Emulated programs store their bytecode in them.) An entry is complete or not there.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tledge.core.user_cache import user_cache


def cache_folder() -> Path:
    """Returns the folder of all entries."""
    return user_cache("emulation")


def entry(kind: str, built_from: Any) -> Path:
    """Returns the path of the entry that is built from ``built_from``, any value that JSON can hold."""
    digest = hashlib.sha256(json.dumps(built_from, sort_keys=True).encode()).hexdigest()
    return cache_folder() / f"{kind}-{digest[:16]}"
