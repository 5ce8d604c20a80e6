"""Measures what decoding a photo of each kind takes: ``python decoding_peaks.py KIND...`` prints JSON lines.

It has its own process, which forks for each photo, since a process never forgets the most memory it had.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from photo_kinds import KINDS, picture

from tledge.core import images

SIZE = (1500, 1000)
"""(width, height) of the photos."""

SMALL_SIZE = (700, 500)
"""(width, height) of the kinds whose large files are refused, since they are decoded in Python."""

WANTED = (160, 160)
"""(height, width) to which the photos are resized."""


def highest() -> int:
    """The most bytes of memory that this process had."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def decode(kind: str, folder: Path) -> None:
    """Decodes a photo and prints what it took and what was estimated, both in bytes."""
    estimates = [0]
    estimate = images.memory_to_decode
    images.memory_to_decode = lambda *arguments, **options: (  # type: ignore[assignment]
        estimates.append(estimate(*arguments, **options)) or estimates[-1]
    )
    images.load_pixels(folder / "warm", WANTED, "crop")  # loads the libraries
    before = highest()
    images.load_pixels(folder / "photo", WANTED, "crop")
    print(json.dumps({"kind": kind, "measured": highest() - before, "estimated": estimates[-1]}), flush=True)


def in_fork(function: object, *arguments: object) -> None:
    """Calls a function in a fork of this process."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function(*arguments)  # type: ignore[operator]
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"failed: {arguments}")


def write(kind: str, folder: Path) -> None:
    """Writes a small and a large photo."""
    size = SMALL_SIZE if kind in ("ppm-plain", "ppm-odd-white") else SIZE
    (folder / "warm").write_bytes(KINDS[kind](picture(64, 48)))
    (folder / "photo").write_bytes(KINDS[kind](picture(*size)))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            in_fork(write, name, Path(folder))
            in_fork(decode, name, Path(folder))
