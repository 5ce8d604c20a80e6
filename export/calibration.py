"""Choosing the images that a quantized model takes its ranges from."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice, zip_longest

import numpy as np

from tledge.core.errors import OptionError
from tledge.core.fingerprint import sha256_of_records
from tledge.core.images import Pixels
from tledge.core.loading import batches
from tledge.core.progress import Progress
from tledge.core.sidecar import Calibration
from tledge.core.splits import Sample, Splits


def load_calibration(
    splits: Splits, *, images: int, seed: int, size: tuple[int, int], resize: str, progress: Progress
) -> tuple[Pixels, Calibration]:
    """Loads a sample of the training split, as many images of each class as can be.

    Args:
        splits: the run's images; those of the validation and test splits are never touched.
        images: how many; all where there are fewer.
        seed: of the choice.
        size: (height, width).
        resize: the resize rule.
        progress: is told of the loading.

    Returns:
        uint8 (n, height, width, 3), and their record.

    Raises:
        OptionError: ``images`` below 1.
        ImageError: an image has become unreadable since training.
    """
    if images < 1:
        raise OptionError(f"--calibration-images must be 1 or more; received {images}")
    chosen = choose_balanced(splits.train, images, seed)
    splits.check_unchanged(chosen)
    loaded: list[Pixels] = []
    with progress.step("Calibration images", len(chosen), "images") as step:
        for batch in batches(splits.paths(chosen), size, resize, batch_size=32):
            loaded.append(batch)
            step.advance(len(batch))
    fingerprint = sha256_of_records((sample.path, sample.sha256) for sample in chosen)
    return np.concatenate(loaded), Calibration(images=len(chosen), split="train", fingerprint=fingerprint)


def choose_balanced(samples: tuple[Sample, ...], images: int, seed: int) -> tuple[Sample, ...]:
    """Takes samples from the classes in turn, at random within each; all where there are fewer than ``images``."""
    of_class: dict[int, list[Sample]] = defaultdict(list)
    rng = np.random.default_rng(seed)
    for place in rng.permutation(len(samples)):
        of_class[samples[place].label].append(samples[place])
    turns = zip_longest(*(of_class[label] for label in sorted(of_class)))
    mixed = (turn[place] for turn in turns for place in rng.permutation(len(turn)))  # no class is always the first
    return tuple(islice((sample for sample in mixed if sample is not None), images))
