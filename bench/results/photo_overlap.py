"""Which of the given photos a model has seen in training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tledge.core.errors import DataError, ImageError
from tledge.core.field_bounds import Count
from tledge.core.image_batches import map_ahead
from tledge.core.number_text import listed
from tledge.core.perceptual_hash import Thumbnails
from tledge.core.photo_check import check_photo, describe_broken
from tledge.core.progress import Progress
from tledge.core.seen_photos import Found, SeenPhotos

TEST, SEEN, GIVEN = "test", "seen", "given"
"""What photos are to the models: held out, partly used in training, or of unknown origin."""

DROP, KEEP = "drop", "keep"
"""Leave photos out that were used in training, or keep them."""


@dataclass(frozen=True, kw_only=True)
class PhotoOverlap:
    """How far the photos of a benchmark were used in training.

    Attributes:
        seen: the number of photos that a model was trained or validated on.
        kept: whether those were kept.
        unknown: the models that do not record all of their training photos.
        exact: the models whose training photos look alike, so that copies are not recognized, only identical files.
    """

    seen: Count = 0
    kept: bool = False
    unknown: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()

    @property
    def split(self) -> str:
        """One of TEST, SEEN and GIVEN."""
        if self.seen and self.kept:
            return SEEN
        return GIVEN if self.unknown or self.exact else TEST

    def sentences(self, images: int) -> list[str]:
        """Returns what a report says; ``images`` is the number of photos that were classified."""
        found = []
        if self.seen and self.kept:
            found.append(
                f"{self.seen:,} of the {images:,} photos were used in training or validation: on new photos, accuracy"
                " may be lower."
            )
        elif self.seen:
            found.append(
                f"{self.seen:,} of the {images + self.seen:,} photos were used in training or validation and are left"
                f" out; accuracy is measured on the other {images:,}."
            )
        if self.unknown:
            does = "do" if len(self.unknown) > 1 else "does"
            found.append(
                f"Some photos may have been used in training: {listed(self.unknown, 3)} {does} not record all training"
                " photos."
            )
        if self.exact:
            found.append(
                "Copies of training photos may be among the photos: those of"
                f" {listed(self.exact, 3)} look so alike that only identical files are recognized."
            )
        return found


def find_seen(records: Sequence[SeenPhotos], photos: Sequence[Path], progress: Progress) -> tuple[Found, list[str]]:
    """Returns which photos any of the models was trained on, bool (n,), and the SHA-256 of each photo's file.

    Args:
        records: the fingerprints of the models' training photos.
        photos: the files.

    Raises:
        DataError: a photo cannot be decoded.
    """
    digests, decoded, broken = list[str](), list[Thumbnails](), list[tuple[str, ImageError]]()
    with progress.step("Check photos", len(photos), "photos") as step:
        for path, checked in zip(photos, map_ahead(check_photo, photos, ahead=64), strict=True):
            if isinstance(checked, ImageError):
                broken.append((str(path), checked))
            else:
                digests.append(checked.sha256)
                decoded.append(checked.thumbnail)
            step.advance()
    if broken:
        raise DataError(describe_broken(broken))
    thumbnails = np.stack(decoded) if decoded else None
    found = [record.recognize(digests, thumbnails) for record in dict.fromkeys(records)]
    return np.logical_or.reduce([np.zeros(len(photos), bool), *found]), digests


def check_some_left(seen: Found, labels: Sequence[int], class_names: Sequence[str], data: Path) -> None:
    """Raises DataError if leaving out the seen photos leaves a class without any."""
    left = {label for label, used in zip(labels, seen, strict=True) if not used}
    lost = [class_names[label] for label in sorted(set(labels) - left)]
    if lost:
        which = f"all {len(seen):,} photos" if seen.all() else f"all photos of {listed(lost, 5)}"
        raise DataError(
            f"{which} in '{data}' were used in training or validation; name a folder of other photos, or pass"
            f" `seen_photos='{KEEP}'` to measure on them anyway"
        )
