"""Limits of a ``.keras`` file, which is a ZIP archive of JSON and weights, checked before Keras opens it."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

from tledge.core.bounded_json import parse_json
from tledge.core.regular_file import open_regular
from tledge.core.zip_limits import check_members, open_zip, read_member

LARGEST_JSON = 64 << 20
"""Bytes of a model's configuration; that of a network of thousands of layers has a few million."""

DEEPEST_JSON = 200
"""Nested lists and objects; each model inside another one adds about six."""


def check_keras_archive(path: Path) -> tuple[Any, Any]:
    """Checks the members of a ``.keras`` file.

    Returns:
        Its ``config.json`` and its ``metadata.json``, which is empty if there is none.

    Raises:
        ValueError: the file is no ZIP, exceeds a limit, or its JSON is not valid.
        OSError: it cannot be read, or is not a regular file.
        KeyError: it has no configuration.
    """
    try:
        with open_regular(path) as file, open_zip(file) as archive:
            check_members(archive, os.fstat(file.fileno()).st_size)
            config = read_json(read_member(archive, "config.json", LARGEST_JSON))
            has_metadata = "metadata.json" in archive.namelist()
            metadata = read_json(read_member(archive, "metadata.json", LARGEST_JSON)) if has_metadata else {}
            return config, metadata
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(str(error)) from error


def read_json(content: bytes | str) -> Any:
    """Decodes a configuration, which may be long and deeply nested. Raises ValueError."""
    if len(content) > LARGEST_JSON:
        raise ValueError(f"its configuration has {len(content):,} bytes; at most {LARGEST_JSON:,} are read")
    return parse_json(content, DEEPEST_JSON)
