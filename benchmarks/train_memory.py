"""Peak memory of ``tledge train`` on few and on many photos.

    python benchmarks/train_memory.py photos --weights FILE [--image-size 96]

Makes 20,000 photos of those given (random crops, so that hardly two are alike), trains on 2,000 and on all of them,
each in a process of its own, a linear probe and one epoch of fine-tuning, and prints the peak memory that ``run.json``
records.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

COUNTS = (2_000, 20_000)


def write_photos(sources: dict[str, list[Path]], folder: Path, count: int) -> None:
    """Writes so many photos, the same number of each class, each a random crop so that no two are alike."""
    rng = np.random.default_rng(0)
    for name, paths in sources.items():
        (folder / name).mkdir(parents=True)
        for number, path in enumerate(islice(cycle(paths), count // len(sources))):
            with Image.open(path) as image:
                left, top = (int(rng.integers(0, side // 3)) for side in image.size)
                width, height = (int(side * rng.uniform(0.5, 0.66)) for side in image.size)
                image.convert("RGB").crop((left, top, left + width, top + height)).save(
                    folder / name / f"{number:06d}.jpg", quality=90
                )


def peak_memory(data: Path, told: argparse.Namespace, runs: Path) -> float:
    """Of one training, in bytes."""
    command = [
        *(sys.executable, "-c", "from tledge.cli.main import main; main()", "train", "--data", str(data), "--json"),
        *("--weights", told.weights, "--image-size", str(told.image_size), "--epochs", "1", "--runs", str(runs)),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(json.loads(done.stdout)["metrics"]["peak_memory"])


def main() -> None:
    """Trains on each number of photos."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--image-size", type=int, default=96)
    told = parser.parse_args()
    sources = {folder.name: sorted(folder.glob("*.jpg")) for folder in sorted(told.data.iterdir()) if folder.is_dir()}
    peaks = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            write_photos(sources, Path(folder) / "photos", count)
            peaks.append(peak_memory(Path(folder) / "photos", told, Path(folder) / "runs"))
        print(f"{count:>6,} photos: {peaks[-1] / 1e6:,.0f} MB", flush=True)
    print(f"ratio: {peaks[1] / peaks[0]:.2f}")


if __name__ == "__main__":
    main()
