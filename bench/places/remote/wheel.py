"""A wheel of the tledge that is installed here, so that another machine runs the same code.

Source: the binary distribution format, packaging.python.org/specifications/binary-distribution-format.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import tledge

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time stamp of all files in the wheel, so that the same code gives the same bytes."""

WHEEL = b"Wheel-Version: 1.0\nGenerator: tledge\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def write_wheel(folder: Path) -> Path:
    """Writes the wheel of the tledge that is installed here, editable or not, into a folder, and returns its path."""
    installed = distribution("tledge")
    path = folder / f"tledge-{installed.version}-py3-none-any.whl"
    files = dict(_files(installed))
    record = "".join(f"{name},{_digest(content)},{len(content)}\n" for name, content in files.items())
    record_name = f"tledge-{installed.version}.dist-info/RECORD"
    files[record_name] = f"{record}{record_name},,\n".encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), content, zipfile.ZIP_DEFLATED)
    return path


def _files(installed: Distribution) -> Iterator[tuple[str, bytes]]:
    """Yields the name of every file in the wheel, and its contents."""
    found: dict[str, Path] = {}
    for folder in map(Path, tledge.__path__):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                found.setdefault(f"tledge/{file.relative_to(folder).as_posix()}", file)
    for name in sorted(found):
        yield name, found[name].read_bytes()
    info = f"tledge-{installed.version}.dist-info"
    metadata = installed.read_text("METADATA") or installed.read_text("PKG-INFO")  # PKG-INFO in a source tree
    yield f"{info}/METADATA", (metadata or "").encode()
    yield f"{info}/entry_points.txt", (installed.read_text("entry_points.txt") or "").encode()
    yield f"{info}/WHEEL", WHEEL


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
