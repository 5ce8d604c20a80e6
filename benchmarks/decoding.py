"""JPEGs decoded small against the same ones decoded in full, side by side in one run.

    python benchmarks/decoding.py photos --artifact int8.tflite

Three kinds of JPEG, made of photos below a folder: the photos as they are, at wanted sizes so small that their decoder
reduces them; photos of 12 megapixels as a camera makes them (a photo enlarged, with grain); and mosaics of 12
megapixels, as sharp as pixels can be. For each: how far the pixels of ``core.images.load_pixels`` are from those of a
full decoding, in levels of 255, how many times as fast it is (both in turn, the median over photos), and with an
artifact, on how many photos the class stays the same and the largest change of a probability.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tledge.core import images
from tledge.core.photo_listing import list_tree
from tledge.edge_runtime import Classifier

WIDTH, HEIGHT = 4032, 3024
QUALITY = 90
SIZES = (160, 224, 320, 480)
TURNS = 3
"""Times that each photo is decoded in each way; the quickest counts."""


@dataclass
class Compared:
    """What was found of photos of one kind at one size."""

    differences: list[npt.NDArray[np.int16]] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    same_class: list[bool] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)

    def add(self, path: Path, side: int, classifier: Classifier | None) -> None:
        """Decodes a photo in both ways, in turn."""
        seconds: dict[str, list[float]] = {"small": [], "full": []}
        for _ in range(TURNS):
            began = time.perf_counter()
            small = images.load_pixels(path, (side, side), "crop")
            between = time.perf_counter()
            full = images.resize(images.decode(path), (side, side), "crop")
            seconds["small"].append(between - began)
            seconds["full"].append(time.perf_counter() - between)
        self.differences.append(np.abs(small.astype(np.int16) - full))
        self.ratios.append(min(seconds["full"]) / min(seconds["small"]))
        self.milliseconds.append(1e3 * min(seconds["small"]))
        if classifier is not None and classifier.input_size == (side, side):
            one, other = classifier.probabilities(np.stack([small, full]))
            self.same_class.append(bool(one.argmax() == other.argmax()))
            self.changes.append(float(np.abs(one - other).max()))

    def describe(self) -> str:
        """One line."""
        levels = np.concatenate([difference.ravel() for difference in self.differences])
        line = (
            f"mean {levels.mean():.2f}, {np.mean(levels <= 1):6.1%} within 1, 99.9% within"
            f" {np.percentile(levels, 99.9):.0f}, largest {levels.max():.0f};"
            f" {statistics.median(self.ratios):4.1f} times as fast ({statistics.median(self.milliseconds):.1f} ms)"
        )
        if self.same_class:
            line += (
                f"; same class {sum(self.same_class)} of {len(self.same_class)}, at most {max(self.changes):.3f} off"
            )
        return line


def like_a_camera(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A photo enlarged to 12 megapixels, with the grain of a sensor."""
    large = np.asarray(photo.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 4, large.shape).astype(np.float32)
    return Image.fromarray(np.clip(large + grain, 0, 255).astype(np.uint8))


def mosaic(photos: list[Path], rng: np.random.Generator) -> Image.Image:
    """12 megapixels of photos, side by side and not resized."""
    canvas = Image.new("RGB", (WIDTH, HEIGHT))
    top = 0
    while top < HEIGHT:
        left, tallest = 0, HEIGHT
        while left < WIDTH:
            photo = images.decode(photos[int(rng.integers(len(photos)))])
            canvas.paste(photo, (left, top))
            left, tallest = left + photo.width, min(tallest, photo.height)
        top += tallest
    return canvas


def made(photos: list[Path], count: int, folder: Path) -> Iterator[tuple[str, Path]]:
    """Large JPEGs of two kinds."""
    rng = np.random.default_rng(0)
    for number, path in enumerate(photos[:count]):
        for kind, image in (
            ("camera", like_a_camera(images.decode(path), rng)),
            ("mosaic", mosaic(photos, rng)),
        ):
            file = folder / f"{kind}-{number}.jpg"
            image.save(file, quality=QUALITY)
            yield kind, file


def main() -> None:
    """Compares both ways on all kinds and sizes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--artifact", type=Path)
    parser.add_argument("--count", type=int, default=20, help="photos of 12 megapixels of each kind")
    parser.add_argument("--as-they-are", type=int, default=200, help="photos that are decoded as they are")
    told = parser.parse_args()
    found = list_tree(told.data).photos
    photos = [found[index] for index in np.random.default_rng(0).permutation(len(found))]
    classifier = None if told.artifact is None else Classifier(told.artifact)
    compared: dict[tuple[str, str], Compared] = {}
    for path in photos[: told.as_they_are]:
        width, height = images.decode(path).size
        for scale in (2, 4, 8):
            side = min(width, height) // (images.REDUCED * scale)
            compared.setdefault(("as it is", f"1/{scale}"), Compared()).add(path, side, None)
    with tempfile.TemporaryDirectory() as folder:
        for kind, path in made(photos, told.count, Path(folder)):
            for side in SIZES:
                compared.setdefault((kind, f"{side} px"), Compared()).add(path, side, classifier)
            path.unlink()
    print(f"{len(found):,} photos; levels of 255 between the pixels of both ways")
    for (kind, size), result in compared.items():
        print(f"{kind:<9} {size:>6}   {result.describe()}")


if __name__ == "__main__":
    main()
