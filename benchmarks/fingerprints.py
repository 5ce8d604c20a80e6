"""Fingerprints of training photos: their size, false matches, and which copies of a photo are recognized.

    python benchmarks/fingerprints.py cats_vs_dogs imagenette

Half of the photos below the folders are fingerprinted, the other half are unrelated to them; unrelated photos that
nearly equal a fingerprinted one are left out. A set of 100,000 is filled up with random crops of the first half. Copies
are recompressed, resized, brightened, mirrored or cropped; each is written as a file and read again.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from tledge.core import images
from tledge.core.image_batches import map_ahead
from tledge.core.perceptual_hash import CHECKED_AT, Thumbnails, thumbnail
from tledge.core.photo_listing import list_tree
from tledge.core.seen_photos import SeenPhotos, remember_photos
from tledge.train.data.near_duplicates import group_near_duplicates

SIZES = (2_000, 100_000)
COPIED = 500
"""Photos whose copies are looked up."""

UNKNOWN = "f" * 64
"""A SHA-256 that no photo has, so that only the appearance counts."""


def saved(image: Image.Image, kind: str, quality: int = 90) -> Image.Image:
    """Returns an image as it is after it was written and read."""
    stream = io.BytesIO()
    image.save(stream, kind, quality=quality)
    return images.decode_bytes(stream.getvalue(), at_least=CHECKED_AT)


def scaled(image: Image.Image, factor: float) -> Image.Image:
    """Returns an image of another size."""
    size = (max(1, round(factor * image.width)), max(1, round(factor * image.height)))
    return image.resize(size, Image.Resampling.LANCZOS)


def cropped(image: Image.Image, part: float) -> Image.Image:
    """Returns an image without this part of its width and height, half on each side."""
    across, down = part / 2 * image.width, part / 2 * image.height
    return image.crop((round(across), round(down), round(image.width - across), round(image.height - down)))


COPIES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG, quality 85": lambda image: saved(image, "JPEG", 85),
    "JPEG, quality 60": lambda image: saved(image, "JPEG", 60),
    "PNG": lambda image: saved(image, "PNG"),
    "WebP, quality 80": lambda image: saved(image, "WEBP", 80),
    "half size": lambda image: saved(scaled(image, 0.5), "JPEG"),
    "double size": lambda image: saved(scaled(image, 2), "JPEG"),
    "half size, quality 30": lambda image: saved(scaled(image, 0.5), "JPEG", 30),
    "10% brighter": lambda image: saved(ImageEnhance.Brightness(image).enhance(1.1), "JPEG"),
    "mirrored": lambda image: saved(ImageOps.mirror(image), "JPEG"),
    "cropped by 2%": lambda image: saved(cropped(image, 0.02), "JPEG"),
    "cropped by 5%": lambda image: saved(cropped(image, 0.05), "JPEG"),
}


def crops(photos: list[Path], count: int, rng: np.random.Generator) -> Thumbnails:
    """Returns thumbnails of random crops of photos, of 30% to 70% of their width and height: (count, 16, 16)."""
    each = -(-count // len(photos))
    draws = rng.random((len(photos), each, 4))

    def crop(item: tuple[Path, np.ndarray]) -> list[Thumbnails]:
        image = images.decode(item[0], at_least=CHECKED_AT).convert("L")
        found = []
        for wide, high, left, top in item[1]:
            width, height = (0.3 + 0.4 * wide) * image.width, (0.3 + 0.4 * high) * image.height
            x, y = left * (image.width - width), top * (image.height - height)
            found.append(thumbnail(image.crop((int(x), int(y), int(x + width) + 1, int(y + height) + 1))))
        return found

    parts = [part for found in map_ahead(crop, zip(photos, draws, strict=True), ahead=64) for part in found]
    return np.stack(parts[:count])


def fingerprints(thumbnails: Thumbnails) -> SeenPhotos:
    """Returns the set of some thumbnails."""
    digests = [hashlib.sha256(f"{number}".encode()).hexdigest() for number in range(len(thumbnails))]
    return remember_photos(digests, thumbnails, ([], thumbnails[:0]))


def main() -> None:
    """Measures, and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    found = [path for folder in options.folders for path in list_tree(folder).photos]
    photos = [found[index] for index in rng.permutation(len(found))]

    def small(path: Path) -> Thumbnails:
        return thumbnail(images.decode(path, at_least=CHECKED_AT))

    began = time.perf_counter()
    thumbnails = np.stack(list(map_ahead(small, photos, ahead=64)))
    decoding = 2_000 * (time.perf_counter() - began) / len(photos)
    half = min(len(photos) // 2, SIZES[0])
    groups = group_near_duplicates(thumbnails)
    unrelated = thumbnails[half:][~np.isin(groups[half:], groups[:half])]
    print(f"{len(photos):,} photos; {half:,} fingerprinted, {len(unrelated):,} unrelated\n")
    print("| photos | bytes | in the sidecar | unrelated photos matched | per million pairs | s per 2,000 lookups |")
    print("|---:|---:|---:|---:|---:|---:|")
    filled = np.concatenate([thumbnails[:half], crops(photos[:half], max(SIZES) - half, rng)])
    for size in SIZES:
        seen = fingerprints(filled[:size])
        began = time.perf_counter()
        matched = int(seen.recognize([UNKNOWN] * len(unrelated), unrelated).sum())
        seconds = 2_000 * (time.perf_counter() - began) / len(unrelated)
        pairs = len(unrelated) * size
        print(
            f"| {size:,} | {3 * len(seen.keys) // 4:,} | {len(seen.keys):,}"
            f" | {matched} ({matched / len(unrelated):.3%}) | {1e6 * matched / pairs:.4f} | {seconds:.2f} |"
        )
    print(f"\nDecoding 2,000 photos to thumbnails: {decoding:.1f} s\n")
    seen = fingerprints(thumbnails[:half])
    print("| copy | recognized |\n|---|---:|")
    print(f"| none | {seen.recognize([UNKNOWN] * half, thumbnails[:half]).mean():.3f} |")
    originals = photos[: min(COPIED, half)]
    for name, change in COPIES.items():
        copies = np.stack([thumbnail(change(images.decode(path))) for path in originals])
        print(f"| {name} | {seen.recognize([UNKNOWN] * len(copies), copies).mean():.3f} |")


if __name__ == "__main__":
    main()
