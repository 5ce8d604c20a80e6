"""The photos that a kind looks at: those that a user names, or some of a run's test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tledge.core.balanced_sample import choose_balanced
from tledge.core.errors import DataError, OptionError
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.visualize.visualized_model import VisualizedModel

LOOKED_AT = 32
"""Test photos at a time that are shown to the model, until enough are found that it is right about."""


@dataclass(frozen=True)
class Photo:
    """One photo of the model's input size.

    Attributes:
        name: what pages call it.
        pixels: uint8 (height, width, 3).
    """

    name: str
    pixels: Pixels


@dataclass(frozen=True)
class PhotoChoice:
    """Which photos.

    Attributes:
        photos: image files, before all else; empty for test photos of the run.
        classes: of the test photos; all without them.
        count: how many test photos.
        seed: of their choice.
    """

    photos: Sequence[Path]
    classes: Sequence[str]
    count: int
    seed: int

    def check(self) -> None:
        """Raises OptionError for a choice that is none."""
        if self.count < 1:
            raise OptionError(f"--images must be 1 or more; received {self.count}")
        if self.seed < 0:
            raise OptionError(f"--seed must be 0 or more; received {self.seed}")

    def load(self, subject: VisualizedModel, *, leave_out: int | None = None) -> list[Photo]:
        """Reads the photos that were named, or chooses test photos that the model is right about.

        Args:
            subject: what looks at them.
            leave_out: a class whose test photos are not wanted.

        Raises:
            OptionError: neither photos nor a run.
            ImageError: a file is no readable image.
            DataError: the model is right about none of the test photos.
            RunError: test photos are gone or were changed.
        """
        self.check()
        if self.photos:
            return [Photo(path.name, subject.load(path)) for path in self.photos]
        splits = subject.splits
        wanted = {subject.class_index(name) for name in self.classes} or set(range(len(subject.class_names)))
        wanted -= set() if leave_out is None else {leave_out}
        if leave_out is not None and not wanted:
            raise OptionError(
                f"photos of '{subject.class_names[leave_out]}' are taken for the target already; a target must be"
                " another class than the present one"
            )
        samples = [sample for sample in splits.test if sample.label in wanted]
        order = choose_balanced(samples, [sample.label for sample in samples], len(samples), self.seed)
        found: list[Photo] = []
        for begin in range(0, len(order), LOOKED_AT):
            part = order[begin : begin + LOOKED_AT]
            splits.check_unchanged(part)
            pixels = np.stack([subject.load(path) for path in splits.paths(part)])
            answers = subject.logits(pixels).argmax(axis=1)
            found += [
                Photo(sample.path, image)
                for sample, image, answer in zip(part, pixels, answers, strict=True)
                if answer == sample.label
            ]
            if len(found) >= self.count:
                break
        if not found:
            asked = ", ".join(self.classes) or "every class"
            raise DataError(
                f"the model is right about none of the {len(order)} test photos of {asked}; name others with --photo"
            )
        return found[: self.count]


@dataclass(frozen=True, eq=False)
class LabelledPhotos:
    """Photos of the test split.

    Attributes:
        names: what pages call them.
        pixels: uint8 (N, height, width, 3).
        labels: (N,), their classes.
    """

    names: Sequence[str]
    pixels: Pixels
    labels: npt.NDArray[np.intp]

    @classmethod
    def load(cls, subject: VisualizedModel, *, count: int | None = None, seed: int = 0) -> LabelledPhotos:
        """Reads all, or as many as are wanted of each class in turn.

        Raises:
            RunError: there is no run, or photos are gone or were changed.
            DataError: the run has no test photos.
        """
        splits = subject.splits
        samples = splits.test
        if count is not None:
            samples = choose_balanced(samples, [sample.label for sample in samples], count, seed)
        if not samples:
            raise DataError("the run has no test photos: train with --test-fraction above 0")
        splits.check_unchanged(samples)
        parts = list(batches(splits.paths(samples), subject.input_size, subject.resize, LOOKED_AT))
        labels = np.array([sample.label for sample in samples], np.intp)
        return cls([sample.path for sample in samples], np.concatenate(parts), labels)

    def __len__(self) -> int:
        return len(self.names)
