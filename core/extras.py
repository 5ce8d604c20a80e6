"""Optional libraries, which extras of tledge install."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from tledge.core.bounded_json import parse_json
from tledge.core.errors import MissingExtraError
from tledge.core.regular_file import read_bounded

MOST_BYTES = 1 << 20
"""Of Keras's configuration, which has a few hundred."""


def is_installed(module: str) -> bool:
    """Whether the top-level ``module`` is installed; does not import it."""
    return importlib.util.find_spec(module) is not None


def keras_home() -> Path:
    """Returns Keras's folder for its configuration and downloads: ``$KERAS_HOME`` or ``~/.keras``."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()


def keras_backend() -> str:
    """Returns the backend that Keras will use, from its environment variable or configuration; does not import it."""
    named = os.environ.get("KERAS_BACKEND")
    if named:
        return named
    try:
        configuration = parse_json(read_bounded(keras_home() / "keras.json", MOST_BYTES))
        return str(configuration.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):
        return "tensorflow"


def require(*modules: str, extra: str, purpose: str) -> None:
    """Checks that modules can be imported, without importing them.

    Args:
        modules: top-level module names.
        extra: the extra that installs them.
        purpose: what needs them, the subject of the error message ("training").

    Raises:
        MissingExtraError: a module is not installed.
    """
    missing = [module for module in modules if not is_installed(module)]
    if missing:
        raise MissingExtraError(missing, extra, purpose)
