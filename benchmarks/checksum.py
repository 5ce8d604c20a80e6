"""The cost of checking a model file, by hash: ms for 10 MB in memory, and for a file as ``read_artifact`` does it.

    python benchmarks/checksum.py [--model int8.tflite]

With a model, the checksum's cost is also given as a fraction of the time to load that model.
"""

from __future__ import annotations

import argparse
import hashlib
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tledge.core.checksum import checksum_of_file
from tledge.edge_runtime.bare import BareModel

SIZE = 10_000_000
REPEATS = 20


def fastest(work: Callable[[], Any]) -> float:
    """Returns the shortest of several durations, in ms."""
    durations = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        durations.append(time.perf_counter() - start)
    return min(durations) * 1e3


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    model: Path | None = parser.parse_args().model
    content = np.random.default_rng(0).bytes(SIZE)
    hashes: dict[str, Callable[[bytes], Any]] = {
        "crc32": zlib.crc32,
        "adler32": zlib.adler32,
        "sha256": hashlib.sha256,
        "blake2b": hashlib.blake2b,
    }
    for name, function in hashes.items():
        print(f"{name:28} {fastest(partial(function, content)):7.2f} ms")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        path.write_bytes(content)
        print(f"{'the checksum of a file':28} {fastest(lambda: checksum_of_file(path, SIZE)):7.2f} ms")
    if model is not None:
        size = model.stat().st_size
        load, check = fastest(lambda: BareModel(model).close()), fastest(lambda: checksum_of_file(model, size))
        print(
            f"'{model}', {size / 1e6:.1f} MB: checked in {check:.2f} ms, loaded in {load:.2f} ms ({check / load:.2f})"
        )


if __name__ == "__main__":
    main()
