"""Photos that are nearly the same: copies that were resized, recompressed, brightened a little or mirrored.

Two photos that differ by so little must not stand on both sides of a split: the test would ask for what was learned
by heart. Candidates are found by a perceptual hash, and each is confirmed by its thumbnail.

Source of the hash: C. Zauner, Implementation and benchmarking of perceptual image hash functions, 2010, section 3.2
(the signs of the lowest frequencies of a discrete cosine transform). Bands as in Manku, Jain and Das Sarma, Detecting
near-duplicates for web crawling, WWW 2007: hashes that differ in few bits agree on at least one band of bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image

THUMBNAIL = 16
"""Height and width of a thumbnail, in pixels."""

FREQUENCIES = 8
"""Frequencies of the cosine transform in each direction that the hash is made of: 64 bits."""

LARGEST_DISTANCE = 7
"""Bits by which the hashes of a candidate may differ."""

LEAST_CORRELATION = 0.95
"""Between the thumbnails of two photos that count as nearly the same."""

BANDS = LARGEST_DISTANCE + 1

BLOCK = 2**20
"""Pairs of hashes that are compared at once."""

Thumbnails = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]


def thumbnail(image: Image.Image) -> Thumbnails:
    """A photo's grey thumbnail, uint8 (16, 16): all that is compared of it."""
    return np.asarray(image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR), np.uint8)


def group_near_duplicates(thumbnails: Thumbnails) -> npt.NDArray[np.intp]:
    """Puts photos that are nearly the same into one group, and those that are so by way of others.

    Args:
        thumbnails: uint8 (n, 16, 16), as :func:`thumbnail` makes them.

    Returns:
        (n,): the index of the first photo of each photo's group; its own where there is no other like it.
    """
    parents = np.arange(len(thumbnails))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = int(parents[place])
        return place

    for first, second in _pairs(thumbnails):
        one, other = root(first), root(second)
        parents[max(one, other)] = min(one, other)
    return np.array([root(place) for place in range(len(parents))], np.intp)


def _pairs(thumbnails: Thumbnails) -> Iterator[tuple[int, int]]:
    """The pairs of photos that are nearly the same, each at least once."""
    normalized = _normalize(thumbnails)
    mirrored = _normalize(thumbnails[:, :, ::-1])
    hashes, of_mirrored = _hash(thumbnails), _hash(thumbnails[:, :, ::-1])
    for others, other_hashes in ((normalized, hashes), (mirrored, of_mirrored)):
        for first, second in _candidates(hashes, other_hashes):
            alike = np.einsum("ij,ij->i", normalized[first], others[second]) >= LEAST_CORRELATION
            yield from zip(first[alike].tolist(), second[alike].tolist(), strict=True)


def _normalize(thumbnails: Thumbnails) -> npt.NDArray[np.float32]:
    """(n, 256) of mean 0 and length 1, so that a product is a correlation; 0 for a photo of one colour."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(length > 0, length, 1)
    return flat


def _hash(thumbnails: Thumbnails) -> Hashes:
    """(n,): the signs of the lowest frequencies, 64 bits; the constant one is left out for the one after the last."""
    steps = np.arange(THUMBNAIL)
    basis = np.cos(np.pi * (2 * steps + 1) * np.arange(FREQUENCIES + 1)[:, np.newaxis] / (2 * THUMBNAIL))
    transformed = np.einsum("ui,nij,vj->nuv", basis, thumbnails.astype(np.float32), basis, optimize=True)
    lowest = transformed[:, :FREQUENCIES, :FREQUENCIES].reshape(len(thumbnails), -1)
    lowest[:, 0] = transformed[:, FREQUENCIES, 0]
    bits = np.packbits(lowest > 0, axis=1)
    return np.ascontiguousarray(bits).view(np.uint64).ravel()


def _candidates(hashes: Hashes, others: Hashes) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Pairs (first, second), first < second, of which ``hashes[first]`` and ``others[second]`` differ in few bits."""
    bits = np.uint64(64 // BANDS)
    for band in range(BANDS):
        ours, theirs = (values >> np.uint64(band) * bits & np.uint64(2 ** int(bits) - 1) for values in (hashes, others))
        for value in np.unique(ours):
            first, second = np.flatnonzero(ours == value), np.flatnonzero(theirs == value)
            for rows in np.array_split(first, len(first) * len(second) // BLOCK + 1):
                distances = np.bitwise_count(hashes[rows, np.newaxis] ^ others[second])
                row, column = np.nonzero((distances <= LARGEST_DISTANCE) & (rows[:, np.newaxis] < second))
                if len(row):
                    yield rows[row], second[column]
