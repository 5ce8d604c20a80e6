"""Inference of a Keras model on many photos."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from tledge.core.image_batches import batches
from tledge.core.progress import Step

BATCH_SIZE = 32
"""Photos a batch; larger batches do not fit a CPU's caches and are slower."""


class ResizeRule(TypedDict):
    """How photos are resized for a model: (height, width), and one of ``core.images.RESIZE_RULES``."""

    size: tuple[int, int]
    resize: str


def predict_photos(
    model: Any, paths: Sequence[Path], *, size: tuple[int, int], resize: str, step: Step | None = None
) -> Iterator[npt.NDArray[np.float32]]:
    """Runs a model on photos, in order. The photos of the next batches are decoded meanwhile.

    Args:
        model: a ``keras.Model`` from pixel values (N, height, width, 3).
        size: (height, width) of the resized photos.

    Yields:
        The outputs for the next n photos, float32 (n, outputs).
    """
    for pixels in batches(paths, size, resize, BATCH_SIZE):
        batch = np.zeros((BATCH_SIZE, *pixels.shape[1:]), np.float32)  # always the same shape: compiled once
        batch[: len(pixels)] = pixels
        yield np.asarray(model.predict_on_batch(batch), np.float32)[: len(pixels)]
        if step is not None:
            step.advance(len(pixels))
