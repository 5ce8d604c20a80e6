"""Python in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def python_module(name: str, *arguments: str | Path) -> list[str]:
    """The command that runs a module as this Python does.

    ``-P``: a file of the user's that is called like a library must not be imported instead of it.
    """
    return [sys.executable, "-P", "-m", name, *map(str, arguments)]


def quiet_environment() -> dict[str, str]:
    """The environment of this process, in which TensorFlow says nothing but errors."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
