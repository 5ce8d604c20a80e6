"""Near-duplicates: copies of a photo that were resized, recompressed, slightly brightened or mirrored.

Near-duplicates must be in the same split: a model is not tested on photos that it has memorized. Candidates are found
by a perceptual hash, and confirmed by the correlation of their thumbnails.

The hash is the signs of the lowest frequencies; see ``core.perceptual_hash``. Bands as in Manku, Jain and Das Sarma,
Detecting near-duplicates for web crawling, WWW 2007: hashes that differ in few bits agree on at least one band of bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tledge.core.perceptual_hash import Thumbnails, lowest_frequencies

LARGEST_DISTANCE = 7
"""The most bits by which the hashes of near-duplicates differ."""

LEAST_CORRELATION = 0.95
"""The lowest correlation between the thumbnails of near-duplicates."""

BANDS = LARGEST_DISTANCE + 1
"""Bands of bits: hashes that differ in fewer bits than there are bands agree on one of them."""

BLOCK = 2**20
"""Pairs of hashes that are compared at once."""

Hashes = npt.NDArray[np.uint64]


def group_near_duplicates(thumbnails: Thumbnails) -> npt.NDArray[np.intp]:
    """Groups near-duplicates, also those that are similar through other photos only.

    Args:
        thumbnails: uint8 (n, 16, 16), as ``core.perceptual_hash`` makes them.

    Returns:
        (n,), for each photo, the index of the first photo of its group; its own index if it has no near-duplicate.
    """
    parents = np.arange(len(thumbnails))

    def root(index: int) -> int:
        while parents[index] != index:
            parents[index] = parents[parents[index]]
            index = int(parents[index])
        return index

    for first, second in _pairs(thumbnails):
        one, other = root(first), root(second)
        parents[max(one, other)] = min(one, other)
    return np.array([root(index) for index in range(len(parents))], np.intp)


def _pairs(thumbnails: Thumbnails) -> Iterator[tuple[int, int]]:
    """Yields the pairs of near-duplicates, each at least once."""
    normalized = _normalize(thumbnails)
    mirrored = _normalize(thumbnails[:, :, ::-1])
    hashes, of_mirrored = _hash(thumbnails), _hash(thumbnails[:, :, ::-1])
    for others, other_hashes in ((normalized, hashes), (mirrored, of_mirrored)):
        for first, second in _candidates(hashes, other_hashes):
            alike = np.einsum("ij,ij->i", normalized[first], others[second]) >= LEAST_CORRELATION
            yield from zip(first[alike].tolist(), second[alike].tolist(), strict=True)


def _normalize(thumbnails: Thumbnails) -> npt.NDArray[np.float32]:
    """Returns (n, 256) of mean 0 and length 1, so that a product is a correlation; 0 for a photo of one colour."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    flat /= np.where(length > 0, length, 1)
    return flat


def _hash(thumbnails: Thumbnails) -> Hashes:
    """Returns (n,), the signs of the lowest frequencies, 64 bits; the constant one is replaced by the next one."""
    bits = np.packbits(lowest_frequencies(thumbnails) > 0, axis=1)
    return np.ascontiguousarray(bits).view(np.uint64).ravel()


def _candidates(hashes: Hashes, others: Hashes) -> Iterator[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Yields pairs first < second for which ``hashes[first]`` and ``others[second]`` differ in few bits."""
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
