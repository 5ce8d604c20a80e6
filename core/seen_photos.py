"""Fingerprints of the photos that a model was trained on, so that a benchmark can recognize them.

A photo's code is the signs of 48 frequencies of its 16 x 16 thumbnail. A set of hashed codes is stored, which can only
be asked about a photo that is at hand. Copies that were resized, recompressed, slightly brightened or mirrored are
recognized: the signs that are the least certain in the photo at hand may be either. A photo without contrast is
recognized by the SHA-256 of its file alone. See docs/adr/0017-fingerprints-of-training-photos.md.

Sources: multi-probing, Lv et al., Multi-probe LSH, VLDB 2007; the code of the set, Elias 1974 and Fano 1971, as in
S. Vigna, Quasi-succinct indices, WSDM 2013, section 3.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt

from tledge.core.errors import ArtifactError
from tledge.core.field_bounds import Characters, PositiveCount
from tledge.core.options import Limits
from tledge.core.perceptual_hash import FREQUENCIES, Thumbnails, lowest_frequencies
from tledge.core.statistics import wilson_interval

SIGNS = 48
"""Signs in the code of a photo."""

UNCERTAIN = 6
"""Signs of a photo at hand that may be either: those of the smallest frequencies."""

LEAST_CONTRAST = 4.0
"""Standard deviation of a thumbnail, of 255, from which its signs say something."""

MOST_PHOTOS = 100_000
"""Fingerprints in a set; of more photos, a random sample is stored."""

MOST_BYTES, MOST_BITS = 200_000, 24
"""Of a set, and of a fingerprint: 6 kB for 2,000 photos, 200 kB for 100,000."""

MOST_ALIKE, LEAST_ALIKE = 0.01, 3
"""Fraction of a run's test photos that may look like a training photo. If significantly more do, and at least three,
only identical files are recognized."""

Keys = npt.NDArray[np.uint64]
Found = npt.NDArray[np.bool_]

_ORDER = sorted(range(1, FREQUENCIES**2), key=lambda index: sum(divmod(index, FREQUENCIES)))[:SIGNS]
_BITS = np.uint64(1) << np.arange(SIGNS, dtype=np.uint64)
_ODD = np.bitwise_or.reduce([bit for bit, index in zip(_BITS, _ORDER, strict=True) if index % 2])  # a mirror flips them
_FIRST_ODD = _BITS[next(place for place, index in enumerate(_ORDER) if index % 2)]


@dataclass(frozen=True, kw_only=True)
class SeenPhotos:
    """Fingerprints of the training and validation photos of a model.

    Attributes:
        photos: how many photos there were.
        stored: how many different fingerprints are stored.
        appearance: copies that look the same are recognized, not only identical files.
        keys: the set of hashed fingerprints, in base64.

    Raises:
        ValueError: ``keys`` has another length than that many fingerprints, or more are stored than there were photos.
    """

    photos: PositiveCount
    stored: Annotated[int, Limits(least=1, most=MOST_PHOTOS)]
    appearance: bool
    keys: Annotated[str, Characters(most=2 * MOST_BYTES)]

    def __post_init__(self) -> None:
        if self.stored > self.photos:
            raise ValueError(f"stored: {self.stored:,} fingerprints of {self.photos:,} photos")
        if self.stored < 1 or len(self.keys) != 4 * -(-_bytes(self.stored) // 3):
            raise ValueError(f"keys: {len(self.keys)} characters cannot hold {self.stored} fingerprints")

    @property
    def complete(self) -> bool:
        """Whether every photo is in the set, not only a sample of them."""
        return self.photos <= MOST_PHOTOS

    def recognize(self, digests: Sequence[str], thumbnails: Thumbnails | None = None) -> Found:
        """Returns which photos were seen in training: bool (n,).

        Args:
            digests: SHA-256 of each photo's file, in hexadecimal.
            thumbnails: uint8 (n, 16, 16); needed if ``appearance`` is set.

        Raises:
            ArtifactError: the set is damaged.
        """
        values = self._values()
        found = np.isin(self._reduce(_exact_keys(digests)), values)
        if self.appearance and thumbnails is not None:
            probes = self._reduce(_mix(_canonical(_probes(thumbnails))))
            found |= np.isin(probes, values).any(axis=1) & _contrasts(thumbnails)
        return found

    def _reduce(self, keys: Keys) -> Keys:
        return keys % np.uint64(self.stored << _low_bits(self.stored))

    def _values(self) -> Keys:
        count, low = self.stored, _low_bits(self.stored)
        try:
            bits = np.unpackbits(np.frombuffer(base64.b64decode(self.keys, validate=True), np.uint8))
            high = np.flatnonzero(bits[: 2 * count]) - np.arange(count)
            lowest = bits[2 * count : (2 + low) * count].reshape(count, low) @ (1 << np.arange(low))
        except ValueError as error:
            raise ArtifactError(f"the fingerprints of training photos are damaged ({error}); export again") from error
        return (high << low | lowest).astype(np.uint64)


def remember_photos(
    digests: Sequence[str], thumbnails: Thumbnails, others: tuple[Sequence[str], Thumbnails]
) -> SeenPhotos:
    """Returns the fingerprints of photos.

    Args:
        digests: SHA-256 of each photo's file.
        thumbnails: uint8 (n, 16, 16).
        others: the same of photos that were held out. If significantly more than ``MOST_ALIKE`` of them look like one
            of the photos, as scans of one form do, only identical files will be recognized.
    """
    exact = _exact_keys(digests)
    alike = _store(np.where(_contrasts(thumbnails), _mix(_canonical(_codes(thumbnails))), exact), appearance=True)
    matches = int(alike.recognize(*others).sum())
    if matches < LEAST_ALIKE or wilson_interval(matches, len(others[0]))[0] <= MOST_ALIKE:
        return alike
    return _store(exact, appearance=False)


def _store(keys: Keys, *, appearance: bool) -> SeenPhotos:
    photos = len(keys)
    unique = np.unique(np.random.default_rng(0).permutation(keys)[:MOST_PHOTOS])
    count = len(unique)
    low = _low_bits(count)
    values = np.sort(unique % np.uint64(count << low))
    marks = np.zeros(2 * count, np.uint8)
    marks[(values >> np.uint64(low)).astype(np.intp) + np.arange(count)] = 1
    lowest = (values[:, np.newaxis] >> np.arange(low, dtype=np.uint64) & np.uint64(1)).astype(np.uint8)
    content = np.packbits(np.concatenate([marks, lowest.ravel()])).tobytes()
    return SeenPhotos(photos=photos, stored=count, appearance=appearance, keys=base64.b64encode(content).decode())


def _low_bits(count: int) -> int:
    """Returns the bits of a fingerprint that are stored as they are; the others take two bits."""
    return min(MOST_BITS, 8 * MOST_BYTES // count) - 2


def _bytes(count: int) -> int:
    return -(-count * (2 + _low_bits(count)) // 8)


def _contrasts(thumbnails: Thumbnails) -> Found:
    found: Found = thumbnails.std(axis=(1, 2)) >= LEAST_CONTRAST
    return found


def _codes(thumbnails: Thumbnails) -> Keys:
    signs = lowest_frequencies(thumbnails)[:, _ORDER] > 0
    codes: Keys = (signs * _BITS).sum(axis=1, dtype=np.uint64)
    return codes


def _probes(thumbnails: Thumbnails) -> Keys:
    """Returns the codes that a photo may have had before it was changed a little: (n, 2**UNCERTAIN)."""
    smallest = np.argsort(np.abs(lowest_frequencies(thumbnails)[:, _ORDER]), axis=1)[:, :UNCERTAIN]
    probes = _codes(thumbnails)[:, np.newaxis]
    for bit in _BITS[smallest].T:
        probes = np.concatenate([probes, probes ^ bit[:, np.newaxis]], axis=1)
    return probes


def _canonical(codes: Keys) -> Keys:
    """Returns the same code for a photo and its mirror image."""
    return np.where(codes & _FIRST_ODD, codes ^ _ODD, codes)


def _exact_keys(digests: Sequence[str]) -> Keys:
    return _mix(np.array([int(digest[:16], 16) for digest in digests], np.uint64))


def _mix(keys: Keys) -> Keys:
    """Spreads keys evenly over 64 bits. Source: SplitMix64, Steele, Lea and Flood, OOPSLA 2014."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        keys = (keys ^ keys >> np.uint64(shift)) * np.uint64(factor)
    return keys ^ keys >> np.uint64(31)
