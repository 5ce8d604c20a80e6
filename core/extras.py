"""Libraries that only an extra installs."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

from tledge.core.errors import MissingExtraError


def is_installed(module: str) -> bool:
    """Whether an import of the top-level ``module`` would find something. Imports nothing."""
    return importlib.util.find_spec(module) is not None


def keras_backend() -> str:
    """The backend that Keras will take, by its environment variable or its own file, without importing it."""
    named = os.environ.get("KERAS_BACKEND")
    if named:
        return named
    try:
        home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
        return str(json.loads((home / "keras.json").read_text(encoding="utf-8")).get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


def require(*modules: str, extra: str, purpose: str) -> None:
    """Checks that modules can be imported, without importing them.

    Args:
        modules: top-level module names.
        extra: the extra that brings them.
        purpose: what needs them, the subject of the error ("training").

    Raises:
        MissingExtraError: one is not installed.
    """
    missing = [module for module in modules if not is_installed(module)]
    if missing:
        raise MissingExtraError(missing, extra, purpose)
