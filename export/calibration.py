"""The images that set the activation ranges of a quantized model."""

from __future__ import annotations

import numpy as np

from tledge.core.balanced_sample import choose_balanced
from tledge.core.errors import OptionError
from tledge.core.fingerprint import sha256_of_records
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.core.progress import Progress
from tledge.core.sidecar import Calibration
from tledge.core.splits import Splits


def load_calibration(
    splits: Splits, *, images: int, seed: int, size: tuple[int, int], resize: str, progress: Progress
) -> tuple[Pixels, Calibration]:
    """Loads a class-balanced sample of the training split.

    Args:
        images: number of images; all of the split where it has fewer.
        size: (height, width).

    Returns:
        The images, uint8 (n, height, width, 3), and their record for the sidecar.

    Raises:
        OptionError: ``images`` below 1.
        RunError: an image has changed since training.
        ImageError: an image is unreadable.
    """
    if images < 1:
        raise OptionError(f"`calibration_images` must be 1 or more; received {images}")
    chosen = choose_balanced(splits.train, [sample.label for sample in splits.train], images, seed)
    splits.check_unchanged(chosen)
    loaded: list[Pixels] = []
    with progress.step("Calibration images", len(chosen), "images") as step:
        for batch in batches(splits.paths(chosen), size, resize, batch_size=32):
            loaded.append(batch)
            step.advance(len(batch))
    fingerprint = sha256_of_records((sample.path, sample.sha256) for sample in chosen)
    return np.concatenate(loaded), Calibration(images=len(chosen), split="train", fingerprint=fingerprint)
