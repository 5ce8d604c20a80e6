"""The photos that a kind shows: files that the user names, or photos of the run's test split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tledge.core.balanced_sample import choose_balanced
from tledge.core.errors import DataError, OptionError
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.visualize.kind import Kind
from tledge.visualize.visualized_model import VisualizedModel

BATCH_SIZE = 32
"""Test photos per batch."""


@dataclass(frozen=True)
class Photo:
    """One photo in the model's input size, uint8 (height, width, 3), and its name on the page."""

    name: str
    pixels: Pixels


@dataclass(frozen=True)
class PhotoKind(Kind):
    """A kind that shows photos: files that the user names, or photos of the run's test split.

    Attributes:
        photos: image files; the default is test photos that the model classifies correctly.
        classes: classes of the test photos; default all.
        images: number of test photos.
        seed: seed of the choice of photos, and of whatever else the kind draws.
    """

    photos: Sequence[Path] = ()
    classes: Sequence[str] = ()
    images: int = 4
    seed: int = 0

    def why_not(self, network: VisualizedModel) -> str:
        return "" if self.photos or network.directory else f"{network.needs_run}, or name a photo with `photos`"

    def choose_photos(self, network: VisualizedModel, *, leave_out: int | None = None) -> list[Photo]:
        """Reads the named photos, or chooses test photos that the model classifies correctly.

        Args:
            network: the model, with its run if test photos are needed.
            leave_out: index of a class whose test photos are excluded.

        Raises:
            OptionError: all photos are of the class that is left out.
            ImageError: a file is not a readable image.
            DataError: the model classifies none of the test photos correctly.
            RunError: test photos are missing or have changed.
        """
        if self.photos:
            return [Photo(path.name, network.load(path)) for path in self.photos]
        splits = network.splits
        wanted = {network.class_index(name) for name in self.classes} or set(range(len(network.class_names)))
        wanted -= set() if leave_out is None else {leave_out}
        if leave_out is not None and not wanted:
            raise OptionError(
                f"photos of '{network.class_names[leave_out]}' are already classified as the target; choose a target"
                " other than their class"
            )
        samples = [sample for sample in splits.test if sample.label in wanted]
        order = choose_balanced(samples, [sample.label for sample in samples], len(samples), self.seed)
        found: list[Photo] = []
        for begin in range(0, len(order), BATCH_SIZE):
            part = order[begin : begin + BATCH_SIZE]
            splits.check_unchanged(part)
            pixels = np.stack([network.load(path) for path in splits.paths(part)])
            predictions = network.logits(pixels).argmax(axis=1)
            found += [
                Photo(sample.path, image)
                for sample, image, prediction in zip(part, pixels, predictions, strict=True)
                if prediction == sample.label
            ]
            if len(found) >= self.images:
                break
        if not found:
            classes = ", ".join(self.classes) or "every class"
            raise DataError(
                f"the model classifies none of the {len(order)} test photos of {classes} correctly; name others with"
                " `photos`"
            )
        return found[: self.images]


@dataclass(frozen=True, eq=False)
class LabelledPhotos:
    """Photos of the test split with their classes.

    Attributes:
        names: names on the page.
        labels: (N,), class indices.
        paths: image files.
        network: gives the input size and the resize rule.
    """

    names: Sequence[str]
    labels: npt.NDArray[np.intp]
    paths: Sequence[Path]
    network: VisualizedModel

    @classmethod
    def of(cls, network: VisualizedModel, *, count: int | None = None, seed: int = 0) -> LabelledPhotos:
        """Returns all test photos, or ``count`` of them with the classes balanced.

        Raises:
            RunError: there is no run, or photos are missing or have changed.
            DataError: the run has no test photos.
        """
        splits = network.splits
        samples = splits.test
        if count is not None:
            samples = choose_balanced(samples, [sample.label for sample in samples], count, seed)
        if not samples:
            raise DataError("the run has no test photos: train with `test_fraction` above 0")
        splits.check_unchanged(samples)
        labels = np.array([sample.label for sample in samples], np.intp)
        return cls([sample.path for sample in samples], labels, splits.paths(samples), network)

    def __len__(self) -> int:
        return len(self.names)

    def batches(self) -> Iterator[Pixels]:
        """Yields the photos in batches of at most ``BATCH_SIZE``: uint8 (n, height, width, 3)."""
        return batches(self.paths, self.network.input_size, self.network.resize, BATCH_SIZE)
