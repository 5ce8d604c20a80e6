"""Refuses 32-bit systems before pip looks for libraries that they cannot have; all else is in pyproject.toml."""

import runpy
import sys
from pathlib import Path

import setuptools

complaint = runpy.run_path(str(Path(__file__).parent / "core" / "word_size.py"))["word_size_problem"]()
if complaint:
    sys.exit(f"tledge: {complaint}")
setuptools.setup()
