"""SHA-256 fingerprints of files and of sets of images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from tledge.core.regular_file import open_regular


def sha256_of_file(path: Path) -> str:
    """Returns the SHA-256 of a regular file's bytes, as 64 hexadecimal digits. Raises OSError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_records(records: Iterable[tuple[str, ...]]) -> str:
    """Returns the SHA-256 of a set of records, independent of their order: the fingerprint of a data set.

    Args:
        records: for example (relative path, class name, SHA-256 of the content) of each image.
    """
    digest = hashlib.sha256()
    for record in sorted(records):
        digest.update("\0".join(record).encode(errors="surrogateescape") + b"\n")
    return digest.hexdigest()
