"""The memory of ``tledge predict`` over folders of 2,000 and 20,000 photos, of which 1% are hostile.

    python benchmarks/hostile_folder.py int8.tflite

Hostile files are pipes, links to devices, sparse files of 8 GB, photos that were cut off, and headers that announce
60,000 x 60,000 pixels. Prints for each folder the peak memory of the process, the photos that were classified and the
seconds.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

COUNTS = (2_000, 20_000)
EACH = 100
"""One file in this many is hostile."""


def fill(folder: Path, count: int) -> int:
    """Writes photos and hostile files; returns the number of photos."""
    random = np.random.default_rng(0)
    photos = []
    for _ in range(20):
        file = io.BytesIO()
        pixels = random.integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(pixels).resize((320, 240), Image.Resampling.BICUBIC).save(file, "JPEG")
        photos.append(file.getvalue())
    for number in range(count):
        path = folder / f"{number:06}.jpg"
        if number % EACH:
            path.write_bytes(photos[number % len(photos)])
        else:
            make_hostile(path, number // EACH, photos[0])
    return count - -(-count // EACH)


def make_hostile(path: Path, number: int, photo: bytes) -> None:
    """Creates one of five kinds of hostile files."""
    kind = number % 5
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to("/dev/zero")
    elif kind == 2:
        with path.open("wb") as file:
            file.truncate(8 << 30)
    elif kind == 3:
        path.write_bytes(photo[: len(photo) // 2])
    else:
        path.write_bytes(b"P6\n60000 60000\n255\n")


def main() -> None:
    """Classifies both folders, each in a new process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    told = parser.parse_args()
    command = [sys.executable, "-c", "from tledge.cli.main import main; main()", "predict", str(told.artifact)]
    for count in told.counts:
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile("w+") as out:
            photos = fill(Path(name), count)
            began = time.perf_counter()
            process = subprocess.Popen([*command, name, "--json"], stdout=out, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            out.seek(0)
            lines = out.readlines()
            good = sum('"predictions": [{' in line for line in lines)
            print(
                f"{count:>7,} files: {good:,} of {photos:,} photos classified, {len(lines) - good:,} others reported,"
                f" peak {usage.ru_maxrss / 1024:.0f} MiB,"
                f" {seconds:.1f} s, exit code {os.waitstatus_to_exitcode(status)}"
            )


if __name__ == "__main__":
    main()
